"""The equilibrium a trajectory is about to reach, by Newton's method from where it is."""

from dataclasses import dataclass

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.linalg.gmres import solve_gmres


@dataclass(frozen=True, kw_only=True)
class Rest:
    """Fixed points of F near some states.

    Attributes:
        z: (lane, node).
        residual: (lane,) float64. max |F(z) - z|.
        is_found: (lane,) bool. Whether the residual met the tolerance.
        evaluations: (lane,) int64. Evaluations of F and products with its Jacobian.
    """

    z: Tensor
    residual: Tensor
    is_found: Tensor
    evaluations: Tensor


def find_rest(core: Core, drive: Drive, z: Tensor, *, tol: float, good_enough: float, max_newton: int = 8) -> Rest:
    """Newton-GMRES on F(z) = z, every sample on its own.

    A step that does not halve the residual ends a sample's search. The result is a numerical root, not a physical
    claim: the settle loop accepts it only once the integrated trajectory has come to rest there.

    Args:
        core: the network.
        drive: its constant drive.
        z: (lane, node). Where the trajectories are.
        tol: residual at which a sample is done.
        good_enough: residual that still counts as found, where rounding stops the search above `tol`.
        max_newton: bound on Newton steps.

    Source: R. S. Dembo, S. C. Eisenstat, T. Steihaug, SIAM J. Numer. Anal. 19:400 (1982), inexact Newton.
    """
    residual_vector = core.fixed_point_map(z, drive) - z
    residual = _largest(residual_vector)
    evaluations = torch.ones(z.shape[0], dtype=torch.int64, device=z.device)
    is_open = residual > tol
    for _ in range(max_newton):
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
        is_open[won] = residual[won] > tol
    return Rest(z=z, residual=residual, is_found=residual <= good_enough, evaluations=evaluations)


def flow_eigenvalues(core: Core, drive: Drive, z: Tensor) -> Tensor:
    """(lane, node) complex: eigenvalues of the flow's Jacobian, rate (J - I), that decide whether a rest attracts."""
    jacobian = core.linearise(z, drive).dense()
    flow = jacobian - torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
    if core.rate is not None:
        flow = core.rate.unsqueeze(1) * flow
    return torch.linalg.eigvals(flow)


def is_stable(core: Core, drive: Drive, z: Tensor) -> Tensor:
    """(lane,) bool: whether every eigenvalue of the flow's Jacobian has a negative real part."""
    return flow_eigenvalues(core, drive, z).real.amax(1) < 0


def _largest(x: Tensor) -> Tensor:
    return x.abs().amax(1).to(torch.float64)
