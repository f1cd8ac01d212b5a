"""What coupled oscillators feel of each other: W times a complex amplitude, dense or edge by edge."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.errors import InputError


@final
@dataclass(frozen=True)
class Edges:
    """Where a sparse coupling is not zero; its weights are one number per edge.

    Attributes:
        index: (2, edge) int64, sorted. Row (the oscillator that is driven) and column (the one that drives).
        n: how many oscillators there are.
    """

    index: Tensor
    n: int

    def matrix(self, weights: Tensor, *, transposed: bool = False) -> Tensor:
        """(n, n) sparse. Products with it cost one multiplication per edge."""
        index = self.index.flip(0) if transposed else self.index
        # The indices came out of a coalesced tensor: checking them again would cost more than the product.
        return torch.sparse_coo_tensor(
            index, weights, (self.n, self.n), is_coalesced=not transposed, check_invariants=False
        )


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
    return W.values(), Edges(W.indices(), W.shape[0])


def couple(W: Tensor, edges: Edges | None, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary part (batch, node) of W (x + i y); W (node, node), or (edge,) with `edges`."""
    if W.is_complex():
        product = torch.complex(x, y) @ W.T
        return product.real, product.imag
    both = torch.cat((x, y))
    image = both @ W.T if edges is None else torch.sparse.mm(edges.matrix(W), both.T).T
    return image[: x.shape[0]], image[x.shape[0] :]


def couple_adjoint(W: Tensor, edges: Edges | None, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary part (batch, node) of W^H (x + i y)."""
    if W.is_complex():
        product = torch.complex(x, y) @ W.conj()
        return product.real, product.imag
    both = torch.cat((x, y))
    image = both @ W if edges is None else torch.sparse.mm(edges.matrix(W, transposed=True), both.T).T
    return image[: x.shape[0]], image[x.shape[0] :]


def dense_coupling(W: Tensor, edges: Edges | None) -> Tensor:
    """(node, node). W as a matrix, for small networks."""
    return W if edges is None else edges.matrix(W).to_dense()
