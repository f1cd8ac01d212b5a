"""(I - J) x = y by LU factorisation of the dense matrix."""

import torch
from torch import Tensor

from analogdeq.linalg.one_thread import one_thread
from analogdeq.linalg.system import LinearSolution, relative, row_norm


def solve_dense(j_dense: Tensor, y: Tensor) -> LinearSolution:
    """Solve (I - J) x = y exactly; (batch, n, n) memory and n^3 work per sample.

    Args:
        j_dense: (batch, n, n). J of each sample.
        y: (batch, n).
    """
    matrix = torch.eye(y.shape[-1], dtype=y.dtype, device=y.device) - j_dense
    with one_thread(matrix):
        x, info = torch.linalg.solve_ex(matrix, y.unsqueeze(-1))
    x = x.squeeze(-1)
    residual = row_norm(y - (matrix @ x.unsqueeze(-1)).squeeze(-1))
    # A singular matrix leaves x undefined; an infinite residual says so.
    residual = torch.where(info == 0, residual, torch.inf)
    ones = torch.ones(y.shape[0], dtype=torch.int64, device=y.device)
    return LinearSolution(x=x, relative_residual=relative(residual, row_norm(y)), iterations=ones)
