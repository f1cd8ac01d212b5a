"""Weights kept short: in the 2-norm by clipped power iteration, in the infinity norm row by row."""

import math
from typing import final

import torch
from torch import Tensor, nn

from analogdeq.cores.kernels import kernels_of
from analogdeq.errors import InputError
from analogdeq.stability.algebra import Image, norm_of, row_sum_of
from analogdeq.stability.certificate import Certificate

VECTORS, BURST, FIRST_BURSTS, MAX_BURSTS = 4, 4, 25, 100
"""Power iteration: vectors at once, products with W^T W between two looks at the estimate, looks at the most:
at first, for vectors to begin with, and whenever W is computed."""
GROWTH = 1e-6
"""[1]. Relative growth of the estimate over a burst below which it stands."""
POWER_TOLERANCE = 1e-4
"""[1]. Power iteration approaches the norm from below: with close singular values it may stop this far from it."""


@final
class SpectralBound(nn.Module):
    """W = X min(1, c / ||X||_2), with ||X||_2 by power iteration on X^T X, of a few vectors at once.

    ||W||_2 <= c: with c below 1 over the slope of the nonlinearity there is one equilibrium for every input, and it
    attracts from everywhere. A weight within the bound is not changed, to the bit.

    Args:
        bound: c > 0.
        W: (node, node), or (channel, channel, kernel height, kernel width). For its shape, dtype and first vectors.
        image: height and width of the image W convolves; None for a matrix.
        bursts: looks at the estimate at the most, each after four products with W^T W, whenever W is computed in
            training. With few, ||W||_2 may pass c there by what the last steps have changed; evaluation goes on until
            the estimate stands.

    Raises:
        InputError: if the bound is not a positive number, or there is no burst.

    Source: T. Miyato et al., ICLR 2018, for the normalisation by power iteration with a kept vector.
    """

    vectors: Tensor

    def __init__(self, bound: float, W: Tensor, image: Image | None = None, *, bursts: int = MAX_BURSTS) -> None:
        super().__init__()
        if bursts < 1:
            raise InputError(f"bursts = {bursts} of power iteration must be at least 1")
        self.bound, self._image, self._bursts = _positive("bound", bound), image, bursts
        shape = (W.shape[1],) if image is None else (W.shape[1], *image)
        start = torch.randn(min(VECTORS, math.prod(shape)), *shape, generator=torch.Generator().manual_seed(0))
        self.register_buffer("vectors", start.to(W))
        with torch.no_grad():
            self.vectors = self._iterate(W.detach(), FIRST_BURSTS)

    def forward(self, X: Tensor) -> Tensor:
        """X, scaled back where it is too long."""
        with torch.no_grad():
            vectors = self._iterate(X.detach(), self._bursts if self.training else MAX_BURSTS)
            # Evaluation must not change what training goes on from, nor a settle leave it vectors without history.
            if self.training and not torch.is_inference_mode_enabled():
                self.vectors = vectors
            v = vectors[:1]
            u = self._forth(X.detach(), v)
            u = u / torch.linalg.vector_norm(u).clamp_min(torch.finfo(u.dtype).tiny)
        norm = (u * self._forth(X, v)).sum()
        return X * (self.bound / norm.clamp_min(self.bound))

    def right_inverse(self, W: Tensor) -> Tensor:
        """W itself."""
        return W

    def certificate(self, W: Tensor) -> Certificate:
        """||W||_2 <= c."""
        return Certificate(
            name="||W||_2", value=norm_of(W, self._image), bound=self.bound, tolerance=POWER_TOLERANCE,
            meaning="with ||W||_2 times the largest slope below 1: one equilibrium, attracting from everywhere",
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The bound."""
        return f"bound={self.bound:g}"

    def _iterate(self, X: Tensor, bursts: int) -> Tensor:
        """(vector, ...). Orthonormal, the first the one X stretches most."""
        V, before = self.vectors, 0.0
        for _ in range(bursts):
            for _ in range(BURST):
                V = _orthonormal(self._back(X, self._forth(X, V)))
            images = self._forth(X, V).flatten(1)
            squares, turn = torch.linalg.eigh(images @ images.mT)
            V = torch.einsum("ij,i...->j...", turn.flip(1), V)
            norm = float(squares[-1].clamp_min(0)) ** 0.5
            if norm <= before * (1 + GROWTH):
                break
            before = norm
        return V

    def _forth(self, X: Tensor, v: Tensor) -> Tensor:
        return v @ X.mT if self._image is None else kernels_of(X).apply(v)

    def _back(self, X: Tensor, u: Tensor) -> Tensor:
        return u @ X if self._image is None else kernels_of(X).transpose(u)


@final
class RowBound(nn.Module):
    """W_i = X_i min(1, c / sum_j |X_ij|) for every row i; of a convolution, for every output channel.

    A row's sum of |W| is the summed conductance on one output wire, so the bound is what the wire's amplifier must
    drive. ||W||_inf <= c; with c below 1 over the slope, the network contracts in the infinity norm.

    Args:
        bound: c > 0.

    Raises:
        InputError: if the bound is not a positive number.
    """

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = _positive("bound", bound)

    def forward(self, X: Tensor) -> Tensor:
        """X with its long rows scaled back."""
        sums = X.abs().flatten(1).sum(1)
        return X * (self.bound / sums.clamp_min(self.bound)).view(-1, *[1] * (X.ndim - 1))

    def right_inverse(self, W: Tensor) -> Tensor:
        """W itself."""
        return W

    def certificate(self, W: Tensor) -> Certificate:
        """||W||_inf <= c."""
        return Certificate(
            name="||W||_inf", value=row_sum_of(W), bound=self.bound,
            meaning="with the row sums times the largest slope below 1: a contraction in the infinity norm",
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The bound."""
        return f"bound={self.bound:g}"


def _positive(name: str, value: float) -> float:
    if not 0 < value < float("inf"):
        raise InputError(f"{name} = {value!r} must be a positive number")
    return float(value)


def _orthonormal(V: Tensor) -> Tensor:
    """The rows of V, made orthonormal."""
    return torch.linalg.qr(V.flatten(1).mT).Q.mT.view_as(V)
