"""A linear map compressed onto a Krylov space whose vectors are orthogonal only to their nearest predecessors."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.linalg.system import MatVec

REACH = 2
"""How many predecessors a vector is made orthogonal to."""
_TINY = 1e-30
"""Norms below this are zero; representable in float32 too."""


@final
@dataclass(frozen=True, kw_only=True)
class ShortSpace:
    """A V = V H + h v e_m^T on the space of x, A x, ..., A^(m-1) x; that holds whatever V's vectors' angles are.

    Attributes:
        basis: (lane, m, node). Rows of length 1, the first along x; zero rows where the space is smaller.
        H: (lane, m, m) float64. A seen in that basis, upper Hessenberg.
        gram: (lane, m, m) float64. Products of the rows, so that w^T gram w is the square of V w.
        coupling: (lane,) float64. h, by which A leads out of the space; 0 where the space is invariant.
        length: (lane,) float64. ||x||_2.
    """

    basis: Tensor
    H: Tensor
    gram: Tensor
    coupling: Tensor
    length: Tensor

    def rows(self, index: Tensor) -> "ShortSpace":
        """The spaces of some lanes."""
        return ShortSpace(
            basis=self.basis[index],
            H=self.H[index],
            gram=self.gram[index],
            coupling=self.coupling[index],
            length=self.length[index],
        )


def short_arnoldi(matvec: MatVec, x: Tensor, size: int) -> ShortSpace:
    """The Krylov space of A and x, at a few passes over the vectors per product.

    Args:
        matvec: v -> A v, (lane, node) each.
        x: (lane, node).
        size: m, at most the number of nodes.

    Source: Y. Saad, Linear Algebra Appl. 34:269 (1980), for the incomplete orthogonalisation.
    """
    lanes, nodes = x.shape
    basis = x.new_empty(lanes, size + 1, nodes)
    H = torch.zeros(lanes, size + 1, size, dtype=torch.float64, device=x.device)
    peak = x.abs().amax(1, keepdim=True).clamp_min_(_TINY)  # so that no square underflows
    scaled = x / peak
    unit_length = _norm(scaled)
    torch.div(scaled, unit_length.clamp_min(_TINY), out=basis[:, 0])
    noise = 32 * torch.finfo(x.dtype).eps
    for k in range(size):
        w = matvec(basis[:, k])
        before = _norm(w)
        for j in range(max(0, k + 1 - REACH), k + 1):
            part = torch.mul(basis[:, j], w).sum(1, keepdim=True)
            w.addcmul_(basis[:, j], part, value=-1)
            H[:, j, k] = part.squeeze(1)
        norm = _norm(w)
        # What is left of an invariant space is rounding: go no further in it.
        goes_on = norm > (noise * before).clamp_min_(_TINY)
        H[:, k + 1, k] = torch.where(goes_on, norm, 0.0).squeeze(1)
        torch.mul(w, torch.where(goes_on, 1 / norm, 0.0), out=basis[:, k + 1])
    basis = basis[:, :size]
    return ShortSpace(
        basis=basis,
        H=H[:, :size],
        gram=torch.bmm(basis, basis.transpose(1, 2)).to(torch.float64),
        coupling=H[:, size, size - 1],
        length=(unit_length * peak).squeeze(1).to(torch.float64),
    )


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=1, keepdim=True)
