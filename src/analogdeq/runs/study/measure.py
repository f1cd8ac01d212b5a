"""The figures of one point: a trained network on one chip, all its test images settled and read."""

from pathlib import Path
from typing import Any, final

import torch

from analogdeq.build import build_chip, build_data, build_model, build_settle_options, only_core
from analogdeq.build_chips import build_device
from analogdeq.chip import Chip
from analogdeq.devices.amplified import amplified
from analogdeq.devices.preset import DevicePreset
from analogdeq.errors import InputError, RangeError
from analogdeq.runs.evaluation import CHUNK
from analogdeq.runs.images import read_images
from analogdeq.runs.study.point import Content, Figures
from analogdeq.runs.study.training import network_of
from analogdeq.scenario import Scenario, load_scenario
from analogdeq.tasks.dataset import Dataset, pixels
from analogdeq.train.checkpoint import load_checkpoint
from analogdeq.train.fit import load_weights

FIGURES = (
    "images", "accuracy", "accuracy_ideal", "settled", "t_settle_p50_s", "t_settle_p95_s", "t_settle_max_s",
    "energy_mean_J", "energy_p95_J", "noise_rms", "maintenance_J", "extrapolated", "refused",
)  # fmt: skip
"""Names of what is measured, in the order of the table.

"settled" is a fraction of the images; times are of those that settled. "noise_rms" [1] is the root mean square that
noise adds to z at the readout. "extrapolated" names the ranges of the device preset that the point lies outside of,
and "refused" says why nothing was measured, where that was not allowed.
"""


@final
class Bench:
    """Measures points of the study in `folder`; what they share is read once.

    Args:
        folder: of the study, with its scenario and its trained networks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data: dict[str, Dataset] = {}
        self._checkpoints: dict[Path, dict[str, Any]] = {}

    @torch.no_grad()
    def figures(self, content: Content) -> Figures:
        """What `FIGURES` names. The same content gives the same bits.

        Raises:
            InputError: if noise is asked for where there is none to amplify.
        """
        scenario = scenario_of(self._folder, content)
        found: Figures = dict.fromkeys(FIGURES)
        model = self._model(scenario)
        device = build_device(scenario)
        found["extrapolated"] = " ".join(left_ranges(device, scenario))
        try:
            device = amplified(device, programming=content.programming, read=content.noise)
            chip = build_chip(scenario, only_core(scenario, model), seed=content.chip, device=device)
        except RangeError as error:
            return found | {"refused": str(error)}
        if content.noise > 0:
            if not isinstance(chip, Chip):
                raise InputError("noise is amplified on crossbars of RC cores, not on oscillators")
            chip.begin_inference(content.chip)
        data, options = self._images(scenario), build_settle_options(scenario)
        read = read_images(model, chip, data, options, factor=content.noise, seed=content.chip)
        return found | {
            "images": len(data.test_y),
            "accuracy_ideal": _ideal_accuracy(model, data, chip.dtype),
            **read.figures(),
            "maintenance_J": chip.maintenance_J if isinstance(chip, Chip) else 0.0,
        }

    def _model(self, scenario: Scenario) -> Any:
        path = network_of(self._folder, scenario).checkpoint
        if path not in self._checkpoints:
            self._checkpoints[path] = load_checkpoint(path)
        model = build_model(scenario)
        load_weights(model, self._checkpoints[path], path)
        return model.eval()

    def _images(self, scenario: Scenario) -> Dataset:
        key = scenario.task.model_dump_json()
        if key not in self._data:
            self._data[key] = build_data(scenario)
        return self._data[key]


def scenario_of(folder: Path, content: Content) -> Scenario:
    """The study's scenario with the content's changes."""
    return load_scenario(folder / "scenario.toml", [*content.overrides, f"seeds.chip={content.chip}"])


def left_ranges(device: DevicePreset, scenario: Scenario) -> list[str]:
    """Names of the validity ranges of the preset that the scenario's age and temperature lie outside of."""
    limits, ageing = device.validity, scenario.ageing
    pairs = (("time", ageing.age_s, limits.time), ("temperature", ageing.temperature_K, limits.temperature))
    # Age 0 is the first read, whenever that was.
    return [name for name, value, r in pairs if not (r.low <= value <= r.high) and (name, value) != ("time", 0.0)]


def _ideal_accuracy(model: Any, data: Dataset, dtype: torch.dtype) -> float:
    """Of the network on exact weights."""
    parts = torch.arange(len(data.test_y)).split(CHUNK)
    hits = [model(pixels(data.test_x[rows], dtype)).argmax(1) == data.test_y[rows] for rows in parts]
    return float(torch.cat(hits).double().mean())
