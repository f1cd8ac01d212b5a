"""(I - J) x = y by x <- y + J x: the Neumann series."""

import torch
from torch import Tensor

from analogdeq.linalg.system import LinearSolution, MatVec, Tolerance, relative, row_norm


def solve_fixed_point(j_matvec: MatVec, y: Tensor, *, tol: Tolerance, max_iter: int) -> LinearSolution:
    """Solve (I - J) x = y by fixed-point iteration; converges only where the spectral radius of J is below 1.

    The difference of two iterates is the residual of the older one, so the residual costs nothing.

    Args:
        j_matvec: x -> J x.
        y: (batch, n).
        tol: relative residual at which a sample stops.
        max_iter: bound on the products with J.
    """
    x, scale = y, row_norm(y)
    residual = scale
    iterations = torch.zeros(y.shape[0], dtype=torch.int64, device=y.device)
    is_open = residual > tol * scale
    for _ in range(max_iter):
        if not bool(is_open.any()):
            break
        x_next = y + j_matvec(x)
        new_residual = row_norm(x_next - x)
        # A sample that has met its tolerance keeps the iterate whose residual is known, so batching changes nothing.
        residual = torch.where(is_open, new_residual, residual)
        iterations += is_open
        advance = is_open & (new_residual > tol * scale) & torch.isfinite(new_residual)
        x = torch.where(advance.unsqueeze(-1), x_next, x)
        is_open = advance
    return LinearSolution(x=x, relative_residual=relative(residual, scale), iterations=iterations)
