"""`sweep`: every combination of values of any keys of a scenario."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, final

from matplotlib.figure import Figure

from analogdeq.report.plots.intervals import plot_panels
from analogdeq.runs.study.drawing import figure_panels
from analogdeq.runs.study.over_chips import grouped, over_chips
from analogdeq.runs.study.point import Content, Label, Point
from analogdeq.runs.study.study import Measured, Study
from analogdeq.scenario import Scenario
from analogdeq.scenario.axes import Axis

MOST_LINES = 8
"""Combinations of the other keys that one picture can hold apart."""
CHIP_SEED = "seeds.chip"


@final
@dataclass(frozen=True, kw_only=True)
class Sweep(Study):
    """Accuracy, settling time and energy at every combination of some keys' values.

    Attributes:
        axes: (key, values) of what is varied, spelt as `--set` takes them; the first one is drawn along x.
        noise: [1]. Factor on read noise and white noise at every point; 0: none of it.
    """

    kind: ClassVar[str] = "sweep"

    axes: tuple[tuple[str, tuple[str, ...]], ...]
    noise: float = 0.0

    def points(self, scenario: Scenario) -> list[Point]:
        """The combinations, the last axis fastest; within each, its chips."""
        found = []
        for values in product(*(values for _, values in self.axes)):
            pairs = list(zip((key for key, _ in self.axes), values, strict=True))
            chosen = [int(value) for key, value in pairs if key == CHIP_SEED]
            overrides = tuple(f"{key}={value}" for key, value in pairs if key != CHIP_SEED)
            for seed in chosen or self.seeds(scenario):
                labels: list[tuple[str, Label]] = [*pairs]
                labels += [] if chosen else [("chip", seed)]
                found.append(
                    Point(labels=tuple(labels), content=Content(overrides=overrides, chip=seed, noise=self.noise))
                )
        return found

    def summary(self, measured: Measured) -> dict[str, Any]:
        """Every combination over its chips, and which one is best."""
        keys = [key for key, _ in self.axes]
        settings = [{"at": at, **over_chips(group)} for at, group in grouped(measured, keys)]
        return {"settings": settings, "verdict": self._verdict(settings)}

    def pictures(self, summary: Mapping[str, Any]) -> dict[str, Figure]:
        """The figures against the first key, a line for every combination of the others."""
        key, _ = self.axes[0]
        curves: dict[str, list[dict[str, Any]]] = {}
        unit = Axis(key, ()).unit
        for setting in summary["settings"]:
            others = ", ".join(f"{name} = {value}" for name, value in setting["at"].items() if name != key)
            if others in curves or len(curves) < MOST_LINES:
                value = _as_number(setting["at"][key], unit)
                curves.setdefault(others, []).append({"value": value, **setting})
        label = f"{key} ({unit})" if unit else key
        note = f"{self.chips} chip{'s' if self.chips > 1 else ''} per point; 95 % intervals over chips"
        return {"sweep": plot_panels([figure_panels("", label, curves)], note)}

    def _verdict(self, settings: list[dict[str, Any]]) -> str:
        known = [one for one in settings if one["accuracy"]["middle"] is not None]
        if not known:
            return "nothing could be measured; see reasons"
        by_accuracy = sorted(known, key=lambda one: one["accuracy"]["middle"])
        worst, best = by_accuracy[0], by_accuracy[-1]
        unsettled = sum(one["settled"] < 1 for one in known)
        return (
            f"accuracy from {_percent(worst)} at {_place(worst)} to {_percent(best)} at {_place(best)}; "
            + ("every image settled everywhere" if not unsettled else f"images did not settle at {unsettled} settings")
            + ("" if len(known) == len(settings) else f"; {len(settings) - len(known)} settings were refused")
        )


def _as_number(value: Label, unit: str) -> float | str:
    """A value for an axis: a number where it is one, else the word."""
    from analogdeq.errors import UnitError
    from analogdeq.units import UNITS, parse_quantity

    text = str(value).strip("\"'")
    try:
        return parse_quantity(text, unit) if unit in UNITS else float(text)
    except (UnitError, ValueError):
        return text


def _place(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in setting["at"].items())


def _percent(setting: Mapping[str, Any]) -> str:
    return f"{100 * setting['accuracy']['middle']:.2f} %"
