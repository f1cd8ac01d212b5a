"""How every picture looks: colours that colour-blind readers tell apart, thin lines, one type size."""

from typing import Final

from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

INK: Final = "#1b2733"
MUTED: Final = "#5a6876"
GRID: Final = "#e4e8ed"
PAPER: Final = "#ffffff"

BLUE: Final = "#0072b2"
ORANGE: Final = "#d55e00"
GREEN: Final = "#009e73"
DEEP_GREEN: Final = "#006b4f"
"""For text, which has to be darker than lines to be read."""
DEEP_ORANGE: Final = "#8f3f00"
SERIES: Final = (BLUE, "#e69f00", GREEN, "#cc79a7", "#56b4e9", ORANGE, "#7a6a53", "#999999")
"""Okabe and Ito's palette ("Color Universal Design", 2008) without its yellow, which vanishes on white."""

VALUES: Final[Colormap] = LinearSegmentedColormap.from_list(
    "values", ["#0b3c6f", "#2f7fb8", "#4fae9e", "#c99a2e", "#c8501e"]
)
"""For lines coloured by a value: dark to light to dark, no part of it pale on white."""

TEXT_SIZE: Final = 10.0
LONGEST_NAME: Final = 42


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches; it belongs to nobody, so it is freed when its last user is."""
    return Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)


def dress(axes: Axes, x_label: str, y_label: str) -> None:
    """Labels, a quiet grid behind the data, and no box."""
    axes.set_xlabel(x_label, fontsize=TEXT_SIZE, color=INK)
    axes.set_ylabel(y_label, fontsize=TEXT_SIZE, color=INK)
    axes.tick_params(labelsize=TEXT_SIZE - 1, colors=MUTED, labelcolor=INK, length=3)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)


def headline(axes: Axes, text: str, note: str = "") -> None:
    """What the picture shows, bold on the left; a remark, quiet on the right."""
    axes.set_title(plain(text), loc="left", fontsize=TEXT_SIZE + 1.5, color=INK, fontweight="bold")
    if note:
        axes.set_title(plain(note), loc="right", fontsize=TEXT_SIZE - 0.5, color=MUTED)


def plain(name: str) -> str:
    """A name from outside, safe to draw: of a length that leaves room, and without the start of a formula."""
    short = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    return short.replace("$", r"\$")


def say_empty(axes: Axes, text: str) -> None:
    """Write in an axes without data why there is none."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED, fontsize=TEXT_SIZE)
