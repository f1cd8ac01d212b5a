"""The spectrum that decides whether a circuit settles, and whether digital iteration would converge."""

from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from analogdeq.report.plots.style import (
    BLUE,
    DEEP_GREEN,
    DEEP_ORANGE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    TEXT_SIZE,
    dress,
    headline,
    new_figure,
)
from analogdeq.units import format_quantity

NOTE_ROOM: Final = 0.3
"""Share of the upper half's height that is added below, for the number the picture is for."""


def plot_eigenvalues(eigenvalues: npt.NDArray[np.complex128], tau_s: float) -> Figure:
    """Draw eigenvalues of the Jacobian D W, the line Re = 1 beyond which nothing settles, and the unit circle.

    The slowest mode of dz/dt = (-z + F(z))/tau decays at (1 - max Re)/tau; Picard iteration z <- F(z) shrinks an error
    by max |.| in each step.

    Args:
        eigenvalues: (any,) complex [1].
        tau_s: [s]. Time constant of the nodes.
    """
    values = np.asarray(eigenvalues).ravel()
    slowest = values[values.real >= values.real.max() - 1e-9 * np.abs(values).max()]
    figure = new_figure(6.2, 6.0)
    axes = figure.subplots()
    dress(axes, "real part", "imaginary part")
    axes.set_aspect("equal", adjustable="box")
    left, right, half = _limits(values)
    axes.set_xlim(left, right)
    axes.set_ylim(-(1 + NOTE_ROOM) * half, half)
    axes.axvspan(1, right, color=ORANGE, alpha=0.10, linewidth=0)
    axes.axvline(1, color=ORANGE, linewidth=1.6)
    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor=MUTED, linewidth=1.2, linestyle=(0, (4, 2))))
    axes.plot(values.real, values.imag, "o", color=BLUE, markersize=4.5, alpha=_opacity(values.size), markeredgewidth=0)
    axes.plot(slowest.real, slowest.imag, "o", color=PAPER, markersize=8, markeredgecolor=INK, markeredgewidth=1.6)
    _label_regions(axes, right, half)
    _label_gap(axes, 1 - float(values.real.max()), tau_s)
    headline(axes, "Does it settle?", f"max |λ| = {np.abs(values).max():.3g}, for Picard")
    return figure


def _limits(values: npt.NDArray[np.complex128]) -> tuple[float, float, float]:
    """Room for the circle, the line and every eigenvalue."""
    left = min(-1.15, 1.1 * float(values.real.min()))
    right = max(1.45, 1.15 * float(values.real.max()))
    half = max(1.25, 1.15 * float(np.abs(values.imag).max()))
    spare = max(0.0, half * (2 + NOTE_ROOM) - (right - left)) / 2  # a tall spectrum is still drawn in a square
    left, right = left - spare, right + spare
    return left, right, half


def _opacity(count: int) -> float:
    return 0.85 if count <= 100 else 0.35


def _label_regions(axes: Axes, right: float, half: float) -> None:
    axes.text(
        (1 + right) / 2,
        0.96 * half,
        "does not\nsettle",
        ha="center",
        va="top",
        fontsize=TEXT_SIZE - 1,
        color=DEEP_ORANGE,
    )
    axes.text(0, -1.04, "Picard converges inside", ha="center", va="top", fontsize=TEXT_SIZE - 1.5, color=MUTED)


def _label_gap(axes: Axes, gap: float, tau_s: float) -> None:
    """The number the picture is for, in words."""
    if gap > 0:
        text = (
            f"settling rate 1 − max Re λ = {gap:.3g} per τ\nslowest mode decays in {format_quantity(tau_s / gap, 's')}"
        )
    else:
        text = f"1 − max Re λ = {gap:.3g}: the slowest mode grows"
    colour, edge = (DEEP_GREEN, GREEN) if gap > 0 else (DEEP_ORANGE, ORANGE)
    axes.text(
        0.015, 0.02, text, transform=axes.transAxes, ha="left", va="bottom",
        fontsize=TEXT_SIZE - 0.5, color=colour, linespacing=1.5,
        bbox={"facecolor": PAPER, "edgecolor": edge, "linewidth": 0.8, "boxstyle": "round,pad=0.45"},
    )  # fmt: skip
