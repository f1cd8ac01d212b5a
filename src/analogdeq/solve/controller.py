"""The next step size from the local error of this one."""

import torch
from torch import Tensor

SAFETY = 0.9
SHRINK, GROW = 0.2, 5.0
FLOOR = 1e-4
"""Error ratios below this all ask for the largest growth."""


def next_step(h: Tensor, ratio: Tensor, before: Tensor, accepted: Tensor, order: int) -> Tensor:
    """Proportional-integral control, every lane on its own.

    h' = h SAFETY ratio^(-0.7/k) before^(0.4/k),  k = `order`; the damping keeps steps from hovering at the stability
    limit, where a plain controller alternates between accepted and rejected steps.

    Args:
        h: (lane,) the attempted steps.
        ratio: (lane,) local error over tolerance.
        before: (lane,) the same of the last accepted step.
        accepted: (lane,) bool.
        order: of the local error estimate.

    Source: K. Gustafsson, ACM Trans. Math. Softw. 17:533 (1991), whose exponents these are. They hold the ratio near
    0.2, which a settle is worth: its time is the sum of many steps' errors over a small gap.
    """
    r = torch.nan_to_num(ratio, nan=torch.inf).clamp(FLOOR, 1e10)
    factor = SAFETY * r ** (-0.7 / order) * before.clamp_min(FLOOR) ** (0.4 / order)
    limit = torch.where(accepted, GROW, 1.0)
    return h * torch.minimum(factor, limit).clamp_min(SHRINK)
