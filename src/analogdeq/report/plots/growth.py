"""How the cost of a settle grows along four axes."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from analogdeq.report.plots.style import BLUE, INK, MUTED, ORANGE, TEXT_SIZE, dress, headline, new_figure, say_empty
from analogdeq.solve.trace import Float64
from analogdeq.studies.bench_growth import FITTED, Growth
from analogdeq.studies.growth_table import format_law
from analogdeq.studies.growth_work import AXES

LABELS: Final = {
    "nodes": "nodes N (1)",
    "batch": "samples B (1)",
    "tau_spread": "tau spread, slowest over fastest (1)",
    "gap": "gap, 1 - largest eigenvalue of W (1)",
}
TITLES: Final = {
    "nodes": "With the network",
    "batch": "With the batch",
    "tau_spread": "With stiffness",
    "gap": "As the gap closes",
}


def plot_growth(growth: Growth) -> Figure:
    """Draw time and evaluations against each axis, and the power law of the time over its upper half."""
    figure = new_figure(9.6, 7.0)
    for axes, axis in zip(figure.subplots(2, 2).flat, AXES, strict=True):
        _draw(axes, growth, axis)
    base = growth.spec.base
    figure.suptitle(
        f"Cost of a settle; base: N = {base.nodes}, B = {base.batch}, tau spread {base.tau_spread:g}, "
        f"gap {base.gap:g}; {growth.spec.method}, {growth.circumstances['machine']}; least squares over the upper half",
        fontsize=TEXT_SIZE, color=MUTED,
    )  # fmt: skip
    return figure


def _draw(axes: Axes, growth: Growth, axis: str) -> None:
    points = growth.of(axis)
    dress(axes, LABELS[axis], "time of the batch (s)")
    n_skipped = len(growth.spec.ladder(axis)) - len(points)
    headline(axes, TITLES[axis], f"skipped as too long: {n_skipped}" if n_skipped else "")
    if not points:
        say_empty(axes, "every point was skipped")
        return
    value, time_s, cpu_s, evaluations = (
        np.array([getattr(point, name) for point in points]) for name in ("value", *FITTED)
    )
    law = growth.fit(axis, "time_s")
    counts = axes.twinx()
    _scale(axes, counts, value, np.concatenate((time_s, cpu_s)), evaluations)
    axes.plot(value, time_s, "o", color=BLUE, markersize=5.5, label="time of the batch")
    if law is not None:
        ends = np.array([law.first, law.last])
        label = f"its slope: {format_law(law)}"
        axes.plot(ends, law.factor * ends**law.exponent, color=INK, linewidth=1.4, label=label)
    axes.plot(
        value, cpu_s, "o", color=BLUE, markersize=4.5, fillstyle="none",
        label=f"processor time, slope: {format_law(growth.fit(axis, 'cpu_s'))}",
    )  # fmt: skip
    counts.plot(
        value, evaluations, "s", color=ORANGE, markersize=3.5, fillstyle="none",
        label=f"evaluations, slope: {format_law(growth.fit(axis, 'evaluations'))}",
    )  # fmt: skip
    handles = [handle for each in (axes, counts) for handle in each.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, fontsize=TEXT_SIZE - 1.5, frameon=False, loc="upper left")


def _scale(axes: Axes, counts: Axes, value: Float64, time_s: Float64, evaluations: Float64) -> None:
    """Logarithms with as many decades on both sides, so that equal slopes look equal; the dear end on the right."""
    counts.set_ylabel("evaluations per sample (1)", fontsize=TEXT_SIZE, color=ORANGE)
    counts.tick_params(axis="y", which="both", labelsize=TEXT_SIZE - 1, colors=ORANGE, length=3)
    counts.spines[["top", "left", "bottom"]].set_visible(False)
    decades = max(10.0, *(float(y.max() / y.min()) for y in (time_s, evaluations)))
    for each, y in ((axes, time_s), (counts, evaluations)):
        each.set_xscale("log")
        each.set_yscale("log")
        each.set_ylim(y.min() / 1.5, y.min() / 1.5 * decades**1.5 * 1.5)  # with room for the legend
        each.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(value[::2], [f"{x:.4g}" for x in value[::2]])
    axes.xaxis.set_minor_locator(NullLocator())
    margin = (value[-1] / value[0]) ** 0.05 if value.size > 1 else 2.0
    axes.set_xlim(value[0] / margin, value[-1] * margin)
