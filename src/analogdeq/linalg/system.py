"""What a batched linear solve takes and returns."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

MatVec = Callable[[Tensor], Tensor]
"""(batch, n) -> (batch, n), row i multiplied by sample i's matrix."""


@dataclass(frozen=True, kw_only=True)
class LinearSolution:
    """The solution of one linear system per sample.

    Attributes:
        x: (batch, n).
        relative_residual: (batch,) float64. ||y - A x||_2 / ||y||_2; 0 where y is 0.
        iterations: (batch,) int64. Products with A spent on each sample.
        noise_floor: (batch,) float64. The relative residual beneath which the noise of the products hides whatever is
            left; None where products are taken for exact.
    """

    x: Tensor
    relative_residual: Tensor
    iterations: Tensor
    noise_floor: Tensor | None = None


Tolerance = float | Tensor
"""Relative residual at which a sample stops: one number, or (batch,) float64 of them."""


def row_norm(x: Tensor) -> Tensor:
    """(batch, n) -> (batch,) float64 Euclidean norms."""
    return torch.linalg.vector_norm(x, dim=-1).to(torch.float64)


def row_dot(x: Tensor, y: Tensor) -> Tensor:
    """(batch, n), (batch, n) -> (batch,) float64 inner products."""
    return (x.to(torch.float64) * y.to(torch.float64)).sum(-1)


def relative(residual: Tensor, scale: Tensor) -> Tensor:
    """The ratio residual / scale, and 0 where the scale is 0."""
    return torch.where(scale > 0, residual / scale.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
