"""(I - J) x = y by conjugate gradients, where J is symmetric in a weighted inner product."""

import torch
from torch import Tensor

from analogdeq.errors import GradientError
from analogdeq.linalg.system import LinearSolution, MatVec, Tolerance, relative, row_dot, row_norm

_TINY = 1e-300
ASYMMETRY = 1e-3
"""Relative difference of <p, J q> and <q, J p> beyond which J is not taken for symmetric."""


def solve_cg(j_matvec: MatVec, y: Tensor, *, weight: Tensor, tol: Tolerance, max_iter: int) -> LinearSolution:
    """Solve (I - J) x = y by conjugate gradients in the inner product <p, q> = sum_i s_i p_i q_i, s = `weight`.

    At a rest of z = a phi(W z + c) with symmetric W, J^T = W S with S = a diag(phi') is symmetric in the inner product
    with weights s, not in the plain one; and I - J^T is positive definite in it where the rest is stable. s may be 0 at
    saturated nodes: what is left of the residual there passes into x, for J^T does not see it.

    Args:
        j_matvec: x -> J x.
        y: (batch, n).
        weight: (batch, n). s, not negative.
        tol: relative residual, in the Euclidean norm, at which a sample stops.
        max_iter: bound on the products with J.

    Raises:
        GradientError: if J is not symmetric in that inner product.

    Source: M. R. Hestenes and E. Stiefel, J. Res. NBS 49:409 (1952), with that inner product.
    """
    scale = row_norm(y)
    x, r, p = torch.zeros_like(y), y, y
    rho = row_dot(r, weight * r)
    residual, is_open = scale, scale > 0
    iterations = torch.zeros(y.shape[0], dtype=torch.int64, device=y.device)
    before: tuple[Tensor, Tensor] | None = None
    for _ in range(max_iter):
        if not bool(is_open.any()):
            break
        image = j_matvec(p)
        iterations += is_open
        if before is not None and int(iterations.max()) == 2:
            _check_symmetry(before, (p, image), weight)
        before = (p, image) if before is None else before
        q = p - image
        curvature = row_dot(p, weight * q)
        # Only nodes of weight 0 are left: there (I - J) x = x, so the residual itself is the missing part.
        is_blind = rho <= _TINY
        alpha = torch.where(is_blind, 1.0, rho / torch.where(curvature > 0, curvature, torch.nan))
        step = torch.where(is_open, alpha, 0.0).unsqueeze(1).to(y.dtype)
        x, r = x + step * torch.where(is_blind.unsqueeze(1), r, p), r - step * torch.where(is_blind.unsqueeze(1), r, q)
        residual = torch.where(is_open, row_norm(r), residual)
        rho_new = row_dot(r, weight * r)
        p = r + (rho_new / rho.clamp_min(_TINY)).unsqueeze(1).to(y.dtype) * p
        rho = rho_new
        is_open = is_open & (residual > tol * scale) & torch.isfinite(residual)
    return LinearSolution(x=x, relative_residual=relative(residual, scale), iterations=iterations)


def _check_symmetry(one: tuple[Tensor, Tensor], two: tuple[Tensor, Tensor], weight: Tensor) -> None:
    """Compare <p, J q> with <q, J p> for two directions that were multiplied anyway."""
    (p, jp), (q, jq) = one, two
    left, right = row_dot(p, weight * jq), row_dot(q, weight * jp)
    size = row_norm(weight * p) * torch.maximum(row_norm(jq), row_norm(jp) * row_norm(q) / row_norm(p).clamp_min(_TINY))
    wrong = (left - right).abs() > ASYMMETRY * size
    if bool(wrong.any()):
        k = int(wrong.to(torch.int8).argmax())
        raise GradientError(
            f"solver='cg' needs a core with symmetric W, but sample {k} has <p, J q> = {float(left[k]):.3e} and "
            f"<q, J p> = {float(right[k]):.3e}; use solver='gmres', or a symmetric core"
        )
