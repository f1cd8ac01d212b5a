"""Upper bounds of the 2-norm of zero-padded convolutions: what a contraction is certified with."""

import torch
from torch import Tensor
from torch.nn import functional

from analogdeq.cores.kernels import Kernels, SharedKernels, kernels_of, rim, sides, unrolled

EXACT_UP_TO = 512
"""Up to this many nodes the unrolled matrix is as cheap as a bound, and the bounds are at their loosest."""
ROUNDING = 1e-10
"""[1]. Far above the rounding of a float64 transform and eigenvalue, far below any gap of interest."""


def norm_bound(kernels: Kernels, channels: int, height: int, width: int) -> float:
    """A number that ||W||_2 does not exceed, for a convolution from and to (channels, height, width).

    Exact for small images; within a few per cent for one kernel on larger ones. For a kernel per position it is the
    bound of the mean kernel plus one of the deviations from it, which are overestimated about twice.
    """
    weight = kernels.weight.detach().double()
    if channels * height * width <= EXACT_UP_TO:
        norm = float(_norms(unrolled(kernels_of(weight), channels, height, width)))
    elif isinstance(kernels, SharedKernels):
        norm = periodic_bound(weight, height, width)
    else:
        norm = local_bound(weight)
    return norm * (1 + ROUNDING)


def periodic_bound(weight: Tensor, height: int, width: int) -> float:
    """The largest gain of the same kernel on a torus.

    On a torus with at least kernel // 2 more rows and columns than the image, padding with zeros is the periodic
    convolution of an image that is zero there, read where the image is: a submatrix, so its norm is no larger. The
    periodic one is block-diagonal in frequency. Two sizes of torus are tried, because either may be the tighter one.

    Args:
        weight: (out, in, kernel height, kernel width) float64.
        height: of the image; at least kernel height // 2 + 1.
        width: of the image, likewise.

    Source: H. Sedghi, V. Gupta, P. M. Long, ICLR 2019, for the periodic convolution.
    """
    below, right = rim(weight)
    gains = []
    for extra in (0, 1):
        torus = (height + below + extra, width + right + extra)
        response = torch.fft.rfft2(weight, s=torus)
        gains.append(float(_norms(response.permute(2, 3, 0, 1)).max()))
    return min(gains)


def local_bound(weight: Tensor) -> float:
    """The smaller of two bounds for a kernel per position: of the kernels, and of their mean plus the deviations.

    Args:
        weight: (height, width, out, in, kernel height, kernel width) float64.
    """
    height, width = weight.shape[:2]
    reads = _reads_a_pixel(weight)
    mean = (weight * reads).sum((0, 1)) / reads.sum((0, 1))
    by_mean = periodic_bound(mean, height, width) + _patch_bound((weight - mean) * reads)
    return min(_patch_bound(weight * reads), by_mean)


def _patch_bound(weight: Tensor) -> float:
    """sqrt(sum_g max_{r in g} ||weight_r||_2^2), g the sets of positions whose patches share no pixel.

    Within such a set the outputs depend on separate parts of the image, so the largest kernel bounds them together;
    positions a kernel side apart form one, and there are as many sets as a kernel has taps.
    """
    norms = _norms(weight.flatten(3))
    (rows, columns), (height, width) = sides(weight), norms.shape
    norms = functional.pad(norms, (0, -width % columns, 0, -height % rows))
    largest = norms.unflatten(1, (-1, columns)).unflatten(0, (-1, rows)).amax((0, 2))
    return float(torch.linalg.vector_norm(largest))


def _reads_a_pixel(weight: Tensor) -> Tensor:
    """(height, width, 1, 1, kernel height, kernel width): 1 where a tap lies on the image, 0 on padding."""
    height, width = weight.shape[:2]
    patches = functional.unfold(weight.new_ones(1, 1, height, width), sides(weight), padding=rim(weight))
    return patches.view(1, 1, *sides(weight), height, width).permute(4, 5, 0, 1, 2, 3)


def _norms(matrices: Tensor) -> Tensor:
    """(..., row, column) -> (...): 2-norms, by the eigenvalues of the small Gram matrices."""
    return torch.linalg.eigvalsh(matrices @ matrices.mH).amax(-1).clamp_min(0).sqrt()
