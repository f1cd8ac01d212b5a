"""Devices that take only so many conductances."""

from torch import Tensor

from analogdeq.errors import RangeError


def nearest_level(target_S: Tensor, g_min_S: float, g_max_S: float, levels: int) -> Tensor:
    """[S]. The nearest of `levels` conductances that span `g_min_S` to `g_max_S`, both ends among them.

    Raises:
        RangeError: if there are fewer than two levels.
    """
    if levels < 2:
        raise RangeError(f"levels = {levels} must be at least 2")
    step_S = (g_max_S - g_min_S) / (levels - 1)
    return (((target_S - g_min_S) / step_S).round() * step_S + g_min_S).clamp(g_min_S, g_max_S)
