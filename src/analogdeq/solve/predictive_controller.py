"""The next step of an implicit stepper, which no stability limit holds back."""

import torch
from torch import Tensor

from analogdeq.solve.controller import FLOOR, GROW, SHRINK

SAFETY = 0.8
AHEAD = 1.5
"""Largest growth that is expected to go on."""


def next_step(h: Tensor, h_before: Tensor, ratio: Tensor, before: Tensor, order: int) -> Tensor:
    """Predictive control, every lane on its own; a rejected step (ratio > 1) always shrinks.

    h' = h SAFETY ratio^(-1/k) g,   g = (h / h_before) (before / ratio)^(1/k) between 1 and AHEAD,   k = `order`

    Where time constants are spread, steps grow in proportion to time. A controller that does not expect that lags: at a
    growth of 1.4 per step the elementary one holds the ratio near 0.1, and the damped one that keeps explicit steps off
    their stability limit near 0.001. In single precision the latter can even stop all growth, where rounding alone
    holds the ratio at a tenth.

    Args:
        h: (lane,) the attempted steps.
        h_before: (lane,) the last accepted steps before them; 0 where there is none.
        ratio: (lane,) local error over tolerance.
        before: (lane,) the same of the last accepted step.
        order: of the local error estimate.

    Source: K. Gustafsson, ACM Trans. Math. Softw. 20:496 (1994), here only where it lengthens the step.
    """
    r = torch.nan_to_num(ratio, nan=torch.inf).clamp(FLOOR, 1e10)
    growth = h / torch.where(h_before > 0, h_before, h) * (before.clamp_min(FLOOR) / r) ** (1 / order)
    factor = SAFETY * r ** (-1 / order) * torch.where(r <= 1, growth.clamp(1.0, AHEAD), 1.0)
    return h * factor.clamp(SHRINK, GROW)
