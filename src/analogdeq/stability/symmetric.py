"""Symmetric weights, and positive or negative definite ones: networks with an energy that never rises."""

from typing import final

import torch
from torch import Tensor, nn

from analogdeq.cores.kernels import rim
from analogdeq.errors import InputError
from analogdeq.stability.algebra import (
    Image,
    gram,
    identity_like,
    norm_of,
    symmetric_part,
    symmetric_range,
    transposed,
)
from analogdeq.stability.certificate import Certificate


@final
class Symmetric(nn.Module):
    """W = (X + X^T) / 2.

    With an increasing nonlinearity, equal time constants and no delay, a symmetric network has an energy that falls
    along every trajectory, so it cannot oscillate.

    Source: J. J. Hopfield, PNAS 81:3088 (1984).
    """

    def forward(self, X: Tensor) -> Tensor:
        """The symmetric part."""
        return symmetric_part(X)

    def right_inverse(self, W: Tensor) -> Tensor:
        """W itself."""
        return W

    def certificate(self, W: Tensor) -> Certificate:
        """Largest |W - W^T| = 0."""
        W = W.detach().double()
        return Certificate(
            name="max |W - W^T|", value=float((W - transposed(W)).abs().max()), bound=0.0, tolerance=1e-7,
            meaning="an energy that falls along every trajectory: no oscillation",
        )  # fmt: skip


@final
class Definite(nn.Module):
    """W = s (A^T A + f I): symmetric, every eigenvalue at least f (s = +1) or at most -f (s = -1).

    Negative definite feedback settles faster than the bare node, whatever its size; positive definite feedback needs a
    norm bound besides.

    Args:
        sign: +1 or -1.
        floor: f > 0.
        image: height and width of the image W convolves; None for a matrix.

    Raises:
        InputError: if sign or floor are none of these.
    """

    def __init__(self, sign: int, *, floor: float = 1e-3, image: Image | None = None) -> None:
        super().__init__()
        if sign not in (1, -1):
            raise InputError(f"sign = {sign!r} must be 1 or -1")
        if not 0 < floor < float("inf"):
            raise InputError(f"floor = {floor!r} must be a positive number")
        self.sign, self.floor, self._image = sign, float(floor), image

    def forward(self, A: Tensor) -> Tensor:
        """W from A."""
        positive = gram(A)
        return self.sign * (positive + self.floor * identity_like(positive))

    def right_inverse(self, W: Tensor) -> Tensor:
        """A of a definite W as large as the given one.

        Of a matrix: with the eigenvalues of its symmetric part, each with the sign wanted. Of a convolution: a part of
        its kernels, scaled to the same norm.
        """
        if self._image is None:
            values, vectors = torch.linalg.eigh(symmetric_part(W.detach()))
            return (vectors * (values.abs() - self.floor).clamp_min(0).sqrt()) @ vectors.mT
        above, left = rim(W)
        A = W.detach()[..., above:, left:].clone()
        size = norm_of(gram(A), self._image)
        return A * (max(norm_of(W, self._image) - self.floor, 0.0) / size) ** 0.5 if size > 0 else A

    def certificate(self, W: Tensor) -> Certificate:
        """Every eigenvalue of s W is positive; a norm bound that shortens W shortens the floor with it."""
        low, high = symmetric_range(W, self._image)
        worst = -low if self.sign > 0 else high
        return Certificate(
            name="largest eigenvalue of -W" if self.sign > 0 else "largest eigenvalue of W",
            value=worst, bound=0.0, tolerance=0.0, meaning="definite: an energy, and real modes",
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Sign and floor."""
        return f"sign={self.sign:+d}, floor={self.floor:g}"
