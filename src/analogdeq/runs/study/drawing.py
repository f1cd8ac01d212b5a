"""From settings with intervals to the panels of a picture."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analogdeq.report.plots.intervals import Line, Panel
from analogdeq.report.scale import AxisScale

Curves = Mapping[str, Sequence[Mapping[str, Any]]]
"""Name of a curve -> its settings, each with "value" and the figures of `over_chips`."""


def figure_panels(title: str, x_label: str, curves: Curves) -> list[Panel]:
    """Accuracy, settling time and energy against one axis."""
    return [
        figure_panel(f"Accuracy {title}".rstrip(), x_label, "accuracy on the chip (%)", curves, "accuracy", factor=100),
        scaled_panel(f"Settling time {title}".rstrip(), x_label, "median settling time", "s", curves, "t_settle_s"),
        scaled_panel(f"Energy {title}".rstrip(), x_label, "energy per inference", "J", curves, "energy_J"),
    ]


def scaled_panel(title: str, x_label: str, y_name: str, unit: str, curves: Curves, key: str) -> Panel:
    """A panel whose y axis has the prefix that suits its values."""
    scale = AxisScale([_number(one[key]["middle"]) for curve in curves.values() for one in curve], unit)
    return figure_panel(title, x_label, f"{y_name} ({scale.unit})", curves, key, factor=scale.factor)


def figure_panel(title: str, x_label: str, y_label: str, curves: Curves, key: str, *, factor: float) -> Panel:
    """One figure against one axis, a line per curve."""
    lines = [
        Line(
            name=name if len(curves) > 1 else "",
            x=[one["value"] for one in curve],
            middle=[factor * _number(one[key]["middle"]) for one in curve],
            low=[factor * _number(one[key]["low"]) for one in curve],
            high=[factor * _number(one[key]["high"]) for one in curve],
            is_open=[bool(one["extrapolated"]) for one in curve],
        )
        for name, curve in curves.items()
    ]
    return Panel(title=title, x_label=x_label, y_label=y_label, lines=lines)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
