"""The equilibrium a trajectory is about to reach, by root finding from where it is."""

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.linalg.gmres import solve_gmres

PICARD_ROUND, PICARD_ROUNDS = 4, 25
"""Iterations after each of which a sample may end, and how many times so many there are at the most. Looking more often
would save an evaluation of some samples and cost every one as much: the largest residual need not fall every time."""
PICARD_CONTRACTION = 0.9
"""Where a sample contracts less per evaluation, Newton's method needs fewer."""
MAX_NEWTON = 8


@final
@dataclass(frozen=True, kw_only=True)
class Rest:
    """Fixed points of F near some states.

    Attributes:
        z: (lane, node).
        residual: (lane,) float64. max |F(z) - z|.
        is_found: (lane,) bool. Whether the residual met the tolerance.
        evaluations: (lane,) int64. Evaluations of F and products with its Jacobian.
        approach: (lane, iterate) float64. How far each Picard iterate was from the fixed point at the most, falling
            along the row; infinite for a sample that Picard iterations alone did not bring to the tolerance, or that
            was there from the start.
    """

    z: Tensor
    residual: Tensor
    is_found: Tensor
    evaluations: Tensor
    approach: Tensor


def find_rest(core: Core, drive: Drive, z: Tensor, *, tol: float, good_enough: float, near: float = math.inf) -> Rest:
    """The fixed points of F near the given states, every sample on its own.

    Picard iterations first, where they contract well: they cost one evaluation each and nothing besides. What they
    leave is done by Newton's method. The result is a numerical root, not a physical claim: the settle loop accepts it
    only once the integrated trajectory has come to rest there.

    Args:
        core: the network.
        drive: its constant drive.
        z: (lane, node). Where the trajectories are.
        tol: residual at which a sample is done.
        good_enough: residual that still counts as found, where rounding stops the search above `tol`.
        near: how long the last step of Newton's method may be. Where (I - J)^-1 is large a small residual says
            little of the distance; the next step does.
    """
    residual_vector = core.fixed_point_map(z, drive).sub_(z)
    rest = Rest(
        z=z,
        residual=_largest(residual_vector),
        is_found=torch.zeros(z.shape[0], dtype=torch.bool, device=z.device),
        evaluations=torch.ones(z.shape[0], dtype=torch.int64, device=z.device),
        approach=torch.full((z.shape[0], 1), torch.inf, dtype=torch.float64, device=z.device),
    )
    rest, residual_vector = _picard(core, drive, rest, residual_vector, tol)
    rest = _newton(core, drive, rest, residual_vector, tol, near)
    return replace(rest, is_found=rest.residual <= good_enough)


def tolerance(core: Core, band: float) -> float:
    """The residual at which the middle of such a band is known well enough, or rounding ends the search."""
    return max(1e-6 * band, rounding(core))


def rounding(core: Core) -> float:
    """What F(z) - z may be wrong by: an activation's errors, and those of a sum of N terms, which are a random walk.

    Searches in random networks of 256 nodes stall at up to 6 rounding errors; of 1,024 nodes they get below 8.
    """
    return (4.0 + 0.125 * core.n_nodes**0.5) * torch.finfo(core.dtype).eps * core.full_scale


def find_rest_for_band(core: Core, drive: Drive, z: Tensor, band: float) -> Rest:
    """`find_rest` to what the middle of a band of that half width must be known to."""
    good_enough = max(5e-3 * band, 4 * rounding(core))
    return find_rest(core, drive, z, tol=tolerance(core, band), good_enough=good_enough, near=1e-3 * band)


def _picard(core: Core, drive: Drive, rest: Rest, residual_vector: Tensor, tol: float) -> tuple[Rest, Tensor]:
    """Iterate z <- F(z) while a sample contracts, which is looked at once a round; others keep the best they had.

    That is the best of where their last two rounds ended and of where they began. Where the eigenvalues of J fill a
    disc around 0, as those of a random matrix do, no Krylov method contracts faster per product, and each of its
    products costs more.
    """
    out_z, out_vector, out_residual = rest.z.clone(), residual_vector.clone(), rest.residual.clone()
    evaluations, moves = rest.evaluations.clone(), [rest.residual]
    rows = torch.nonzero(rest.residual > tol).squeeze(1)
    part, z, vector, residual = drive.rows(rows), rest.z[rows], residual_vector[rows], rest.residual[rows]
    for _ in range(PICARD_ROUNDS):
        if rows.numel() == 0:
            break
        z_before, vector_before, residual_before = z, vector, residual
        for _ in range(PICARD_ROUND):
            z = z + vector
            vector = core.fixed_point_map(z, part).sub_(z)
            residual = _largest(vector)
            moves.append(torch.zeros_like(rest.residual).index_copy_(0, rows, residual))
        evaluations[rows] += PICARD_ROUND
        goes_on = (residual > tol).logical_and_(residual < PICARD_CONTRACTION**PICARD_ROUND * residual_before)
        if bool(goes_on.all()):
            continue
        closed, keep = torch.nonzero(~goes_on).squeeze(1), torch.nonzero(goes_on).squeeze(1)
        is_last = (residual < residual_before)[closed]
        end, column = torch.where(is_last, residual[closed], residual_before[closed]), is_last.unsqueeze(1)
        is_gain = end < out_residual[rows[closed]]
        gained = rows[closed][is_gain]
        out_z[gained] = torch.where(column, z[closed], z_before[closed])[is_gain]
        out_vector[gained] = torch.where(column, vector[closed], vector_before[closed])[is_gain]
        out_residual[gained] = end[is_gain]
        rows, part = rows[keep], part.rows(keep)
        z, vector, residual = z[keep], vector[keep], residual[keep]
    out_z[rows], out_vector[rows], out_residual[rows] = z, vector, residual
    approach = _approach(torch.stack(moves, 1), out_residual <= tol)
    found = Rest(z=out_z, residual=out_residual, is_found=rest.is_found, evaluations=evaluations, approach=approach)
    return found, out_vector


def _approach(moves: Tensor, is_done: Tensor) -> Tensor:
    """Distances from the sum of all moves still to come; beyond the last one they are taken to fall as they have done.

    Args:
        moves: (lane, iterate) float64. Residual of each iterate, the length of the move to the next; 0 after the end.
        is_done: (lane,) bool. Whether the last one met the tolerance.
    """
    count = torch.count_nonzero(moves, dim=1).clamp_min(1)
    last = moves.gather(1, (count - 1).unsqueeze(1)).squeeze(1)
    ratio = (last / moves[:, 0].clamp_min(1e-300)) ** (1 / (count - 1).clamp_min(1))
    beyond = last * ratio / (1 - ratio).clamp_min(1e-3)
    distances = moves.flip(1).cumsum(1).flip(1) + beyond.unsqueeze(1)
    has_moved = torch.count_nonzero(moves, dim=1) > 1
    return torch.where((is_done & has_moved).unsqueeze(1), distances, torch.inf)


def _newton(core: Core, drive: Drive, rest: Rest, residual_vector: Tensor, tol: float, near: float) -> Rest:
    """Newton-GMRES on F(z) = z; a step that does not halve a sample's residual ends its search.

    Source: R. S. Dembo, S. C. Eisenstat, T. Steihaug, SIAM J. Numer. Anal. 19:400 (1982), inexact Newton.
    """
    z, residual, evaluations = rest.z, rest.residual, rest.evaluations.clone()
    is_open = residual > tol
    for _ in range(MAX_NEWTON):
        rows = torch.nonzero(is_open).squeeze(1)
        if rows.numel() == 0:
            break
        part = drive.rows(rows)
        # Solve each step only as well as its outcome can use: the last one to the tolerance, earlier ones loosely.
        forcing = min(max(0.3 * tol / float(residual[rows].max()), 1e-3), 1e-1)
        step = solve_gmres(core.linearise(z[rows], part).matvec, residual_vector[rows], tol=forcing, max_iter=60)
        z_try = z[rows] + step.x
        vector_try = core.fixed_point_map(z_try, part) - z_try
        residual_try = _largest(vector_try)
        evaluations[rows] += step.iterations + 2
        better = residual_try < 0.5 * residual[rows]
        won = rows[better]
        z = z.index_copy(0, won, z_try[better])
        residual_vector = residual_vector.index_copy(0, won, vector_try[better])
        residual = residual.index_copy(0, won, residual_try[better])
        is_open = torch.zeros_like(is_open)
        is_open[won] = (residual[won] > tol) | ((_largest(step.x)[better] > near) & (residual[won] > 0))
    return replace(rest, z=z, residual=residual, evaluations=evaluations)


def flow_eigenvalues(core: Core, drive: Drive, z: Tensor) -> Tensor:
    """(lane, node) complex: eigenvalues of the flow's Jacobian, rate (J - I), that decide whether a rest attracts."""
    jacobian = core.linearise(z, drive).dense()
    flow = jacobian - torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
    if core.rate is not None:
        flow = core.rate.unsqueeze(1) * flow
    return torch.linalg.eigvals(flow)


def _largest(x: Tensor) -> Tensor:
    return x.abs().amax(1).to(torch.float64)
