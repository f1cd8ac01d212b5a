"""A batch of dense matrices, factorised once and solved with often."""

from typing import final

import torch
from torch import Tensor

from analogdeq.linalg.one_thread import one_thread


@final
class LU:
    """P L U of the transpose of every matrix of a batch.

    LAPACK works by columns, torch stores by rows: the transpose is factorised where it lies, without a strided copy.

    Args:
        matrix: (batch, n, n).
    """

    is_regular: Tensor
    """(batch,) bool. Whether no pivot was exactly zero; a solve with another matrix is not finite."""

    def __init__(self, matrix: Tensor) -> None:
        with one_thread(matrix):
            self._factors, self._pivots, info = torch.linalg.lu_factor_ex(matrix.mT)
        self.is_regular = info == 0

    def sign(self) -> Tensor:
        """(batch,) Sign of the determinant: 1, -1, or 0 for a singular matrix."""
        rows = torch.arange(1, self._pivots.shape[1] + 1, dtype=self._pivots.dtype, device=self._pivots.device)
        n_swaps = torch.count_nonzero(self._pivots != rows, dim=1)
        return self._factors.diagonal(dim1=1, dim2=2).sign().prod(1) * (1 - 2 * (n_swaps % 2))

    def solve(self, y: Tensor) -> Tensor:
        """(batch, n) -> (batch, n): each row by its own matrix."""
        return torch.linalg.lu_solve(self._factors, self._pivots, y.unsqueeze(-1), adjoint=True).squeeze(-1)
