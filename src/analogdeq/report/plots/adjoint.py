"""The error of an adjoint solve over its product budget."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from analogdeq.report.plots.style import SERIES, TEXT_SIZE, dress, headline, new_figure, plain

CEILING = 10.0
"""Errors above this are drawn here: a solve that diverges needs no scale."""


def plot_adjoint(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw median relative error over products, a panel per core and noise, a line per method.

    Args:
        rows: with "core", "noise", "level", "method", "budget" and "error".
    """
    panels = list(dict.fromkeys((row["core"], row["noise"], row["level"]) for row in rows))
    columns = min(4, len(panels))
    lines = -(-len(panels) // columns)
    figure = new_figure(3.3 * columns, 2.9 * lines + 0.6)
    grid = figure.subplots(lines, columns, squeeze=False)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for axes, panel in zip(grid.flat, panels, strict=False):
        core, noise, level = panel
        dress(axes, "products", "relative error")
        headline(axes, f"{core}, {noise} {level:g}" if noise != "none" else f"{core}, exact")
        for k, method in enumerate(methods):
            points = [
                (row["budget"], min(row["error"], CEILING))
                for row in rows
                if row["method"] == method and (row["core"], row["noise"], row["level"]) == panel
            ]
            style = "-" if k < len(SERIES) else "--"
            axes.plot(
                *zip(*sorted(points), strict=True),
                style,
                color=SERIES[k % len(SERIES)],
                linewidth=2.4 if k == 0 else 1.2,
                marker="o",
                markersize=3,
                label=plain(method),
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=TEXT_SIZE - 1)
    return figure
