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
    """

    x: Tensor
    relative_residual: Tensor
    iterations: Tensor


def row_norm(x: Tensor) -> Tensor:
    """(batch, n) -> (batch,) float64 Euclidean norms."""
    return torch.linalg.vector_norm(x, dim=-1).to(torch.float64)


def relative(residual: Tensor, scale: Tensor) -> Tensor:
    """The ratio residual / scale, and 0 where the scale is 0."""
    return torch.where(scale > 0, residual / scale.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
