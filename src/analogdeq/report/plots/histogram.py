"""How a quantity is distributed over the samples, with its median, 95th percentile and maximum."""

from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analogdeq.report.plots.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    TEXT_SIZE,
    dress,
    headline,
    new_figure,
    say_empty,
)
from analogdeq.report.scale import AxisScale

MOST_BINS: Final = 48


def plot_histogram(values: npt.NDArray, unit: str, quantity: str, title: str, colour: str = BLUE) -> Figure:
    """Draw the finite ones of `values` and say how many were left out.

    Args:
        values: (batch,) in SI units; NaN where a sample has none.
        unit: the SI unit, "s" or "J".
        quantity: what the axis says, "settling time".
        title: what the picture says.
        colour: of the bars.
    """
    finite = values[np.isfinite(values)]
    scale = AxisScale(finite, unit)
    shown = finite * scale.factor
    figure = new_figure(6.2, 4.0)
    axes = figure.subplots()
    dress(axes, f"{quantity} ({scale.unit})", "samples")
    axes.grid(visible=False, axis="x")
    headline(axes, title, f"{len(finite)} of {len(values)} samples" if len(finite) < len(values) else "")
    if not shown.size:
        say_empty(axes, f"no sample has a {quantity}")
        return figure
    axes.hist(shown, bins=_edges(shown).tolist(), color=colour, edgecolor=PAPER, linewidth=0.6)
    marks = {"p50": np.percentile(shown, 50), "p95": np.percentile(shown, 95), "max": shown.max()}
    _mark(axes, {name: float(value) for name, value in marks.items()}, scale.unit)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    return figure


def _edges(values: npt.NDArray) -> npt.NDArray:
    """Freedman and Diaconis's bins, within reason; equal values get one bin of a visible width."""
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-9 * max(abs(high), 1e-300):
        half = 0.05 * abs(high) or 0.5
        return np.array([low - half, high + half])
    edges = np.histogram_bin_edges(values, "auto")
    return edges if len(edges) <= MOST_BINS + 1 else np.linspace(low, high, MOST_BINS + 1)


def _mark(axes: Axes, marks: dict[str, float], unit: str) -> None:
    """Flags of rising height, so that neighbours never cover each other's text."""
    left, right = axes.get_xlim()
    top = axes.get_ylim()[1]
    axes.set_ylim(0, top * 1.32)
    for row, (name, value) in enumerate(marks.items()):
        height = top * (1.05 + 0.1 * row)
        colour = ORANGE if name == "p95" else INK if name == "p50" else MUTED
        axes.plot(
            [value, value], [0, height], color=colour, linewidth=1.3, linestyle="-" if name == "p50" else (0, (4, 2))
        )
        is_left = (value - left) / (right - left) > 0.55
        axes.annotate(
            f"{name}  {value:.3g} {unit}", (value, height),
            xytext=(-5 if is_left else 5, 0), textcoords="offset points",
            ha="right" if is_left else "left", va="center", fontsize=TEXT_SIZE - 0.5, color=colour,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
