"""The largest eigenvalue of a symmetric matrix per sample, from products alone."""

import torch
from torch import Tensor

from analogdeq.linalg.system import MatVec, row_norm


def largest_eigenpair(product: MatVec, start: Tensor, *, steps: int) -> tuple[Tensor, Tensor]:
    """The largest Ritz value of S in the Krylov space of `start`, and its unit vector; a lower bound of lambda_max.

    Lanczos iteration with full orthogonalisation. A sample whose space is exhausted early is exact.

    Args:
        product: v -> S v, S symmetric.
        start: (batch, n), no row zero.
        steps: products at the most; n at the most.

    Returns:
        (batch,) float64 and (batch, n).

    Source: G. H. Golub, C. F. Van Loan, Matrix Computations, 4th ed., section 10.1.
    """
    batch, n = start.shape
    steps = min(steps, n)
    small = 100 * torch.finfo(start.dtype).eps
    basis = start.new_zeros(batch, steps, n)
    triangle = torch.zeros(batch, steps, steps, dtype=torch.float64, device=start.device)
    v = start / row_norm(start).unsqueeze(1).to(start.dtype)
    size = torch.zeros(batch, dtype=torch.float64, device=start.device)
    for k in range(steps):
        basis[:, k] = v
        w = product(v)
        size = torch.maximum(size, row_norm(w))
        is_spent = row_norm(v) < 0.5
        own = (v * w).sum(1).double()
        # A spent sample's rows stand apart, below what it has found, so that they are never the largest.
        triangle[:, k, k] = torch.where(is_spent, triangle[:, 0, 0] - 1, own)
        if k + 1 == steps:
            break
        for _ in range(2):
            w = w - torch.einsum("bk,bkn->bn", torch.einsum("bkn,bn->bk", basis[:, : k + 1], w), basis[:, : k + 1])
        beta = row_norm(w)
        beta = torch.where(is_spent | (beta <= small * size), 0.0, beta)
        triangle[:, k, k + 1] = triangle[:, k + 1, k] = beta
        v = torch.where(beta.unsqueeze(1) > 0, w / beta.unsqueeze(1).clamp_min(1e-30).to(w.dtype), 0.0)
    values, vectors = torch.linalg.eigh(triangle)
    return values[:, -1], torch.einsum("bk,bkn->bn", vectors[:, :, -1].to(start.dtype), basis)
