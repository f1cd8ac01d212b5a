"""GMRES for a batch of systems, one Krylov space per sample."""

import torch
from torch import Tensor

from analogdeq.linalg.system import LinearSolution, MatVec, Tolerance, relative, row_norm

_TINY = 1e-30
"""Norms below this are zero; representable in float32 too."""


def solve_gmres(j_matvec: MatVec, y: Tensor, *, tol: Tolerance, max_iter: int, restart: int = 24) -> LinearSolution:
    """Solve (I - J) x = y by restarted GMRES.

    Saad and Schultz, SIAM J. Sci. Stat. Comput. 7:856 (1986), algorithm 4, with classical Gram-Schmidt done twice
    (one matrix product over all earlier basis vectors, where the modified form needs one per vector). A sample whose
    space is exhausted or whose tolerance is met stops contributing; the batch ends when all have.

    Args:
        j_matvec: x -> J x.
        y: (batch, n).
        tol: relative residual at which a sample is done.
        max_iter: bound on the products with J.
        restart: size of the Krylov space; bounds the memory to `restart` + 1 vectors per sample.
    """
    # Unit right-hand sides, so that no norm underflows or overflows in single precision.
    size = y.abs().amax(1, keepdim=True)
    y = y / torch.where(size > 0, size, 1.0)
    x = torch.zeros_like(y)
    scale = row_norm(y)
    residual_vector = y
    iterations = torch.zeros(y.shape[0], dtype=torch.int64, device=y.device)
    spent = 0
    while True:
        residual = row_norm(residual_vector)
        is_open = residual > tol * scale
        if spent >= max_iter or not bool(is_open.any()):
            return LinearSolution(x=x * size, relative_residual=relative(residual, scale), iterations=iterations)
        steps = min(restart, max_iter - spent, y.shape[-1])
        update, used = _cycle(j_matvec, residual_vector, residual, tol * scale, steps)
        x = torch.where(is_open.unsqueeze(-1), x + update, x)
        iterations += torch.where(is_open, used, 0)
        spent += steps
        # The true residual, not the recurrence's estimate: rounding must not be able to fake convergence.
        residual_vector = y - (x - j_matvec(x))


def _cycle(j_matvec: MatVec, start: Tensor, beta: Tensor, goal: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """One cycle of at most `size` steps: the update of x (batch, n) and the steps that counted (batch,)."""
    batch, n = start.shape
    basis = start.new_empty(batch, size + 1, n)
    triangle = torch.zeros(size, size, batch, dtype=torch.float64, device=start.device)
    rhs = torch.zeros(size + 1, batch, dtype=torch.float64, device=start.device)
    cosine, sine = torch.ones_like(rhs[:-1]), torch.zeros_like(rhs[:-1])
    used = torch.zeros(batch, dtype=torch.int64, device=start.device)
    rhs[0] = beta
    basis[:, 0] = _scaled(start, beta)
    is_open = beta > goal
    done = 0
    for step in range(size):
        v = basis[:, step]
        w = v - j_matvec(v)
        column = _orthogonalise(w, basis[:, : step + 1])
        norm = row_norm(w)
        basis[:, step + 1] = _scaled(w, norm)
        for k in range(step):
            above, below = column[k], column[k + 1]
            column[k] = cosine[k] * above + sine[k] * below
            column[k + 1] = cosine[k] * below - sine[k] * above
        length = torch.hypot(column[step], norm).clamp_min(_TINY)
        cosine[step], sine[step] = column[step] / length, norm / length
        column[step] = length
        triangle[: step + 1, step] = torch.stack(column)
        rhs[step + 1] = -sine[step] * rhs[step]
        rhs[step] = cosine[step] * rhs[step]
        used += is_open
        done = step + 1
        is_open = is_open & (rhs[done].abs() > goal)
        if not bool(is_open.any()):
            break
    # A zero diagonal appears only where a sample's space was exhausted (y = 0, or solved exactly): it adds nothing.
    matrix = triangle[:done, :done].permute(2, 0, 1).contiguous()
    diagonal = torch.diagonal(matrix, dim1=-2, dim2=-1)
    diagonal[diagonal <= _TINY] = 1.0
    weights = torch.linalg.solve_triangular(matrix, rhs[:done].T.unsqueeze(-1), upper=True)
    return torch.bmm(weights.transpose(1, 2).to(start.dtype), basis[:, :done]).squeeze(1), used


def _orthogonalise(w: Tensor, basis: Tensor) -> list[Tensor]:
    """Remove from `w` (batch, n), in place, its part along `basis` (batch, step, n).

    Returns:
        The coefficients, (batch,) float64 each.
    """
    total = torch.zeros(w.shape[0], basis.shape[1], 1, dtype=w.dtype, device=w.device)
    for _ in range(2):
        part = torch.bmm(basis, w.unsqueeze(-1))
        w -= torch.bmm(part.transpose(1, 2), basis).squeeze(1)
        total += part
    return list(total.squeeze(-1).T.to(torch.float64).contiguous())


def _scaled(x: Tensor, norm: Tensor) -> Tensor:
    return x / norm.clamp_min(_TINY).unsqueeze(-1).to(x.dtype)
