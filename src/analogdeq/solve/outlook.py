"""Whether a state near a rest stays near: the flow of the circuit linearised there, looked ahead."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.linalg.arnoldi import KrylovSpace, arnoldi
from analogdeq.solve.attraction import OVER, SIZES, blocks, do_decay, perturbed
from analogdeq.solve.jacobian import FlowJacobian

LINEAR = 0.1
"""The linearised map must be within this fraction of the offset of the true one, on either side of the rest."""
DOUBLINGS = 30
"""Of the time over which the energy of a mode is summed up."""


@final
@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What becomes of states near a rest, by the circuit linearised there.

    Attributes:
        attracts: (lane,) bool. No growing mode.
        repels: (lane,) bool. A growing mode was resolved. Neither: no Krylov space in `SIZES` was large enough.
        stays: (lane,) bool. Never farther from the rest than the band again.
        back_after: (lane,) float64 [tau]. From when on it is inside for good; 0 where it stays, infinite where unknown.
        evaluations: (lane,) int64. Evaluations of F and products with its Jacobian.
    """

    attracts: Tensor
    repels: Tensor
    stays: Tensor
    back_after: Tensor
    evaluations: Tensor


def look_ahead(core: Core, drive: Drive, rest: Tensor, offset: Tensor, band: float) -> Outlook:
    """Follow d e/ds = r (J - I) e from the present offset, slightly perturbed, until nothing is left of it.

    The exponential is taken in the Krylov space of the offset. What that space misses is bounded by its defect, the
    integral of |h_(m+1,m) (exp(s H) e_1)_m|, and a space that misses too much is enlarged.

    Args:
        core: the network.
        drive: its constant drive, one row per lane.
        rest: (lane, node). Fixed points of F.
        offset: (lane, node). The states, relative to those.
        band: half width of the band, in the maximum norm.

    Source: Y. Saad, SIAM J. Numer. Anal. 29:209 (1992), for the exponential in a Krylov space.
    """
    start = perturbed(offset, band)
    lanes = offset.shape[0]
    is_linear, evaluations = _is_linear(core, drive, rest, start)
    blank = torch.zeros(lanes, dtype=torch.bool, device=offset.device)
    attracts, repels, stays = blank.clone(), blank.clone(), blank.clone()
    back_after = torch.full((lanes,), torch.inf, dtype=torch.float64, device=offset.device)
    rows = torch.arange(lanes, device=offset.device)
    sizes = sorted({min(size, core.n_nodes) for size in SIZES})
    for size in sizes:
        matvec = FlowJacobian(core, drive.rows(rows), rest[rows])
        space = arnoldi(matvec, start[rows], size)
        evaluations[rows] += space.products
        future = _follow(space, band)
        attracts[rows], repels[rows] = do_decay(space, future.defect)
        stays[rows] = attracts[rows] & is_linear[rows] & (future.peak + 2 * future.defect <= band)
        back_after[rows] = torch.where(attracts[rows] & is_linear[rows], future.back_after, torch.inf)
        is_open = ~(attracts[rows] | repels[rows]) | (attracts[rows] & (future.defect > 0.1 * band))
        rows = rows[is_open]
        if rows.numel() == 0:
            break
    return Outlook(attracts=attracts, repels=repels, stays=stays, back_after=back_after, evaluations=evaluations)


def _is_linear(core: Core, drive: Drive, rest: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Whether F is nearly its linearisation that far from the rest, and what asking cost."""
    image = core.fixed_point_map(rest, drive)
    linear = core.linearise(rest, drive).matvec(offset)
    allowed = LINEAR * offset.abs().amax(1) + 8 * torch.finfo(offset.dtype).eps * core.full_scale
    answer = torch.ones(offset.shape[0], dtype=torch.bool, device=offset.device)
    for sign in (1, -1):
        gap = core.fixed_point_map(rest + sign * offset, drive) - image - sign * linear
        answer &= gap.abs().amax(1) <= allowed
    return answer, torch.full((offset.shape[0],), 4, dtype=torch.int64, device=offset.device)


@dataclass(frozen=True, kw_only=True)
class _Future:
    """(lane,) float64 each: the largest distance from now on, the last time outside, and what the space misses."""

    peak: Tensor
    back_after: Tensor
    defect: Tensor


def _follow(space: KrylovSpace, band: float) -> _Future:
    """Until an ellipse that cannot be left fits into the band.

    Between two points a state may go as far as its speed takes it in half the time.
    """
    basis = space.basis.to(torch.float64).transpose(1, 2)
    now, peak, back_after, defect = (torch.zeros_like(space.length) for _ in range(4))
    is_over, left, ellipse = torch.zeros_like(now, dtype=torch.bool), space.length, None
    for delta, step, block in blocks(space):
        energy, width = ellipse = _ellipse(step, basis) if ellipse is None else ellipse
        w = block[:, :, :1]
        farthest = width * (w.transpose(1, 2) @ energy @ w).flatten().clamp_min(0).sqrt()
        is_trapped = farthest <= band  # False for NaN
        peak = torch.where(is_trapped & ~is_over, torch.maximum(peak, farthest), peak)
        is_over |= is_trapped
        left = torch.linalg.vector_norm(w[:, :, 0], dim=1)
        is_still = (is_over & (space.coupling == 0)) | (left < OVER * band)
        if bool((is_still | torch.isnan(width) | ~torch.isfinite(left)).all()):
            break
        reach = (basis @ block).abs().amax(1) + 0.6 * delta.unsqueeze(1) * (basis @ (space.H @ block)).abs().amax(1)
        reach = reach.masked_fill(is_over.unsqueeze(1), 0.0)
        last = torch.where(reach > band, torch.arange(1, reach.shape[1] + 1, device=reach.device), 0).amax(1)
        back_after = torch.where(last > 0, now + last * delta, back_after)
        peak = torch.maximum(peak, reach.amax(1))
        defect += space.coupling * delta * block[:, -1].abs().sum(1)
        now = now + block.shape[2] * delta
    is_over |= left < OVER * band
    return _Future(
        peak=torch.where(is_over, peak, torch.inf),
        back_after=torch.where(is_over, back_after, torch.inf),
        defect=torch.where((space.coupling == 0) | (left < OVER * band), defect, torch.inf).nan_to_num(nan=torch.inf),
    )


def _ellipse(step: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """P = sum_k (E^k)^T E^k, whose w^T P w only falls under w -> E w, and how far w with w^T P w = 1 reaches.

    Source: R. A. Smith, SIAM J. Appl. Math. 16:198 (1968), for the sum by doubling.

    Args:
        step: (lane, m, m). E.
        basis: (lane, node, m).

    Returns:
        P (lane, m, m) and (lane,) max_i (b_i^T P^-1 b_i)^(1/2); not finite where E grows.
    """
    power = step
    energy = torch.eye(step.shape[-1], dtype=step.dtype, device=step.device).expand_as(step)
    for _ in range(DOUBLINGS):
        energy = energy + power.transpose(1, 2) @ energy @ power
        power = power @ power
        if bool(((power.abs().amax((1, 2)) < 1e-9) | ~torch.isfinite(energy).all(2).all(1)).all()):
            break
    factor, info = torch.linalg.cholesky_ex(energy.nan_to_num(nan=torch.inf, posinf=torch.inf))
    reach = torch.linalg.solve_triangular(factor, basis.transpose(1, 2), upper=False)
    width = torch.linalg.vector_norm(reach, dim=1).amax(1)
    is_whole = (info == 0) & (power.abs().amax((1, 2)) < 1)
    return energy, torch.where(is_whole, width, torch.nan)


def calm_after(approach: Tensor, band: float) -> Tensor:
    """(lane,) float64 [tau]: how long after a Picard search began its lane is inside the band for good.

    With equal time constants the linearised flow is the Poisson mean of the Picard iterates,

        e(s) = exp(s (J - I)) e_0 = sum_k exp(-s) s^k / k!  J^k e_0,

    so the distances of the iterates bound the flow at all times.

    Args:
        approach: (lane, iterate) float64. Bounds on the distance of each iterate from the fixed point, falling along
            the row; infinite for a lane whose search Picard did not finish.
        band: half width of the band.
    """
    count = approach.shape[1]
    times = torch.arange(0, 2 * count + 12, 0.5, dtype=torch.float64, device=approach.device)
    k = torch.arange(count, dtype=torch.float64, device=approach.device)
    logs = torch.special.xlogy(k.unsqueeze(1), times) - times - torch.lgamma(k + 1).unsqueeze(1)
    weights = logs.exp()
    beyond = (1 - weights.sum(0)).clamp_min(0)
    known = torch.isfinite(approach).all(1)
    bound = approach.nan_to_num(posinf=0.0) @ weights + approach[:, -1:].nan_to_num(posinf=0.0) * beyond
    is_inside = bound <= band
    first = times[is_inside.to(torch.int8).argmax(1)]
    return torch.where(known & is_inside.any(1), first, torch.inf)
