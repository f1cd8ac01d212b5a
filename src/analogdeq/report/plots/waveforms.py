"""One sample settling: its nodes, its distance from rest, and the power it draws meanwhile."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analogdeq.report.plots.style import (
    DEEP_GREEN,
    DEEP_ORANGE,
    GREEN,
    INK,
    SERIES,
    TEXT_SIZE,
    VALUES,
    dress,
    headline,
    new_figure,
    plain,
)
from analogdeq.report.scale import AxisScale

MOST_LINES: Final = 24
"""More lines than this are a carpet."""
SHOWN_SETTLING_TIMES: Final = 1.8
"""How much of the rest after settling is worth paper."""


def plot_waveforms(
    time_s: npt.NDArray,
    state: npt.NDArray,
    equilibrium: npt.NDArray,
    *,
    band: float,
    t_settle_s: float,
    title: str,
    power_terms_W: Mapping[str, npt.NDArray],
    supply_terms: tuple[str, ...],
) -> Figure:
    """Draw the nodes with the band around their equilibria, the distance from rest, and the power beneath.

    Args:
        time_s: (time,) [s].
        state: (time, node) [1]. NaN after the sample's end.
        equilibrium: (node,) [1].
        band: [1]. Half width of the band.
        t_settle_s: [s]. The last time outside the band; NaN if it did not settle.
        title: whose waveforms these are.
        power_terms_W: (time,) [W] by term; empty leaves the power out.
        supply_terms: the terms that add up to the supply's power; the others are parts of these.
    """
    shown = _shown(time_s, state, t_settle_s)
    scale = AxisScale(time_s[shown], "s")
    time = time_s[shown] * scale.factor
    settle = t_settle_s * scale.factor

    figure = new_figure(8.2, 6.6 if power_terms_W else 5.0)
    rows = figure.subplots(
        3 if power_terms_W else 2, sharex=True, height_ratios=[3, 1.7, 1.5] if power_terms_W else [3, 1.7]
    )
    _draw_nodes(rows[0], time, state[shown], equilibrium, band)
    _draw_distance(rows[1], time, np.abs(state[shown] - equilibrium).max(axis=1), band)
    if power_terms_W:
        _draw_power(rows[2], time, {name: values[shown] for name, values in power_terms_W.items()}, supply_terms)
    for axes in rows:
        axes.set_xlim(0, time[-1] if time.size and time[-1] > 0 else 1.0)
        if np.isfinite(settle):
            axes.axvline(settle, color=GREEN, linewidth=1.2, linestyle=(0, (4, 2)))
    _name_settling(rows[1], settle, band, scale.unit)
    headline(rows[0], title, f"{_count(state.shape[1])}, coloured by resting value")
    rows[-1].set_xlabel(f"time since power-on ({scale.unit})", fontsize=TEXT_SIZE, color=INK)
    figure.align_ylabels(rows)
    return figure


def _shown(time_s: npt.NDArray, state: npt.NDArray, t_settle_s: float) -> npt.NDArray[np.bool_]:
    """Up to the sample's end, without a long rest after it settled."""
    shown = np.isfinite(state).all(axis=1)
    if np.isfinite(t_settle_s) and t_settle_s > 0:
        shown &= time_s <= SHOWN_SETTLING_TIMES * t_settle_s
    return shown


def _draw_nodes(axes: Axes, time: npt.NDArray, state: npt.NDArray, equilibrium: npt.NDArray, band: float) -> None:
    dress(axes, "", "state z")
    order = np.argsort(equilibrium)
    picked = order[np.unique(np.linspace(0, len(order) - 1, min(MOST_LINES, len(order))).astype(int))]
    for position, node in enumerate(picked):
        colour = VALUES(position / max(len(picked) - 1, 1))
        axes.axhspan(equilibrium[node] - band, equilibrium[node] + band, color=colour, alpha=0.13, linewidth=0)
        axes.plot(time, state[:, node], color=colour, linewidth=1.3)


def _draw_distance(axes: Axes, time: npt.NDArray, distance: npt.NDArray, band: float) -> None:
    dress(axes, "", "distance from\nequilibrium")
    axes.set_yscale("log")
    floor = band / 30
    axes.plot(time, np.maximum(distance, floor / 10), color=INK, linewidth=1.4)
    axes.axhspan(floor / 10, band, color=GREEN, alpha=0.12, linewidth=0)
    axes.axhline(band, color=GREEN, linewidth=1)
    axes.set_ylim(floor, 2 * max(float(distance.max(initial=0.0)), 3 * band))
    axes.annotate(
        f"band ±{band:.3g}", (0.005, band), xycoords=("axes fraction", "data"), xytext=(0, -3),
        textcoords="offset points", va="top", fontsize=TEXT_SIZE - 1.5, color=DEEP_GREEN,
    )  # fmt: skip


def _draw_power(axes: Axes, time: npt.NDArray, terms: dict[str, npt.NDArray], supply: tuple[str, ...]) -> None:
    """The supply's power as a line over what it is made of; what the parts leave open is lost in the supply's terms."""
    total = sum((terms[name] for name in supply), np.zeros_like(time))
    parts = {name: values for name, values in terms.items() if name not in supply} or terms
    scale = AxisScale(total, "W")
    dress(axes, "", f"power ({scale.unit})")
    bottom = np.zeros_like(time)
    for (name, values), colour in zip(parts.items(), SERIES * (1 + len(parts) // len(SERIES)), strict=False):
        top = bottom + values * scale.factor
        axes.fill_between(time, bottom, top, color=colour, alpha=0.85, linewidth=0, label=plain(name))
        bottom = top
    axes.plot(time, total * scale.factor, color=INK, linewidth=1.4, label="from the supply")
    axes.set_ylim(0, 1.08 * max(float(np.nanmax(np.maximum(total * scale.factor, bottom), initial=0.0)), 1e-12))
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.01, 0.97), ncols=len(parts) + 1, frameon=False,
        fontsize=TEXT_SIZE - 1.5, labelcolor=INK, handlelength=1.2, columnspacing=1.4, borderaxespad=0.2,
    )  # fmt: skip


def _name_settling(axes: Axes, settle: float, band: float, unit: str) -> None:
    """The settling time beside the point where the distance enters the band for good."""
    if not np.isfinite(settle):
        axes.text(
            0.99, 0.07, "did not settle", transform=axes.transAxes, ha="right", va="bottom",
            fontsize=TEXT_SIZE, color=DEEP_ORANGE, fontweight="bold",
        )  # fmt: skip
        return
    axes.plot(settle, band, "o", color=GREEN, markersize=6, clip_on=False, zorder=5)
    axes.annotate(
        f"settled at {settle:.3g} {unit}", (settle, band), xytext=(7, 7), textcoords="offset points",
        fontsize=TEXT_SIZE, color=DEEP_GREEN, fontweight="bold",
    )  # fmt: skip


def _count(nodes: int) -> str:
    return f"{nodes} nodes" if nodes <= MOST_LINES else f"{MOST_LINES} of {nodes} nodes"
