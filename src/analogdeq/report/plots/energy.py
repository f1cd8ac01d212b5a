"""Where the joules of an inference go."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from analogdeq.report.plots.style import BLUE, INK, ORANGE, TEXT_SIZE, dress, headline, new_figure, plain
from analogdeq.report.scale import AxisScale
from analogdeq.units import format_quantity


def plot_energy_terms(mean_terms_J: Mapping[str, float]) -> Figure:
    """Draw one bar per term, the largest on top, each with its value and its share of the total.

    Args:
        mean_terms_J: [J]. Mean over the samples, by term; the terms add up to the total.
    """
    terms = sorted(mean_terms_J.items(), key=lambda item: item[1])
    values = np.array([value for _, value in terms])
    total = float(values.sum())
    scale = AxisScale(values, "J")
    figure = new_figure(6.6, 1.4 + 0.36 * len(terms))
    axes = figure.subplots()
    dress(axes, f"mean energy per inference ({scale.unit})", "")
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0, labelsize=TEXT_SIZE)
    colours = [BLUE if value >= 0 else ORANGE for value in values]
    axes.barh([plain(name) for name, _ in terms], values * scale.factor, height=0.66, color=colours)
    for row, value in enumerate(values):
        # Right of the axis even for a negative bar, whose left is where the names stand.
        axes.annotate(
            f"{format_quantity(value, 'J')}  ({_share(value, total)})", (max(value, 0) * scale.factor, row),
            xytext=(5, 0), textcoords="offset points", va="center", fontsize=TEXT_SIZE - 0.5, color=INK,
        )  # fmt: skip
    axes.set_xlim(min(0.0, 1.05 * values.min() * scale.factor), 1.38 * max(values.max() * scale.factor, 1e-12))
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=INK, linewidth=0.8)
    headline(axes, "Where the energy goes", f"total {format_quantity(total, 'J')}")
    return figure


def _share(value: float, total: float) -> str:
    if total <= 0:
        return "–"
    share = value / total
    return "< 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"
