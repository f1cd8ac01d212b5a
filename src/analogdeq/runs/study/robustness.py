"""`robustness`: accuracy, settling time and energy against noise, programming error, age and temperature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

from matplotlib.figure import Figure

from analogdeq.errors import InputError
from analogdeq.report.plots.intervals import plot_panels
from analogdeq.runs.study.drawing import figure_panels
from analogdeq.runs.study.over_chips import grouped, last_within, over_chips
from analogdeq.runs.study.point import Content, Point
from analogdeq.runs.study.study import Measured, Study
from analogdeq.scenario import Scenario

AXES = ("noise", "programming", "age", "temperature")
LABELS = {
    "noise": "factor on read and thermal noise (1)",
    "programming": "factor on the programming error (1)",
    "age": "time since programming (s)",
    "temperature": "temperature of storage and operation (K)",
}
TITLES = {
    "noise": "under noise", "programming": "off target", "age": "with age", "temperature": "with temperature"
}  # fmt: skip
UNITS = {"noise": "times", "programming": "times", "age": "s", "temperature": "K"}
NOMINAL = {"noise": 1.0, "programming": 1.0, "age": 0.0, "temperature": 300.0}
CARES = ("none", "compensation", "scenario")
YEAR_S = 3.156e7


@final
@dataclass(frozen=True, kw_only=True)
class Robustness(Study):
    """Each axis by itself, all else as it is: fresh, at room temperature, with its noise and its programming error.

    Attributes:
        axes: which of `AXES`.
        noise: factors on read noise and white noise.
        programming: factors on the programming error.
        age: [s]. Since programming; 0 is the first read.
        temperature: [K]. Of storage and operation.
        soak_s: [s]. Age at which temperatures are compared, all of it spent at that temperature.
        cares: how chips are looked after along age and temperature: "none", "compensation" (global drift compensation
            every `compensation_s`) or "scenario".
        compensation_s: [s].
        points_lost: accuracy in percentage points that may be lost against the ideal core, for the verdict.
    """

    kind: ClassVar[str] = "robustness"

    axes: tuple[str, ...] = AXES
    noise: tuple[float, ...] = (0.0, 1.0, 2.0, 5.0, 7.0, 10.0, 15.0, 20.0)
    programming: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0)
    age: tuple[float, ...] = (1.0, 20.0, 1e2, 1e3, 1e4, 86400.0, 2.63e6, YEAR_S, 10 * YEAR_S)
    temperature: tuple[float, ...] = (250.0, 275.0, 290.0, 300.0, 310.0, 325.0, 350.0, 375.0, 400.0)
    soak_s: float = 86400.0
    cares: tuple[str, ...] = ("none", "compensation")
    compensation_s: float = 60.0
    points_lost: float = 1.0

    def __post_init__(self) -> None:
        """Refuse names and values that mean nothing.

        Raises:
            InputError: naming them.
        """
        for what, given, known in (("axis", self.axes, AXES), ("care", self.cares, CARES)):
            unknown = [name for name in given if name not in known]
            if unknown or not given:
                raise InputError(f"robustness knows no {what} {(unknown or [''])[0]!r}; known: {', '.join(known)}")
        for name in AXES:
            values = getattr(self, name)
            if list(values) != sorted(set(values)) or (values and values[0] < 0):
                raise InputError(f"values of {name} must ascend from 0 or above, got {', '.join(map(str, values))}")

    def points(self, scenario: Scenario) -> list[Point]:
        """Axis by axis, care by care, value by value, chip by chip."""
        return [
            Point(
                labels=(("axis", axis), ("care", care), ("value", value), ("chip", seed)),
                content=self._content(axis, care, value, seed),
            )
            for axis in self.axes
            for care in (self.cares if axis in ("age", "temperature") else ("scenario",))
            for value in getattr(self, axis)
            for seed in self.seeds(scenario)
        ]

    def summary(self, measured: Measured) -> dict[str, Any]:
        """Each value of each axis over the chips, and how far the accuracy holds."""
        settings = [{**at, **over_chips(group)} for at, group in grouped(measured, ("axis", "care", "value"))]
        held = [
            self._held(axis, care, [one for one in settings if (one["axis"], one["care"]) == (axis, care)])
            for axis, care in dict.fromkeys((one["axis"], one["care"]) for one in settings)
        ]
        return {"settings": settings, "held": held, "verdict": "; ".join(_in_words(one) for one in held)}

    def pictures(self, summary: Mapping[str, Any]) -> dict[str, Figure]:
        """A row of panels per axis."""
        rows = []
        for axis in self.axes:
            curves: dict[str, list[Mapping[str, Any]]] = {}
            for one in summary["settings"]:
                if one["axis"] == axis:
                    curves.setdefault(_CARE_WORDS[one["care"]], []).append(one)
            rows.append(figure_panels(TITLES[axis], LABELS[axis], curves))
        note = f"{self.chips} chips; bars: 95 % intervals over chips; hollow: outside the preset's measured range"
        return {"robustness": plot_panels(rows, note)}

    def _content(self, axis: str, care: str, value: float, seed: int) -> Content:
        at = NOMINAL | {axis: value}
        changes: list[str] = []
        if care != "scenario":
            interval = self.compensation_s if care == "compensation" else "none"
            changes += [f"ageing.compensation_s={interval}", "ageing.refresh_s=none"]
        if axis == "age":
            changes.append(f"ageing.age_s={value}")
        elif axis == "temperature":
            changes += [f"ageing.age_s={self.soak_s}", f"ageing.temperature_K={value}"]
        return Content(overrides=tuple(changes), chip=seed, noise=at["noise"], programming=at["programming"])

    def _held(self, axis: str, care: str, settings: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """From the nominal value outwards, both ways, how far the mean loss stays within the limit."""
        limit = self.points_lost / 100
        upward = [one for one in settings if one["value"] >= NOMINAL[axis]]
        downward = [one for one in reversed(settings) if one["value"] <= NOMINAL[axis]]
        up, down = (last_within(part, limit, lambda one: one["loss"]["middle"]) for part in (upward, downward))
        return {
            "axis": axis,
            "care": care,
            "points_lost": self.points_lost,
            "up_to": None if up is None else up["value"],
            "down_to": None if down is None or axis != "temperature" else down["value"],
            "extrapolated": "" if up is None else up["extrapolated"],
            "is_last": up is not None and bool(settings) and up["value"] == settings[-1]["value"],
        }


_CARE_WORDS = {"none": "no compensation", "compensation": "compensated", "scenario": "as the scenario says"}


def _in_words(held: Mapping[str, Any]) -> str:
    care = "" if held["care"] == "scenario" else f", {_CARE_WORDS[held['care']]}"
    about = f"{held['axis']}{care}: "
    if held["up_to"] is None and held["down_to"] is None:
        return about + f"loses more than {held['points_lost']:g} points at once"
    unit, beyond = UNITS[held["axis"]], " (extrapolated)" if held["extrapolated"] else ""
    ends = "" if held["down_to"] is None else f"from {held['down_to']:g} "
    up_to = "" if held["up_to"] is None else f"up to {held['up_to']:g} {unit}{beyond}"
    last = ", the last value measured" if held["is_last"] else ""
    return about + f"within {held['points_lost']:g} points {ends}{up_to}{last}"
