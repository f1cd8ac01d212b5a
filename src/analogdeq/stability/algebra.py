"""Transposes, Gram operators and bounds of feedback weights, dense or convolutional, on the weights themselves.

A convolution on an image with zero padding is the infinite convolution, read and fed only where the image is: a
principal submatrix. So it inherits definiteness, and no eigenvalue of its symmetric part leaves the range of the
infinite one's.
"""

import torch
from torch import Tensor
from torch.nn import functional

from analogdeq.cores.conv_norm import EXACT_UP_TO, norm_bound
from analogdeq.cores.kernels import kernels_of, rim, sides, unrolled
from analogdeq.errors import InputError

Image = tuple[int, int]
"""Height and width."""


def check_square(W: Tensor, image: Image | None) -> None:
    """Refuse what is neither a square matrix nor a convolution from channels to as many channels.

    Raises:
        InputError: naming the shape.
    """
    dims = 2 if image is None else 4
    if W.ndim != dims or W.shape[0] != W.shape[1]:
        wanted = "(node, node)" if image is None else "(channel, channel, kernel height, kernel width)"
        raise InputError(f"W must have shape {wanted} to be parametrised, got {tuple(W.shape)}")


def transposed(W: Tensor) -> Tensor:
    """The weights of W^T: of a convolution, channels swapped and kernels turned by 180 degrees."""
    return W.mT if W.ndim == 2 else W.transpose(0, 1).flip(-1, -2)


def symmetric_part(W: Tensor) -> Tensor:
    """(W + W^T) / 2."""
    return 0.5 * (W + transposed(W))


def gram(A: Tensor) -> Tensor:
    """The weights of A^T A; kernels of side k give kernels of side 2k - 1, their autocorrelation.

    Args:
        A: (any, node), or (any, channel, kernel height, kernel width).
    """
    if A.ndim == 2:
        return A.mT @ A
    swapped, (height, width) = A.transpose(0, 1), sides(A)
    return functional.conv2d(swapped, swapped, padding=(height - 1, width - 1)).transpose(0, 1)


def identity_like(W: Tensor) -> Tensor:
    """The weights of I in the shape of W."""
    eye = torch.eye(W.shape[0], dtype=W.dtype, device=W.device)
    if W.ndim == 2:
        return eye
    above, left = rim(W)
    return functional.pad(eye[:, :, None, None], (left, left, above, above))


def norm_of(W: Tensor, image: Image | None) -> float:
    """||W||_2 of a matrix; of a convolution, exact for small images and an upper bound beyond (`norm_bound`)."""
    W = W.detach().double()
    if image is None:
        return float(torch.linalg.matrix_norm(W, 2))
    return norm_bound(kernels_of(W), W.shape[0], *image)


def row_sum_of(W: Tensor) -> float:
    """||W||_inf, the largest row sum of |W|; of a convolution, that of a pixel all of whose neighbours exist."""
    return float(W.detach().double().abs().flatten(1).sum(1).max())


def symmetric_range(W: Tensor, image: Image | None) -> tuple[float, float]:
    """Bounds of the eigenvalues of (W + W^T) / 2: exact for matrices and small images, from a torus for larger ones.

    A torus with at least kernel // 2 more rows and columns than the image holds the zero-padded convolution as a
    principal submatrix (Cauchy's interlacing theorem), and is block-diagonal in frequency.
    """
    S = symmetric_part(W.detach().double())
    if image is None:
        eigenvalues = torch.linalg.eigvalsh(S)
    elif S.shape[0] * image[0] * image[1] <= EXACT_UP_TO:
        eigenvalues = torch.linalg.eigvalsh(unrolled(kernels_of(S), S.shape[0], *image))
    else:
        eigenvalues = torch.linalg.eigvalsh(_response(S, image))
    return float(eigenvalues.min()), float(eigenvalues.max())


def _response(S: Tensor, image: Image) -> Tensor:
    """(frequency, frequency, channel, channel) complex, Hermitian where S is symmetric."""
    above, left = rim(S)
    torus = (image[0] + above, image[1] + left)
    padded = functional.pad(S, (0, torus[1] - S.shape[-1], 0, torus[0] - S.shape[-2]))
    centred = padded.roll((-above, -left), (-2, -1))
    return torch.fft.fft2(centred).permute(2, 3, 0, 1).mH
