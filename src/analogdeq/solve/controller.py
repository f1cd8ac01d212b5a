"""The next step size from the local error of this one."""

import torch
from torch import Tensor

from analogdeq.cores.core import Core

SAFETY = 0.9
NOW, BEFORE = 1.0, 0.25
"""Exponents of this step's error and of the last accepted one's, times the order."""
SHRINK, GROW = 0.2, 5.0
FLOOR = 1e-4
"""Error ratios below this all ask for the largest growth."""

LEAST_SHARE = 2e-3
"""Keeps a limit cycle, which does not decay at all, from being followed to every digit."""


def error_share(rate: Tensor, h: Tensor) -> Tensor:
    """(lane,): the part of the tolerance that one step may use up.

    A relative error e per step moves a settling time by e / (rate h) of itself, so a decay that takes many steps per
    e-fold has less to give to each; the absolute tolerance is shared out in the same way. And a motion |F - z| that
    decays at more than 1 / tau is larger than the distance from rest, which is what counts, by about that rate.

    Args:
        rate: (lane,) [1/tau]. Mean rate at which the motion has grown or decayed since the start.
        h: (lane,) [tau].
    """
    return (2 * rate * h).clamp_(LEAST_SHARE, 1.0).div_(rate.clamp_min(1.0))


def spread_share(rate: Tensor, h: Tensor, elapsed: Tensor) -> Tensor:
    """(lane,): `error_share` where time constants are spread, `elapsed` (lane,) [tau] at the end of the step.

    Before the slowest time constant has passed, the motion of faster nodes says nothing of the decay to come.
    """
    return torch.maximum(error_share(rate * elapsed.clamp_max(1.0), h), (2 * h / elapsed).clamp_max_(1.0))


def finest_tolerance(core: Core, atol: float) -> float:
    """What a share of the tolerance may not fall below: two rounding errors of full scale, or a finer `atol` itself."""
    return min(atol, 2 * torch.finfo(core.dtype).eps) * core.full_scale


def next_step(h: Tensor, ratio: Tensor, before: Tensor, order: int) -> Tensor:
    """Proportional-integral control, every lane on its own; a rejected step (ratio > 1) always shrinks.

    h' = h SAFETY ratio^(-1/k) before^(1/4k),  k = `order`; the second factor keeps steps from hovering at the stability
    limit, where a plain controller alternates between accepted and rejected steps.

    Args:
        h: (lane,) the attempted steps.
        ratio: (lane,) local error over tolerance.
        before: (lane,) the same of the last accepted step, at most 1.
        order: of the local error estimate.

    Source: K. Gustafsson, ACM Trans. Math. Softw. 17:533 (1991), for the form. His exponents 0.7 and 0.4 lag behind a
    decay: they hold the ratio near 0.03 while steps grow by a tenth each, and cost a settle a quarter more steps.
    """
    r = ratio.nan_to_num(nan=torch.inf).clamp_(FLOOR, 1e10)
    factor = r.pow_(-NOW / order).mul_(before.clamp_min(FLOOR).pow_(BEFORE / order)).mul_(SAFETY)
    return factor.clamp_(SHRINK, GROW).mul_(h)
