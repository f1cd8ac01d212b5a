"""Curves with intervals, in panels side by side: what the studies draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from analogdeq.report.plots.style import MUTED, SERIES, TEXT_SIZE, dress, headline, new_figure, plain, say_empty

WIDE: Final = 30.0
"""Largest over smallest value from which an axis is logarithmic."""
FEW: Final = 8
"""Values up to which each has its tick."""
MARKERS: Final = "osD^vP*X"


@final
@dataclass(frozen=True, kw_only=True)
class Line:
    """Values with intervals against x; NaN where there is none.

    Attributes:
        name: for the legend; "" for none.
        x: numbers, or words in the order they are drawn.
        middle: of each interval.
        low: lower ends; NaN draws the middle alone.
        high: upper ends.
        is_open: points drawn hollow, which are extrapolated.
    """

    name: str
    x: Sequence[float] | Sequence[str]
    middle: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    is_open: Sequence[bool] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: what it shows.
        x_label: with the unit.
        y_label: with the unit.
        lines: at least one, all with the same x.
        level: a value drawn as a quiet line across, with its name.
        is_log_y: whether y is logarithmic.
    """

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    level: tuple[float, str] | None = None
    is_log_y: bool = False


def plot_panels(panels: Sequence[Sequence[Panel]], note: str) -> Figure:
    """Draw a table of panels, row by row; `note` says under which conditions."""
    rows, columns = len(panels), max(map(len, panels))
    figure = new_figure(4.3 * columns + 0.4, 3.2 * rows + 0.4)
    grid = figure.subplots(rows, columns, squeeze=False)
    for across, row in zip(grid, panels, strict=True):
        for axes, panel in zip(across, row, strict=False):
            _draw(axes, panel)
        for axes in across[len(row) :]:
            axes.set_visible(False)
    figure.suptitle(plain(note) if len(note) < 40 else note.replace("$", r"\$"), fontsize=TEXT_SIZE, color=MUTED)
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    dress(axes, panel.x_label, panel.y_label)
    headline(axes, panel.title)
    known = [line for line in panel.lines if np.isfinite(np.asarray(line.middle, dtype=float)).any()]
    if not known:
        say_empty(axes, "nothing was measured")
        return
    place = _x_axis(axes, panel.lines[0].x)
    if panel.is_log_y:
        axes.set_yscale("log")
    for k, line in enumerate(panel.lines):
        _draw_line(axes, line, place, k)
    if panel.level is not None:
        axes.axhline(panel.level[0], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), label=panel.level[1])
    if any(line.name for line in panel.lines) or panel.level is not None:
        axes.legend(fontsize=TEXT_SIZE - 2, frameon=False)


def _draw_line(axes: Axes, line: Line, place: dict[float | str, float], k: int) -> None:
    colour, marker = SERIES[k % len(SERIES)], MARKERS[k % len(MARKERS)]
    x = np.array([place[value if value in place else str(value)] for value in line.x])
    middle, low, high = (np.asarray(y, dtype=float) for y in (line.middle, line.low, line.high))
    hollow = np.array(line.is_open or [False] * len(x), dtype=bool)
    axes.errorbar(
        x, middle, yerr=[np.nan_to_num(middle - low).clip(0), np.nan_to_num(high - middle).clip(0)],
        color=colour, linewidth=1.4, elinewidth=1.4, capsize=2.5, label=line.name or None, zorder=2,
    )  # fmt: skip
    axes.plot(x[~hollow], middle[~hollow], marker, color=colour, markersize=4.5, zorder=3)
    axes.plot(x[hollow], middle[hollow], marker, color=colour, markerfacecolor="white", markersize=4.5, zorder=3)


def _x_axis(axes: Axes, x: Sequence[float] | Sequence[str]) -> dict[float | str, float]:
    """Scale and ticks, and where each value stands: words side by side, numbers where they belong."""
    numbers = [value for value in x if not isinstance(value, str)]
    if len(numbers) < len(x):
        axes.set_xticks(range(len(x)), [plain(str(value)) for value in x])
        axes.set_xlim(-0.5, len(x) - 0.5)
        return {str(value): float(k) for k, value in enumerate(x)}
    positive = [value for value in numbers if value > 0]
    if positive and max(positive) / min(positive) >= WIDE and min(numbers) >= 0:
        place: dict[float | str, float] = {value: value for value in numbers}
        axes.set_xscale("log")
        if len(positive) < len(numbers):  # zero stands a step before the smallest, and says so
            step = (max(positive) / min(positive)) ** (1 / max(1, len(positive) - 1))
            place[0.0] = min(positive) / max(step, 2.0)
            first, last = math.ceil(math.log10(min(positive))), math.floor(math.log10(max(positive)))
            ticks = [10.0**k for k in range(first, last + 1)]
            axes.set_xticks([place[0.0], *ticks], ["0", *(f"{tick:g}" for tick in ticks)])
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.xaxis.set_minor_locator(NullLocator())
        return place
    if len(numbers) <= FEW:
        axes.set_xticks(numbers, [f"{value:g}" for value in numbers])
    return {value: value for value in numbers}
