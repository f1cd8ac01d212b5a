"""A device preset at a glance: its error against conductance, and what time does to it."""

from dataclasses import dataclass
from typing import final

import numpy.typing as npt
from matplotlib.figure import Figure

from analogdeq.report.plots.style import BLUE, SERIES, dress, headline, new_figure, say_empty


@final
@dataclass(frozen=True)
class DeviceCurves:
    """What the picture shows, in units people read.

    Attributes:
        title: of the preset.
        unit: of the conductances, "µS" or "% of g_max".
        target: (point,) conductances asked for.
        sigma: (point,) standard deviation of the programmed conductance.
        times_s: (time,) ages; empty where the preset does not age.
        retained: (time, state, 3) 5th, 50th and 95th percentile of G(t)/G_target.
        states: (state,) conductances of those curves.
    """

    title: str
    unit: str
    target: npt.NDArray
    sigma: npt.NDArray
    times_s: npt.NDArray
    retained: npt.NDArray
    states: npt.NDArray


def plot_device(curves: DeviceCurves) -> Figure:
    """Draw both halves; a preset without ageing says so in the second."""
    figure = new_figure(9.6, 3.8)
    left, right = figure.subplots(1, 2)
    dress(left, f"conductance asked for ({curves.unit})", f"standard deviation ({curves.unit})")
    headline(left, "Programming error")
    left.plot(curves.target, curves.sigma, color=BLUE, linewidth=1.8)
    left.set_ylim(bottom=0)
    dress(right, "time since programming (s)", "conductance over target")
    headline(right, "Ageing")
    if not curves.times_s.size:
        say_empty(right, "the source measured no ageing")
        return figure
    right.set_xscale("log")
    for k, state in enumerate(curves.states):
        low, middle, high = curves.retained[:, k].T
        colour = SERIES[k % len(SERIES)]
        right.fill_between(curves.times_s, low, high, color=colour, alpha=0.15, linewidth=0)
        right.plot(curves.times_s, middle, color=colour, linewidth=1.6, label=f"{state:.3g} {curves.unit}")
    right.legend(frameon=False, fontsize=8.5, title="median, 5 to 95 %", title_fontsize=8.5)
    return figure
