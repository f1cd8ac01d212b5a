"""Broyden's method, and the low-rank inverse Jacobian it leaves behind."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.linalg.system import LinearSolution, MatVec, Tolerance, relative, row_dot, row_norm

_TINY = 1e-300


@final
@dataclass(frozen=True)
class LowRankInverse:
    """H = -I + sum_k u_k w_k^T, an estimate of the inverse of J - I per sample.

    Attributes:
        u: (batch, rank, n).
        w: (batch, rank, n).
    """

    u: Tensor
    w: Tensor

    def matvec(self, x: Tensor) -> Tensor:
        """(batch, n) -> (batch, n): H x."""
        return torch.baddbmm(-x.unsqueeze(1), (self.w @ x.unsqueeze(2)).mT, self.u).squeeze(1)

    def rmatvec(self, x: Tensor) -> Tensor:
        """(batch, n) -> (batch, n): H^T x."""
        return torch.baddbmm(-x.unsqueeze(1), (self.u @ x.unsqueeze(2)).mT, self.w).squeeze(1)

    def rows(self, rank: int) -> "LowRankInverse":
        """The first `rank` terms."""
        return LowRankInverse(self.u[:, :rank], self.w[:, :rank])


@final
@dataclass(frozen=True, kw_only=True)
class Root:
    """Where a search for G(x) = 0 ended, per sample.

    Attributes:
        x: (batch, n). The iterate with the smallest residual.
        residual: (batch,) float64. ||G(x)||_2.
        iterations: (batch,) int64. Evaluations of G.
        inverse: the estimate of the inverse of dG/dx.
    """

    x: Tensor
    residual: Tensor
    iterations: Tensor
    inverse: LowRankInverse


def find_root(
    function: MatVec,
    x: Tensor,
    *,
    goal: Tensor,
    max_iter: int,
    memory: int = 40,
    start: LowRankInverse | None = None,
) -> Root:
    """Solve G(x) = 0 by Broyden's first ("good") method, every sample on its own.

        x' = x - H G(x);    H' = H + (dx - H dG) (dx^T H) / (dx^T H dG)

    Memory is 2 `memory` vectors per sample; beyond that the estimate is kept as it is (a chord method).

    Args:
        function: G; a map minus the identity, so that H = -I is a fair start.
        x: (batch, n). Where to begin.
        goal: (batch,) float64. ||G||_2 at which a sample stops.
        max_iter: bound on the evaluations of G.
        memory: updates of the estimate.
        start: the first H; -I if None.

    Source: C. G. Broyden, Math. Comp. 19:577 (1965), method 1, with the inverse by Sherman and Morrison.
    """
    batch, n = x.shape
    rank = 0 if start is None else start.u.shape[1]
    kept = rank + min(memory, max_iter)
    inverse = LowRankInverse(x.new_zeros(batch, kept, n), x.new_zeros(batch, kept, n))
    if start is not None:
        inverse.u[:, :rank], inverse.w[:, :rank] = start.u, start.w
    value = function(x)
    residual = row_norm(value)
    best_x, best = x, residual
    iterations = torch.ones(batch, dtype=torch.int64, device=x.device)
    is_open = ~(residual <= goal)
    for _ in range(max_iter - 1):
        if not bool(is_open.any()):
            break
        mask = is_open.unsqueeze(1)
        known = inverse.rows(rank)
        dx = torch.where(mask, -known.matvec(value), 0.0)
        x = x + dx
        value_new = torch.where(mask, function(x), value)
        iterations += is_open
        if rank < kept:
            _update(inverse, rank, dx, value_new - value, is_open)
            rank += 1
        value, residual = value_new, row_norm(value_new)
        better = residual < best
        best_x, best = torch.where(better.unsqueeze(1), x, best_x), torch.where(better, residual, best)
        is_open = is_open & (residual > goal) & torch.isfinite(residual)
    return Root(x=best_x, residual=best, iterations=iterations, inverse=inverse.rows(rank))


def _update(inverse: LowRankInverse, rank: int, dx: Tensor, dg: Tensor, is_open: Tensor) -> None:
    """Write the next term of H; none where a sample has stopped or the update is undefined."""
    known = inverse.rows(rank)
    h_dg, dx_h = known.matvec(dg), known.rmatvec(dx)
    denominator = row_dot(dx, h_dg)
    size = row_norm(dx) * row_norm(h_dg)
    is_defined = is_open & (denominator.abs() > 1e-8 * size) & (size > _TINY)
    safe = torch.where(is_defined, denominator, 1.0).unsqueeze(1).to(dx.dtype)
    column = is_defined.unsqueeze(1)
    inverse.u[:, rank] = torch.where(column, (dx - h_dg) / safe, 0.0)
    inverse.w[:, rank] = torch.where(column, dx_h, 0.0)


def solve_broyden(
    j_matvec: MatVec, y: Tensor, *, tol: Tolerance, max_iter: int, memory: int = 40, start: LowRankInverse | None = None
) -> LinearSolution:
    """Solve (I - J) x = y by Broyden's method on G(x) = y + J x - x.

    Args:
        j_matvec: x -> J x.
        y: (batch, n).
        tol: relative residual at which a sample stops.
        max_iter: bound on the products with J.
        memory: updates of the estimate of the inverse.
        start: an estimate H of (J - I)^-1, which gives the first iterate too; -I if None.
    """
    scale = row_norm(y)
    guess = y if start is None else -start.matvec(y)
    root = find_root(
        lambda x: y + j_matvec(x) - x, guess, goal=tol * scale, max_iter=max_iter, memory=memory, start=start
    )
    # x = 0 has the residual y; nothing worse than that is worth having.
    is_worse = ~(root.residual <= scale)
    return LinearSolution(
        x=torch.where(is_worse.unsqueeze(1), 0.0, root.x),
        relative_residual=relative(torch.where(is_worse, scale, root.residual), scale),
        iterations=root.iterations,
    )
