"""`yield`: the share of chips that are good enough."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from matplotlib.figure import Figure

from analogdeq.errors import InputError
from analogdeq.report.plots.intervals import Line, Panel, plot_panels
from analogdeq.runs.study.over_chips import grouped, over_chips
from analogdeq.runs.study.point import Content, Figures, Point
from analogdeq.runs.study.study import Measured, Study
from analogdeq.scenario import Scenario
from analogdeq.studies.interval import wilson

CARES = ("none", "compensation", "scenario")


@final
@dataclass(frozen=True, kw_only=True)
class ChipYield(Study):
    """How many chips lose no more accuracy than is allowed, settle every image, and are fast and frugal enough.

    Attributes:
        ages: [s]. Since programming; 0 is the first read.
        cares: "none", "compensation" (every `compensation_s`) or "scenario".
        compensation_s: [s].
        noise: [1]. Factor on read noise and white noise.
        points_lost: accuracy in percentage points against the ideal core that a good chip may lose.
        limits: points at which the yield curve is drawn.
        t_settle_max_s: [s]. The slowest image of a good chip; None: any.
        energy_max_J: [J]. Mean energy of a good chip; None: any.
    """

    kind: ClassVar[str] = "yield"

    ages: tuple[float, ...] = (0.0, 86400.0)
    cares: tuple[str, ...] = ("none", "compensation")
    compensation_s: float = 60.0
    noise: float = 1.0
    points_lost: float = 1.0
    limits: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
    t_settle_max_s: float | None = None
    energy_max_J: float | None = None

    def __post_init__(self) -> None:
        """Refuse names and values that mean nothing.

        Raises:
            InputError: naming them.
        """
        unknown = [name for name in self.cares if name not in CARES]
        if unknown or not self.cares:
            raise InputError(f"yield knows no care {(unknown or [''])[0]!r}; known: {', '.join(CARES)}")
        if not self.ages or list(self.ages) != sorted(set(self.ages)) or self.ages[0] < 0:
            raise InputError(f"ages must ascend from 0 or above, got {', '.join(map(str, self.ages))}")

    def points(self, scenario: Scenario) -> list[Point]:
        """Care by care, age by age, chip by chip."""
        found = []
        for care in self.cares:
            interval = self.compensation_s if care == "compensation" else "none"
            kept = () if care == "scenario" else (f"ageing.compensation_s={interval}", "ageing.refresh_s=none")
            for age in self.ages:
                for seed in self.seeds(scenario):
                    content = Content(overrides=(*kept, f"ageing.age_s={age}"), chip=seed, noise=self.noise)
                    found.append(Point(labels=(("care", care), ("age_s", age), ("chip", seed)), content=content))
        return found

    def summary(self, measured: Measured) -> dict[str, Any]:
        """The yield and its curve at every age and care, with Wilson's intervals."""
        settings = []
        for at, group in grouped(measured, ("care", "age_s")):
            curve = [{"points_lost": limit, **self._share(group, limit)} for limit in self.limits]
            settings.append({**at, **over_chips(group), "yield": self._share(group, self.points_lost), "curve": curve})
        return {"settings": settings, "verdict": "; ".join(self._in_words(one) for one in settings)}

    def pictures(self, summary: Mapping[str, Any]) -> dict[str, Figure]:
        """Yield against what may be lost."""
        lines = [
            Line(
                name=f"{_age(one['age_s'])}, {_CARE_WORDS[one['care']]}",
                x=[point["points_lost"] for point in one["curve"]],
                middle=[_percent(point["share"]) for point in one["curve"]],
                low=[_percent(point["low"]) for point in one["curve"]],
                high=[_percent(point["high"]) for point in one["curve"]],
            )
            for one in summary["settings"]
        ]
        panel = Panel(
            title="Yield", x_label="accuracy a chip may lose (points)", y_label="share of the chips (%)", lines=lines
        )
        return {"yield": plot_panels([[panel]], f"{self.chips} chips; bars: Wilson's 95 % intervals")}

    def _share(self, group: list[Figures], points_lost: float) -> dict[str, Any]:
        if any(figures["refused"] is not None for figures in group):
            return {"good": None, "share": None, "low": None, "high": None}
        good = sum(self._is_good(figures, points_lost / 100) for figures in group)
        low, high = wilson(good / len(group), len(group))
        return {"good": good, "share": good / len(group), "low": low, "high": high}

    def _is_good(self, figures: Figures, loss: float) -> bool:
        return bool(
            figures["accuracy_ideal"] - figures["accuracy"] <= loss + 1e-12
            and figures["settled"] == 1
            and (self.t_settle_max_s is None or figures["t_settle_max_s"] <= self.t_settle_max_s)
            and (self.energy_max_J is None or figures["energy_mean_J"] <= self.energy_max_J)
        )

    def _in_words(self, setting: Mapping[str, Any]) -> str:
        where, found = f"{_age(setting['age_s'])}, {_CARE_WORDS[setting['care']]}", setting["yield"]
        if found["share"] is None:
            return f"{where}: outside the preset's measured range, not allowed"
        return (
            f"{where}: {found['good']} of {setting['chips']} chips good "
            f"({_percent(found['low']):.0f} to {_percent(found['high']):.0f} %)"
        )


_CARE_WORDS = {"none": "no compensation", "compensation": "compensated", "scenario": "as the scenario says"}


def _age(age_s: float) -> str:
    return "fresh" if age_s == 0 else f"after {age_s:g} s"


def _percent(share: float | None) -> float:
    return float("nan") if share is None else 100 * share
