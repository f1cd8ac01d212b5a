"""The linear systems (I - S J) x = y of a linearly implicit step, dense or matrix-free."""

from typing import Protocol, final

import torch
from torch import Tensor

from analogdeq.cores.core import Linearisation
from analogdeq.linalg.gmres import solve_gmres
from analogdeq.linalg.lu import LU

LARGEST_DENSE = 256
"""Nodes. Beyond, the n^3 of a factorisation costs more than the products of n^2 that GMRES needs."""
MAX_PRODUCTS = 200
"""Products with J after which a stage counts as unsolved."""
REACHABLE = 64.0
"""The smallest tolerance of GMRES, in units of the rounding error: below, a residual is noise."""


class StageSystem(Protocol):
    """One matrix per lane, solved with once per stage."""

    is_solved: Tensor
    """(lane,) bool. Whether every solve so far met its tolerance."""
    products: Tensor
    """(lane,) int64. Products with J spent so far."""

    def solve(self, y: Tensor) -> Tensor:
        """(lane, node) -> (lane, node)."""
        ...


def stage_system(jacobian: Linearisation, damping: Tensor, tol: float) -> StageSystem:
    """I - S J, factorised for small cores, and matrix-free for large ones.

    Which of the two depends on the number of nodes only, so that batching changes no result.

    Args:
        jacobian: J = dF/dz of each lane.
        damping: (lane, node). The diagonal of S, h gamma r / (1 + h gamma r), from 0 to 1.
        tol: relative residual of a matrix-free solve.
    """
    if damping.shape[1] <= LARGEST_DENSE:
        return DenseStages(jacobian, damping)
    return KrylovStages(jacobian, damping, tol)


@final
class DenseStages:
    """By LU factorisation.

    A negative determinant means an odd number of real eigenvalues of h gamma r (J - I) beyond 1: the step is too long
    to see the state leave an unstable rest, and would throw it to the other side or damp it. It counts as unsolved.
    """

    def __init__(self, jacobian: Linearisation, damping: Tensor) -> None:
        matrix = jacobian.dense().mul_(-damping.unsqueeze(-1))
        matrix.diagonal(dim1=1, dim2=2).add_(1.0)
        self._lu = LU(matrix)
        self.is_solved = self._lu.is_regular & (self._lu.sign() > 0)
        self.products = torch.zeros_like(self.is_solved, dtype=torch.int64)

    def solve(self, y: Tensor) -> Tensor:
        """Back substitution."""
        return self._lu.solve(y)


@final
class KrylovStages:
    """By GMRES.

    The rows are divided by the leak's part of the matrix, a diagonal preconditioner that is exact for J = 0. So S J
    tends to 0 for short steps and to J for long ones, whatever the spread of the rates.
    """

    def __init__(self, jacobian: Linearisation, damping: Tensor, tol: float) -> None:
        self._jacobian, self._damping = jacobian, damping
        self._tol = max(tol, REACHABLE * torch.finfo(damping.dtype).eps)
        self.is_solved = torch.ones(damping.shape[0], dtype=torch.bool, device=damping.device)
        self.products = torch.zeros_like(self.is_solved, dtype=torch.int64)

    def solve(self, y: Tensor) -> Tensor:
        """One Krylov space per stage and lane."""
        found = solve_gmres(self._product, y, tol=self._tol, max_iter=MAX_PRODUCTS)
        self.is_solved = self.is_solved & (found.relative_residual <= self._tol)
        self.products = self.products + found.iterations
        return found.x

    def _product(self, v: Tensor) -> Tensor:
        return self._damping * self._jacobian.matvec(v)
