"""Zero-padded convolutions of stride 1, with one kernel for the whole image or one for every output position."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional


@final
@dataclass(frozen=True)
class SharedKernels:
    """y[o, r] = sum_{i, d} weight[o, i, d] x[i, r + d - centre]: the same kernel at every output position r.

    Attributes:
        weight: (out, in, kernel height, kernel width) [1]. Both kernel sides odd.
    """

    weight: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """(batch, in, height, width) -> (batch, out, height, width)."""
        if _loses_digits(x):
            patches = functional.unfold(x, sides(self.weight), padding=rim(self.weight))
            return (self.weight.flatten(1) @ patches).unflatten(2, x.shape[2:])
        return functional.conv2d(x, self.weight, padding=rim(self.weight))

    def transpose(self, y: Tensor) -> Tensor:
        """(batch, out, height, width) -> (batch, in, height, width): the adjoint of `apply`."""
        if _loses_digits(y):
            patches = self.weight.flatten(1).T @ y.flatten(2)
            return functional.fold(patches, y.shape[2:], sides(self.weight), padding=rim(self.weight))
        return functional.conv_transpose2d(y, self.weight, padding=rim(self.weight))


@final
@dataclass(frozen=True)
class LocalKernels:
    """y[o, r] = sum_{i, d} weight[r, o, i, d] x[i, r + d - centre]: every output position r has a kernel of its own.

    The patches of the image, one per position, are multiplied by the kernels in one batched product; the matrix
    (node, node), of which a patch is a few columns, is never formed.

    Attributes:
        weight: (height, width, out, in, kernel height, kernel width) [1]. What would read padding is ignored.
    """

    weight: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """(batch, in, height, width) -> (batch, out, height, width)."""
        (height, width), (above, left) = sides(self.weight), rim(self.weight)
        # With the batch innermost, patches are copied in whole runs of memory.
        padded = functional.pad(x.permute(2, 3, 1, 0), (0, 0, 0, 0, left, left, above, above))
        patches = padded.unfold(0, height, 1).unfold(1, width, 1).permute(0, 1, 2, 4, 5, 3)
        matrices = self._matrices
        y = torch.bmm(matrices, patches.reshape(len(matrices), -1, x.shape[0]))
        return y.permute(2, 1, 0).unflatten(2, x.shape[2:])

    def transpose(self, y: Tensor) -> Tensor:
        """(batch, out, height, width) -> (batch, in, height, width): the adjoint of `apply`."""
        patches = torch.bmm(self._matrices.mT, y.flatten(2).permute(2, 1, 0))
        return functional.fold(patches.permute(2, 1, 0), y.shape[2:], sides(self.weight), padding=rim(self.weight))

    @property
    def _matrices(self) -> Tensor:
        """(position, out, in x kernel height x kernel width), a view."""
        return self.weight.flatten(3).flatten(0, 1)


Kernels = SharedKernels | LocalKernels


def kernels_of(weight: Tensor) -> Kernels:
    """The convolution of a weight with four dimensions, or the local one of a weight with six."""
    return SharedKernels(weight) if weight.ndim == 4 else LocalKernels(weight)


def unrolled(kernels: Kernels, channels: int, height: int, width: int) -> Tensor:
    """(out node, in node): the dense matrix, from the responses to unit images; for small cores only."""
    n = channels * height * width
    units = torch.eye(n, dtype=kernels.weight.dtype, device=kernels.weight.device)
    return kernels.apply(units.view(n, channels, height, width)).flatten(1).T


def sides(weight: Tensor) -> tuple[int, int]:
    """Height and width of a weight's kernels."""
    return weight.shape[-2], weight.shape[-1]


def rim(weight: Tensor) -> tuple[int, int]:
    """How many rows and columns of padding keep the size of the image."""
    return weight.shape[-2] // 2, weight.shape[-1] // 2


def _loses_digits(x: Tensor) -> bool:
    """Whether cuDNN would convolve in TF32, its default for float32: ten bits after the point cannot resolve a settle.

    A product of matrices keeps its digits by default, on every device and in the backward pass.
    """
    return x.is_cuda and x.dtype == torch.float32
