"""Weights of a monotone operator equation: W = (1 - m) I - A^T A + B - B^T."""

from typing import final

import torch
from torch import Tensor, nn

from analogdeq.cores.kernels import rim
from analogdeq.errors import InputError
from analogdeq.stability.algebra import Image, gram, identity_like, symmetric_part, symmetric_range, transposed
from analogdeq.stability.certificate import Certificate


@final
class Monotone(nn.Module):
    """W = (1 - m) I - A^T A + B - B^T, so that I - W is strongly monotone: (W + W^T) / 2 <= (1 - m) I.

    With a nonlinearity that is nondecreasing with slope at most 1 and a gain of at most 1, there is one equilibrium
    for every input and the circuit tau dz/dt = -z + phi(W z + ...) finds it, however large ||W||_2 is.

    Of a convolution, A holds kernels of side k + 1 where W has side 2 k + 1: their autocorrelation is exactly as large
    as W, so that a crossbar of W's size can hold it. A has two output channels for each of W.

    Args:
        margin: m > 0.
        image: height and width of the image W convolves; None for a matrix.

    Raises:
        InputError: if m does not lie above 0 and below 1: from 1 on W = 0 could not be reached.

    Source: E. Winston, J. Z. Kolter, NeurIPS 2020, theorem 1 (the parametrisation).
    """

    def __init__(self, margin: float, image: Image | None = None) -> None:
        super().__init__()
        if not 0 < margin < 1:
            raise InputError(f"margin = {margin!r} of a monotone W must lie between 0 and 1")
        self.margin, self._image = float(margin), image

    def forward(self, A: Tensor, B: Tensor) -> Tensor:
        """W from A and B."""
        return (1 - self.margin) * identity_like(B) - gram(A) + B - transposed(B)

    def right_inverse(self, W: Tensor) -> tuple[Tensor, Tensor]:
        """A and B of the nearest monotone W.

        Exact for a matrix. A convolution is met up to the square of its symmetric part: not every positive operator
        is the autocorrelation of so few kernels.
        """
        B = 0.25 * (W - transposed(W))
        target = (1 - self.margin) * identity_like(W) - symmetric_part(W)
        return (root(target.detach()) if self._image is None else _kernel_root(target, 1 - self.margin)), B

    def certificate(self, W: Tensor) -> Certificate:
        """The largest eigenvalue of (W + W^T) / 2 is at most 1 - m."""
        return Certificate(
            name="numerical abscissa of W", value=symmetric_range(W, self._image)[1], bound=1 - self.margin,
            meaning="one equilibrium for every input, which the circuit finds",
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The margin."""
        return f"margin={self.margin:g}"


def root(P: Tensor) -> Tensor:
    """The symmetric square root of a symmetric matrix, negative eigenvalues taken as 0; rounded once, at the end."""
    values, vectors = torch.linalg.eigh(P.double())
    return ((vectors * values.clamp_min(0).sqrt()) @ vectors.mT).to(P)


def _kernel_root(target: Tensor, scale: float) -> Tensor:
    """Kernels A with A^T A = target up to second order in how far `target` is from `scale` times the identity.

    Two families of output channels start as a single tap in two corners of the kernel; their autocorrelations with
    the other taps reach each of the displacements of `target` in one of the two, or on the axes in both.
    """
    C, (above, left) = target.shape[0], rim(target)
    eye, corner = torch.eye(C).to(target), (0.5 * scale) ** 0.5
    change = (target - scale * identity_like(target)) / corner
    share = torch.ones(above + 1, left + 1).to(target)
    share[0, 1:] = share[1:, 0] = 0.5  # reached by both families
    share[0, 0] = 0.25  # and twice by each
    falling = change[..., above:, left:] * share
    rising = change[..., above:, : left + 1] * share.flip(1)
    falling[..., 0, 0] += corner * eye
    rising[..., 0, left] += corner * eye
    return torch.cat([falling, rising])
