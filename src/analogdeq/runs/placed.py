"""One image on one chip: what the commands about SPICE begin with."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.build import build_chip, build_data, only_core
from analogdeq.chip import Chip
from analogdeq.errors import InputError
from analogdeq.runs.workflow import network
from analogdeq.scenario import Scenario
from analogdeq.tasks.dataset import pixels


@final
@dataclass(frozen=True)
class Placed:
    """A network on its chip, and one test image before its DAC.

    Attributes:
        scenario: as resolved, with the command line's changes.
        chip: trained weights if they come from a run, random ones if from a scenario.
        u: (input,) [1]. The encoded image.
    """

    scenario: Scenario
    chip: Chip
    u: Tensor


def place(source: str, *, image: int = 0, overrides: list[str] | None = None, seed: int | None = None) -> Placed:
    """The chip of a run directory or a scenario, with the encoded test image `image`.

    Raises:
        InputError: if there is no such image, or the core is none of the RC kind.
        ScenarioError: if the scenario is unusable.
    """
    scenario, model = network(source, overrides, seed)
    images = build_data(scenario).test_x
    if not 0 <= image < images.shape[0]:
        raise InputError(f"there is no test image {image}; the scenario has {images.shape[0]}, counted from 0")
    chip = build_chip(scenario, only_core(scenario, model))
    if isinstance(chip, AmplifiedChip):
        raise InputError(f"scenario {scenario.name!r}: SPICE netlists are of level 0; add --set circuit.level=0")
    if not isinstance(chip, Chip):
        raise InputError(f"scenario {scenario.name!r} has an oscillator core; SPICE netlists are of RC crossbars")
    with torch.no_grad():
        u = model.encoder(pixels(images[image : image + 1], chip.dtype))[0]
    return Placed(scenario, chip, u)
