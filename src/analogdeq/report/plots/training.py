"""How training went: loss and accuracy over epochs."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analogdeq.report.plots.style import SERIES, TEXT_SIZE, dress, headline, new_figure, plain, say_empty

Row = dict[str, float]


def plot_training(metrics: Sequence[Row]) -> Figure:
    """Draw every metric whose name ends in "loss" on the left and in "accuracy" on the right.

    Args:
        metrics: rows with "epoch" and any other numbers; a row may lack any of them.
    """
    figure = new_figure(8.2, 3.5)
    left, right = figure.subplots(1, 2)
    _draw(left, metrics, "loss", 1.0, "loss")
    _draw(right, metrics, "accuracy", 100.0, "accuracy (%)")
    headline(left, "Training")
    return figure


def training_names(metrics: Sequence[Row], ending: str) -> list[str]:
    """The metrics that end so, in the order they first appear."""
    return list(dict.fromkeys(name for row in metrics if "epoch" in row for name in row if name.endswith(ending)))


def _draw(axes: Axes, metrics: Sequence[Row], ending: str, factor: float, label: str) -> None:
    dress(axes, "epoch", label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    names = training_names(metrics, ending)
    for name, colour in zip(names, SERIES, strict=False):
        points = [(row["epoch"], factor * row[name]) for row in metrics if "epoch" in row and name in row]
        axes.plot(
            *zip(*points, strict=True),
            color=colour,
            linewidth=1.6,
            marker="o",
            markersize=3,
            label=plain(_spoken(name, ending)),
        )
    if not names:
        say_empty(axes, f"no {ending} was logged")
    elif len(names) > 1 or _spoken(names[0], ending) != ending:
        axes.legend(frameon=False, fontsize=TEXT_SIZE - 1, loc="best")


def _spoken(name: str, ending: str) -> str:
    """The metric "test_accuracy" on an axis of accuracies is "test"."""
    return name.removesuffix(ending).strip("_ /").replace("_", " ") or ending
