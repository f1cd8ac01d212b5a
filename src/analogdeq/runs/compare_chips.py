"""What runs measured on their chips, side by side: accuracy, settling, cycles, joules, and whether they compare."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from analogdeq.errors import DataError
from analogdeq.runs.directory import RunDirectory


@final
@dataclass(frozen=True, kw_only=True)
class OnChip:
    """The mean over one scenario's evaluated runs.

    Attributes:
        runs: how many had been evaluated on a chip.
        images: test images of each.
        accuracy: share of images classified rightly by the chip.
        unsettled: share of images that did not settle.
        settle_p50_s, settle_p95_s: [s]. Quantiles of the settling time over the images.
        settle_p50_cycles: the same in periods of the oscillators; None for an RC core.
        energy_J: [J]. Per image, until readout.
    """

    runs: int
    images: int
    accuracy: float
    unsettled: float
    settle_p50_s: float | None
    settle_p95_s: float | None
    settle_p50_cycles: float | None
    energy_J: float | None


def read_chip(path: Path) -> dict[str, Any] | None:
    """What a run's evaluation wrote; None for a run that has only been trained.

    Raises:
        DataError: if it is damaged.
    """
    file = RunDirectory(path).summary
    if not file.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: no JSON ({error}); evaluate the run again: analogdeq evaluate {path}") from None
    return content if content.get("accuracy_chip") is not None else None


def mean_on_chip(evaluations: list[dict[str, Any]]) -> OnChip | None:
    """The mean of what `read_chip` found; None where it found nothing."""
    if not evaluations:
        return None

    def mean(*keys: str) -> float | None:
        values = [_at(one, keys) for one in evaluations]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if len(known) == len(values) else None

    return OnChip(
        runs=len(evaluations),
        images=min(int(one["images"]) for one in evaluations),
        accuracy=mean("accuracy_chip") or 0.0,
        unsettled=mean("fraction_not_settled") or 0.0,
        settle_p50_s=mean("t_settle_s", "p50"),
        settle_p95_s=mean("t_settle_s", "p95"),
        settle_p50_cycles=mean("t_settle_cycles", "p50"),
        energy_J=mean("energy_J", "mean"),
    )


def comparability(name: str, chip: OnChip, first_name: str, first: OnChip) -> str:
    """Whether two chips' joules and seconds are at equal accuracy, as far as that many images can tell.

    The half width is the normal one of a difference of two binomial shares, at 95 %; images common to both would
    narrow it.
    """
    gap = abs(chip.accuracy - first.accuracy)
    variance = sum(one.accuracy * (1 - one.accuracy) / one.images for one in (chip, first))
    resolved = 1.96 * variance**0.5
    points = (
        f"{100 * gap:.1f} points apart, {100 * resolved:.1f} can be told from {min(chip.images, first.images)} images"
    )
    if gap <= resolved:
        return (
            f"{name} and {first_name} are equally accurate on their chips ({points}), so joules and seconds compare, "
            "as far as the circuits behind them do: each run's report lists its assumptions"
        )
    return (
        f"{name} and {first_name} are not equally accurate on their chips ({points}): joules and seconds do not compare"
    )


def _at(content: dict[str, Any], keys: tuple[str, ...]) -> float | None:
    value: Any = content
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return None if value is None else float(value)
