"""When an implicit stepper pays: a forecast of the work either kind has left."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.stage_system import LARGEST_DENSE

STABILITY_LIMITED = 1.0
"""Explicit steps at least this long, times the spectral radius, are as long as stability lets them be."""
ATTEMPTS_PER_E_FOLD = 3.0
"""An implicit stepper's attempts while time, or what is left of the motion, changes by a factor e."""
POWER_ITERATIONS = 4

_TINY = 1e-300


@final
@dataclass(frozen=True, kw_only=True)
class Progress:
    """What an explicit stepper did in its latest attempts, one row per lane.

    Attributes:
        attempts: how many there were.
        elapsed: (lane,) [tau]. By how much they advanced the clock.
        motion_before: (lane,) [1]. max |F(z) - z| before them.
        motion: (lane,) [1]. And now.
        remaining: (lane,) [tau]. The rest of the time budget.
    """

    attempts: int
    elapsed: Tensor
    motion_before: Tensor
    motion: Tensor
    remaining: Tensor


def time_to_go(progress: Progress, goal: float, dwell_tau: float) -> Tensor:
    """(lane,) [tau]. Until the state, if it goes on so, has come within `goal` of rest and stayed there for the dwell.

    T = ln(distance / goal) / lambda + dwell,   lambda = ln(motion_before / motion) / elapsed;   at most the time budget

    A mode that decays at lambda is motion / lambda away from its rest; faster ones than the slowest node count as it.
    """
    decay = (progress.motion_before / progress.motion.clamp_min(_TINY)).log() / progress.elapsed.clamp_min(_TINY)
    distance = progress.motion / decay.clamp(_TINY, 1.0)
    e_folds = (distance / goal).clamp_min(1.0).log()
    return torch.minimum(
        torch.where(decay > 0, e_folds / decay.clamp_min(_TINY), torch.inf) + dwell_tau, progress.remaining
    )


def cost_ratio(n_nodes: int) -> float:
    """Duration of an implicit attempt over that of an explicit one, a fit to what was measured (docs/stiffness.md).

    Small cores are made of many small operations and few numbers; then the factorisation grows faster than anything
    else, until GMRES takes its place.
    """
    return 3.0 + (n_nodes / 73) ** 2 if n_nodes <= LARGEST_DENSE else 23.0


def implicit_pays(progress: Progress, to_go: Tensor, radius: Tensor, n_nodes: int) -> Tensor:
    """(lane,) bool. Whether to go on implicitly.

    h rho >= 1   and   T / h > cost_ratio(N) * 3 ln(1 + T / h),        h = elapsed / attempts                    (13)

    The first says that stability limits the explicit steps h: an implicit stepper can take no longer steps where
    accuracy limits them. The second compares the attempts left, each weighed with its cost. An implicit stepper's steps
    grow in proportion to time, so their number grows as the logarithm of T / h.

    Args:
        progress: of the explicit stepper.
        to_go: (lane,) [tau]. T.
        radius: (lane,) [1 / tau]. rho, the spectral radius of the flow's Jacobian.
        n_nodes: N.
    """
    h = progress.elapsed / progress.attempts
    left = to_go / h.clamp_min(_TINY)
    return (h * radius >= STABILITY_LIMITED) & _is_long(left, n_nodes)


def is_worth_a_look(progress: Progress, to_go: Tensor, n_nodes: int) -> Tensor:
    """(lane,) bool. The second half of (13), which needs no spectral radius."""
    return (progress.elapsed > 0) & _is_long(to_go * progress.attempts / progress.elapsed.clamp_min(_TINY), n_nodes)


def spectral_radius(core: Core, drive: Drive, z: Tensor, dz: Tensor) -> Tensor:
    """(lane,) float64 [1 / tau]. An estimate for the flow's Jacobian r (J - I) at z (lane, node), by power iteration.

    At the stability limit dz/ds is mostly made of the fastest modes, so it is a direction to start in; another one is
    added in which no mode is missing, weighted as the fast nodes are.
    """
    index = torch.arange(1, z.shape[1] + 1, dtype=z.dtype, device=z.device)
    v = _unit(dz) + _unit(torch.cos(index.square()).unsqueeze(0) * (1.0 if core.rate is None else core.rate))
    jacobian, radius = core.linearise(z, drive), torch.zeros_like(z[:, 0])
    for _ in range(POWER_ITERATIONS):
        v = _unit(v)
        v = jacobian.matvec(v).sub_(v)
        if core.rate is not None:
            v.mul_(core.rate)
        radius = torch.linalg.vector_norm(v, dim=1)
    return radius.to(torch.float64)


def _unit(v: Tensor) -> Tensor:
    return v / torch.linalg.vector_norm(v, dim=1, keepdim=True).clamp_min(torch.finfo(v.dtype).tiny)


def _is_long(left: Tensor, n_nodes: int) -> Tensor:
    return left > cost_ratio(n_nodes) * ATTEMPTS_PER_E_FOLD * torch.log1p(left)
