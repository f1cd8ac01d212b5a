"""The figures of one setting over its chips: means, medians, and how well they are known."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from analogdeq.runs.study.point import Figures, Label, Point
from analogdeq.studies.interval import mean_interval, median_interval

Ends = dict[str, float | None]


def grouped(
    measured: Sequence[tuple[Point, Figures]], columns: Sequence[str]
) -> list[tuple[dict[str, Label], list[Figures]]]:
    """The figures of all chips of each setting, in the order of the grid."""
    found: dict[tuple[Label, ...], list[Figures]] = {}
    for point, figures in measured:
        found.setdefault(tuple(point[column] for column in columns), []).append(figures)
    return [(dict(zip(columns, key, strict=True)), group) for key, group in found.items()]


def over_chips(group: Sequence[Figures]) -> dict[str, Any]:
    """Accuracy and its loss against the ideal core as means, times and energies as medians over chips.

    A chip's own time is the median over its images that settled, its own energy the mean over its images.
    """
    there = [figures for figures in group if figures["refused"] is None]
    losses = [figures["accuracy_ideal"] - figures["accuracy"] for figures in there]
    return {
        "chips": len(there),
        "accuracy": _within_0_and_1(mean_with_ends([figures["accuracy"] for figures in there])),
        "accuracy_worst": min((figures["accuracy"] for figures in there), default=None),
        "loss": mean_with_ends(losses),
        "settled": mean_with_ends([figures["settled"] for figures in there])["middle"],
        "t_settle_s": median_with_ends(figures["t_settle_p50_s"] for figures in there),
        "energy_J": median_with_ends(figures["energy_mean_J"] for figures in there),
        "noise_rms": mean_with_ends([figures["noise_rms"] for figures in there])["middle"],
        "maintenance_J": mean_with_ends([figures["maintenance_J"] for figures in there])["middle"],
        "extrapolated": next((figures["extrapolated"] for figures in there if figures["extrapolated"]), ""),
        "refused": next((figures["refused"] for figures in group if figures["refused"] is not None), None),
    }


def mean_with_ends(values: Sequence[float]) -> Ends:
    """Mean and the ends of its 95 % interval over chips (Student's t); None where there are none or too few."""
    if not values:
        return {"middle": None, "low": None, "high": None}
    found = mean_interval(values)
    if found.half_width is None:
        return {"middle": found.mean, "low": None, "high": None}
    return {"middle": found.mean, "low": found.mean - found.half_width, "high": found.mean + found.half_width}


def _within_0_and_1(ends: Ends) -> Ends:
    """The interval of a mean of shares, which knows no more than that it is one."""
    return {name: None if value is None else min(1.0, max(0.0, value)) for name, value in ends.items()}


def median_with_ends(values: Iterable[float | None]) -> Ends:
    """Median and the ends of its 95 % bootstrap interval over the chips that have the figure."""
    known = [value for value in values if value is not None]
    if not known:
        return {"middle": None, "low": None, "high": None}
    found = median_interval(known)
    return {"middle": found.median, "low": found.low, "high": found.high}


def last_within(
    settings: Sequence[dict[str, Any]], limit: float, figure: Callable[[dict[str, Any]], float | None]
) -> dict[str, Any] | None:
    """The last of the settings, from the first on, up to which the figure never exceeds the limit.

    A setting that was refused, or has no figure, ends the search: nothing is known beyond it.
    """
    last = None
    for setting in settings:
        value = figure(setting)
        if value is None or math.isnan(value) or value > limit + 1e-12:
            break
        last = setting
    return last
