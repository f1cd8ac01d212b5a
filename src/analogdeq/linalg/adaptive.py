"""(I - J) x = y by the cheapest iteration that converges well: the Neumann series first, GMRES for what it leaves."""

import torch
from torch import Tensor

from analogdeq.linalg.gmres import solve_gmres
from analogdeq.linalg.system import LinearSolution, MatVec, Tolerance, relative, row_norm

CONTRACTION = 0.8
"""Where the residual of the median open sample falls by less per product, GMRES needs fewer of them."""
SETTLING_IN = 3
"""Products before that is asked, and asked at every second one: the first ones say little of the spectral radius."""


def solve_adaptive(j_matvec: MatVec, y: Tensor, *, tol: Tolerance, max_iter: int) -> LinearSolution:
    """Solve (I - J) x = y by x <- y + J x while that contracts well, then by GMRES for the samples still open.

    Where the eigenvalues of J fill a disc around 0, as those of a random matrix do, no Krylov method contracts faster
    per product than the plain iteration, and each of its products costs more. Where they do not, GMRES takes over after
    a few products, and starts from what they have found unless it has grown.

    Args:
        j_matvec: x -> J x, exact.
        y: (batch, n).
        tol: relative residual at which a sample stops.
        max_iter: bound on the products counted; GMRES confirms each of its cycles by one more.
    """
    scale = row_norm(y)
    goal = tol * scale
    x, residual_vector, residual = torch.zeros_like(y), y, scale
    iterations = torch.zeros(y.shape[0], dtype=torch.int64, device=y.device)
    is_open = residual > goal
    spent = 0
    while spent < max_iter and bool(is_open.any()):
        image = j_matvec(residual_vector)  # x + r has the residual J r
        spent += 1
        iterations += is_open
        new = row_norm(image)
        better = new < residual
        if not bool((better | ~is_open).all()):
            x = torch.where(better.unsqueeze(1), x + residual_vector, x)
            residual = torch.where(better, new, residual)
            is_open = residual > goal
            break
        # Samples that are done go on beside the others: that costs nothing and can only help them.
        x += residual_vector
        is_slow = False
        if spent >= SETTLING_IN and (spent - SETTLING_IN) % 2 == 0:
            is_slow = not float((new / residual)[is_open].median()) < CONTRACTION
        residual_vector, residual = image, new
        is_open = residual > goal
        if is_slow:
            break
    rows = torch.nonzero(is_open).squeeze(1)
    if rows.numel() and spent + 1 < max_iter:  # one product goes into the residual, which GMRES begins from
        return _finish(j_matvec, y, x, goal, rows, iterations, max_iter - spent - 1)
    return LinearSolution(x=x, relative_residual=relative(residual, scale), iterations=iterations)


def _finish(
    j_matvec: MatVec, y: Tensor, x: Tensor, goal: Tensor, rows: Tensor, iterations: Tensor, max_iter: int
) -> LinearSolution:
    """GMRES for the correction of the open samples; the true residual, so that rounding fakes nothing."""
    scale = row_norm(y)
    left = y - (x - j_matvec(x))
    size = row_norm(left)
    is_open = torch.zeros_like(scale, dtype=torch.bool).index_fill_(0, rows, True)
    rhs = torch.where(is_open.unsqueeze(1), left, 0.0)
    found = solve_gmres(j_matvec, rhs, tol=(goal / size.clamp_min(1e-300)).clamp_max(0.9), max_iter=max_iter)
    residual = torch.where(is_open, found.relative_residual * size, size)
    return LinearSolution(
        x=x + found.x, relative_residual=relative(residual, scale), iterations=iterations + is_open + found.iterations
    )
