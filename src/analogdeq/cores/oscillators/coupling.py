"""What coupled oscillators feel of each other: W times a complex amplitude, dense or edge by edge."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from analogdeq.errors import InputError


@final
@dataclass(frozen=True)
class Edges:
    """Where a sparse coupling is not zero; its weights are one number per edge, ordered by row.

    A product is a weighted sum of rows per oscillator, which torch's embedding bag does with a tenth of the time of its
    sparse matrix product, and differentiates.

    Attributes:
        row: (edge,) int64, rising. The oscillator that is driven.
        column: (edge,) int64. The one that drives.
        first: (n,) int64. Where each oscillator's edges begin.
        by_column: (edge,) int64. The edges in the order of the transposed matrix.
        first_by_column: (n,) int64.
    """

    row: Tensor
    column: Tensor
    first: Tensor
    by_column: Tensor
    first_by_column: Tensor

    @classmethod
    def of(cls, index: Tensor, n: int) -> "Edges":
        """From the (2, edge) indices of a coalesced matrix (n, n)."""
        row, column = index[0].contiguous(), index[1].contiguous()
        return cls(row, column, _starts(row, n), torch.argsort(column, stable=True), _starts(column, n))

    @property
    def n(self) -> int:
        """How many oscillators there are."""
        return self.first.shape[0]

    def product(self, weights: Tensor, x: Tensor) -> Tensor:
        """(row, n) -> (row, n): x W^T."""
        return _bag(x, self.column, self.first, weights)

    def product_transposed(self, weights: Tensor, x: Tensor) -> Tensor:
        """(row, n) -> (row, n): x W."""
        return _bag(x, self.row[self.by_column], self.first_by_column, weights[self.by_column])

    def dense(self, weights: Tensor) -> Tensor:
        """(n, n)."""
        return weights.new_zeros(self.n, self.n).index_put((self.row, self.column), weights)


def _starts(sorted_or_not: Tensor, n: int) -> Tensor:
    counts = torch.bincount(sorted_or_not, minlength=n)
    return torch.cumsum(counts, 0) - counts


def _bag(x: Tensor, source: Tensor, first: Tensor, weights: Tensor) -> Tensor:
    """(row, n): sums over each oscillator's edges of weight times x at their source; rows side by side in memory."""
    return functional.embedding_bag(source, x.T.contiguous(), first, mode="sum", per_sample_weights=weights).T


def split_coupling(W: Tensor) -> tuple[Tensor, Edges | None]:
    """The weights of a coupling and, where W is a sparse tensor, its edges.

    Raises:
        InputError: if W is sparse and complex: two real sparse couplings are needed then, which nothing here asks for.
    """
    if not W.is_sparse:
        return W, None
    if W.is_complex():
        raise InputError("a sparse coupling W must be real; make a complex one dense")
    W = W.coalesce()
    return W.values(), Edges.of(W.indices(), W.shape[0])


def couple(W: Tensor, edges: Edges | None, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary part (batch, node) of W (x + i y); W (node, node), or (edge,) with `edges`."""
    if W.is_complex():
        product = torch.complex(x, y) @ W.T
        return product.real, product.imag
    both = torch.cat((x, y))
    image = both @ W.T if edges is None else edges.product(W, both)
    return image[: x.shape[0]], image[x.shape[0] :]


def couple_adjoint(W: Tensor, edges: Edges | None, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary part (batch, node) of W^H (x + i y)."""
    if W.is_complex():
        product = torch.complex(x, y) @ W.conj()
        return product.real, product.imag
    both = torch.cat((x, y))
    image = both @ W if edges is None else edges.product_transposed(W, both)
    return image[: x.shape[0]], image[x.shape[0] :]


def dense_coupling(W: Tensor, edges: Edges | None) -> Tensor:
    """(node, node). W as a matrix, for small networks."""
    return W if edges is None else edges.dense(W)
