"""`noise-margin`: the largest noise and the smallest bit widths that keep the accuracy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

from matplotlib.figure import Figure

from analogdeq.errors import InputError
from analogdeq.report.plots.intervals import plot_panels
from analogdeq.runs.study.drawing import figure_panel
from analogdeq.runs.study.over_chips import last_within, mean_with_ends, over_chips
from analogdeq.runs.study.point import Content, Figures, Point
from analogdeq.runs.study.study import Measured, Study
from analogdeq.scenario import Scenario

AXES = ("noise", "adc", "dac", "weights")
LABELS = {
    "noise": "factor on read and thermal noise (1)",
    "adc": "bits of the A/D converters (1)",
    "dac": "bits of the D/A converters (1)",
    "weights": "bits of the conductances (1)",
}
TITLES = {
    "noise": "Noise", "adc": "Readout resolution", "dac": "Input resolution", "weights": "Weight resolution"
}  # fmt: skip
REFERENCE = "reference"
CHANGES: Mapping[str, Callable[[int], tuple[str, ...]]] = {
    # The survey of converters has none of the narrowest, so these have no price, and joules are withheld.
    "adc": lambda bits: (f"circuit.adc.bits={bits}", "circuit.adc.energy_J=0.0"),
    "dac": lambda bits: (f"circuit.dac.bits={bits}",),
    "weights": lambda bits: (f"device.levels={2**bits}",),
}


@final
@dataclass(frozen=True, kw_only=True)
class NoiseMargin(Study):
    """What the same chips lose to noise and to coarser steps, chip by chip.

    The reference is each chip itself without noise and with the scenario's own resolutions: what it loses to its
    programming error is no matter of this study.

    Attributes:
        axes: which of `AXES`.
        noise: factors on read noise and white noise, ascending.
        bits: widths, ascending.
        points_lost: accuracy in percentage points that may be lost, as a mean over the chips.
    """

    kind: ClassVar[str] = "noise-margin"

    axes: tuple[str, ...] = AXES
    noise: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 20.0)
    bits: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    points_lost: float = 1.0

    def __post_init__(self) -> None:
        """Refuse names and values that mean nothing.

        Raises:
            InputError: naming them.
        """
        unknown = [name for name in self.axes if name not in AXES]
        if unknown or not self.axes:
            raise InputError(f"noise-margin knows no axis {(unknown or [''])[0]!r}; known: {', '.join(AXES)}")
        for name, values in (("noise", self.noise), ("bits", self.bits)):
            if not values or list(values) != sorted(set(values)) or values[0] <= 0:
                raise InputError(f"values of {name} must ascend from above 0, got {', '.join(map(str, values))}")

    def points(self, scenario: Scenario) -> list[Point]:
        """The reference first, then axis by axis."""
        found = [_point(REFERENCE, 0.0, Content(overrides=(), chip=seed)) for seed in self.seeds(scenario)]
        for axis in self.axes:
            for value in self.noise if axis == "noise" else self.bits:
                for seed in self.seeds(scenario):
                    content = (
                        Content(overrides=(), chip=seed, noise=float(value))
                        if axis == "noise"
                        else Content(overrides=CHANGES[axis](int(value)), chip=seed)
                    )
                    found.append(_point(axis, value, content))
        return found

    def withheld(self, point: Point) -> tuple[str, ...]:
        """Joules of converters that were given no price."""
        return ("energy_mean_J", "energy_p95_J") if point["axis"] == "adc" else ()

    def summary(self, measured: Measured) -> dict[str, Any]:
        """What each value costs, and the last one that costs no more than is allowed."""
        reference = {point["chip"]: figures for point, figures in measured if point["axis"] == REFERENCE}
        settings: dict[str, list[dict[str, Any]]] = {}
        for axis in self.axes:
            for value in dict.fromkeys(point["value"] for point, _ in measured if point["axis"] == axis):
                group = {p["chip"]: f for p, f in measured if (p["axis"], p["value"]) == (axis, value)}
                lost = _lost(reference, group)
                settings.setdefault(axis, []).append(
                    {"axis": axis, "value": value, **over_chips(list(group.values())), "lost": mean_with_ends(lost)}
                )
        margins = [self._margin(axis, settings[axis]) for axis in self.axes]
        return {
            "reference": over_chips(list(reference.values())),
            "settings": [one for axis in self.axes for one in settings[axis]],
            "margins": margins,
            "verdict": "; ".join(_in_words(margin, self.points_lost) for margin in margins),
        }

    def pictures(self, summary: Mapping[str, Any]) -> dict[str, Figure]:
        """What is lost against each axis, with the limit."""
        panels = []
        for axis in self.axes:
            curve = [one for one in summary["settings"] if one["axis"] == axis]
            panel = figure_panel(TITLES[axis], LABELS[axis], "accuracy lost (points)", {"": curve}, "lost", factor=100)
            panels.append(_with_level(panel, self.points_lost))
        note = f"{self.chips} chips, each against itself; bars: 95 % intervals over chips"
        rows = [panels[k : k + 2] for k in range(0, len(panels), 2)]
        return {"noise-margin": plot_panels(rows, note)}

    def _margin(self, axis: str, settings: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The last value towards the worse, by the mean loss and by the upper end of its interval."""
        limit = self.points_lost / 100
        towards_worse = settings if axis == "noise" else list(reversed(settings))
        by_mean = last_within(towards_worse, limit, lambda one: one["lost"]["middle"])
        by_end = last_within(towards_worse, limit, lambda one: one["lost"]["high"])
        return {
            "axis": axis,
            "value": None if by_mean is None else by_mean["value"],
            "surely": None if by_end is None else by_end["value"],
            "lost_there": None if by_mean is None else by_mean["lost"],
            "noise_rms": None if by_mean is None or axis != "noise" else by_mean["noise_rms"],
            "is_last": by_mean is not None and by_mean is towards_worse[-1],
        }


def _point(axis: str, value: float, content: Content) -> Point:
    return Point(labels=(("axis", axis), ("value", value), ("chip", content.chip)), content=content)


def _lost(reference: Mapping[Any, Figures], group: Mapping[Any, Figures]) -> list[float]:
    """Accuracy lost by each chip that has both figures."""
    return [
        reference[seed]["accuracy"] - figures["accuracy"]
        for seed, figures in group.items()
        if figures["refused"] is None and reference[seed]["refused"] is None
    ]


def _with_level(panel: Any, level: float) -> Any:
    from dataclasses import replace

    return replace(panel, level=(level, f"{level:g} points"))


def _in_words(margin: Mapping[str, Any], points_lost: float) -> str:
    words = TITLES[margin["axis"]].lower()
    if margin["value"] is None:
        return f"{words}: every value costs more than {points_lost:g} points"
    last = " (the last value measured)" if margin["is_last"] else ""
    if margin["axis"] == "noise":
        return f"{words}: up to {margin['value']:g} times costs at most {points_lost:g} points{last}"
    return f"{words}: {margin['value']:g} bits cost at most {points_lost:g} points{last}"
