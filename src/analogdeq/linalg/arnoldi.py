"""A linear map compressed onto the Krylov space of a vector, one space per sample."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.linalg.system import MatVec, row_norm

_TINY = 1e-30
"""Norms below this are zero; representable in float32 too."""
DECOUPLED = -1.0
"""Diagonal entry of H for directions that a smaller invariant space never needed."""


@final
@dataclass(frozen=True, kw_only=True)
class KrylovSpace:
    """A V = V H + h v e_m^T on the space of x, A x, ..., A^(m-1) x.

    Attributes:
        basis: (lane, m, node). Orthonormal rows, the first along x; zero rows where the space is smaller.
        H: (lane, m, m) float64. A seen in that basis.
        coupling: (lane,) float64. h, by which A leads out of the space; 0 where the space is invariant.
        length: (lane,) float64. ||x||_2.
        products: how many products with A it took.
    """

    basis: Tensor
    H: Tensor
    coupling: Tensor
    length: Tensor
    products: int


def arnoldi(matvec: MatVec, x: Tensor, size: int) -> KrylovSpace:
    """The Krylov space of A and x.

    Classical Gram-Schmidt done twice, as in `solve_gmres`.

    Args:
        matvec: v -> A v, (lane, node) each.
        x: (lane, node).
        size: m, at most the number of nodes.

    Source: W. E. Arnoldi, Q. Appl. Math. 9:17 (1951).
    """
    lanes, nodes = x.shape
    basis = x.new_zeros(lanes, size + 1, nodes)
    H = torch.zeros(lanes, size + 1, size, dtype=torch.float64, device=x.device)
    peak = x.abs().amax(1, keepdim=True).clamp_min(_TINY)  # so that no square underflows
    unit_length = row_norm(x / peak)
    basis[:, 0] = x / peak / unit_length.clamp_min(_TINY).unsqueeze(1).to(x.dtype)
    noise = 32 * torch.finfo(x.dtype).eps
    is_open = unit_length > 0
    for k in range(size):
        w = matvec(basis[:, k])
        before = row_norm(w)
        for _ in range(2):
            part = torch.bmm(basis[:, : k + 1], w.unsqueeze(-1))
            w = w - torch.bmm(part.transpose(1, 2), basis[:, : k + 1]).squeeze(1)
            H[:, : k + 1, k] += part.squeeze(-1)
        norm = row_norm(w)
        # What is left of an invariant space is rounding: go no further in it.
        goes_on = is_open & (norm > noise * before) & (norm > _TINY)
        H[~is_open, k, k] = DECOUPLED
        H[:, k + 1, k] = torch.where(goes_on, norm, 0.0)
        basis[:, k + 1] = torch.where(goes_on, 1 / norm.clamp_min(_TINY), 0.0).unsqueeze(1).to(x.dtype) * w
        is_open = goes_on
    return KrylovSpace(
        basis=basis[:, :size],
        H=H[:, :size],
        coupling=H[:, size, size - 1],
        length=unit_length * peak.squeeze(1),
        products=size,
    )
