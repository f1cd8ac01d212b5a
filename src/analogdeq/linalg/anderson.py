"""(I - J) x = y by Anderson acceleration of the fixed-point iteration."""

import torch
from torch import Tensor

from analogdeq.linalg.system import LinearSolution, MatVec, Tolerance, relative, row_norm


def solve_anderson(
    j_matvec: MatVec, y: Tensor, *, tol: Tolerance, max_iter: int, memory: int = 5, ridge: float = 1e-12
) -> LinearSolution:
    """Solve (I - J) x = y by x <- x + r - (dX + dR) c,  c = argmin ||r - dR c||,  r = y + J x - x.

    dX and dR hold the last `memory` differences of iterates and of residuals. Without limit on the memory it is GMRES
    on a linear problem; with one it takes more products and 2 `memory` vectors per sample, whatever the number of
    steps.

    Args:
        j_matvec: x -> J x.
        y: (batch, n).
        tol: relative residual at which a sample stops.
        max_iter: bound on the products with J.
        memory: differences kept.
        ridge: added to the diagonal of the normal equations of c, whose columns have unit length.

    Source: D. G. Anderson, J. ACM 12:547 (1965); H. F. Walker and P. Ni, SIAM J. Numer. Anal. 49:1715 (2011), (2.1).
    """
    batch, n = y.shape
    dx, dr = y.new_zeros(batch, memory, n), y.new_zeros(batch, memory, n)
    scale = row_norm(y)
    x, x_before, r = y, y, torch.zeros_like(y)
    iterations = torch.zeros(batch, dtype=torch.int64, device=y.device)
    is_open = scale > 0
    best_x, best = torch.zeros_like(y), scale
    for k in range(max_iter):
        if not bool(is_open.any()):
            break
        r_new = y + j_matvec(x) - x
        iterations += is_open
        residual = row_norm(r_new)
        better = is_open & (residual < best)
        best_x, best = torch.where(better.unsqueeze(1), x, best_x), torch.where(better, residual, best)
        is_open = is_open & (residual > tol * scale) & torch.isfinite(residual)
        if k > 0:
            dx[:, (k - 1) % memory], dr[:, (k - 1) % memory] = x - x_before, r_new - r
        x_before, r = x, r_new
        x = x + r - _correction(dx, dr, r, min(k, memory), ridge)
    return LinearSolution(x=best_x, relative_residual=relative(best, scale), iterations=iterations)


def _correction(dx: Tensor, dr: Tensor, r: Tensor, kept: int, ridge: float) -> Tensor:
    """(batch, n): (dX + dR) c, by normal equations in double precision."""
    if kept == 0:
        return torch.zeros_like(r)
    dx, dr = dx[:, :kept], dr[:, :kept]
    length = torch.linalg.vector_norm(dr, dim=2, keepdim=True).clamp_min(torch.finfo(r.dtype).tiny)
    unit = (dr / length).to(torch.float64)
    gram = unit @ unit.mT + ridge * torch.eye(kept, dtype=torch.float64, device=r.device)
    c, info = torch.linalg.solve_ex(gram, unit @ r.to(torch.float64).unsqueeze(2))
    c = torch.where((info == 0).view(-1, 1, 1) & torch.isfinite(c), c, 0.0).to(r.dtype) / length
    return ((dx + dr).mT @ c).squeeze(2)
