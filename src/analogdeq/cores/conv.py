"""The RC core whose weights are convolutions: tau dz/dt = -z + phi(W * z + U * u + b)."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.check import check_weight, undefined_where_infinite
from analogdeq.cores.conv_norm import norm_bound
from analogdeq.cores.core import Drive
from analogdeq.cores.gap import contraction_gap
from analogdeq.cores.kernels import Kernels, kernels_of, rim, sides, unrolled
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.errors import InputError

Shape = tuple[int, int, int]
"""Channels, height, width."""


@final
class ConvCore(SaturatingNetwork):
    """An RC network whose nodes are the pixels of an image and whose weights are convolutions.

    tau_i dz_i/dt = -z_i + a phi(W * z + U * u + b)_i           (* convolves with stride 1, zero padding, same size)

    It is `RCCore` with W and U unrolled to matrices, without the matrices. The solvers see the state and the input as
    rows of numbers, channel by channel and row by row: `x.flatten(1)` of (batch, channel, height, width), and back by
    `z.view(-1, *core.state_shape)`.

    W, U and b may all have two more dimensions in front, (height, width): then each output position has weights of its
    own. That is what a convolution becomes on a chip whose devices differ.

    Args:
        W: (channel, channel, kernel height, kernel width) [1]. Feedback kernels, sides odd. A `nn.Parameter` is
            trained, a tensor is not.
        U: (channel, input channel, kernel height, kernel width) [1]. Input kernels, sides odd; 1 x 1 for an injection
            pixel by pixel. The input image is as large as the state.
        b: (channel,) [1]. Biases.
        height: of the image.
        width: of the image.
        activation: a name in `ACTIVATIONS`.
        tau_s: [s]. Time constant, one number, or (channel, height, width) or (node,) of them; > 0.
        gain: [1]. a in the equation; > 0.

    Raises:
        InputError: if shapes or dtypes disagree, a kernel side is even or reaches past the image from everywhere,
            anything is not finite, or a time constant is not positive.

    Source: S. Bai, V. Koltun, J. Z. Kolter, NeurIPS 2020, for convolutional equilibria; the circuit is `RCCore`'s.
    """

    def __init__(
        self,
        W: Tensor,
        U: Tensor,
        b: Tensor,
        *,
        height: int,
        width: int,
        activation: str = "tanh",
        tau_s: float | Tensor = 1e-8,
        gain: float = 1.0,
    ) -> None:
        if not (isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0):
            raise InputError(f"height and width must be positive whole numbers, got {height!r} and {width!r}")
        _check_weights(W, U, b, (height, width))
        _check_kernels("W", W, (height, width))
        _check_kernels("U", U, (height, width))
        shape = (W.shape[-4], height, width)
        if isinstance(tau_s, Tensor) and tau_s.shape == shape:
            tau_s = tau_s.flatten()
        super().__init__((W, U, b), math.prod(shape), activation, tau_s, gain)
        self.state_shape: Shape = shape
        self.input_shape: Shape = (U.shape[-3], height, width)

    @property
    def n_nodes(self) -> int:
        """How many states there are: channels x height x width."""
        return math.prod(self.state_shape)

    @property
    def n_inputs(self) -> int:
        """How many inputs drive them: input channels x height x width."""
        return math.prod(self.input_shape)

    def drive(self, u: Tensor) -> Drive:
        """U * u + b, computed once per settle."""
        u = undefined_where_infinite(u)
        return Drive(self._current(u, self.U, self.b), u.new_zeros(u.shape[0], 0))

    def preactivation(self, z: Tensor, current: Tensor, out: Tensor | None = None) -> Tensor:
        """(batch, node) [1]. p = W * z + U * u + b."""
        product = _convolve(kernels_of(self.W), z, self.state_shape)
        return product.add_(current) if out is None else torch.add(product, current, out=out)

    def preactivation_with(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """(batch, node) [1]. p with every tensor of `trainable` handed in, for automatic differentiation."""
        W, U, b = parameters
        return _convolve(kernels_of(W), z, self.state_shape) + self._current(u, U, b)

    def linearise(self, z: Tensor, drive: Drive) -> "ConvLinearisation":
        """J = a D W with D = diag(phi'(p)) at each sample's state."""
        return ConvLinearisation(self.slope(z, drive), kernels_of(self.W), self.state_shape)

    def feedback_gap(self, slope: float) -> float:
        """max(0, 1 - slope B) with a bound B of ||W||_2, see `norm_bound`."""
        kernels, n = kernels_of(self.W.detach()), self.n_nodes
        start = torch.full((1, *self.state_shape), n**-0.5, dtype=self.dtype, device=self.device)
        return contraction_gap(
            slope, kernels.apply, kernels.transpose, start, lambda: norm_bound(kernels, *self.state_shape)
        )

    def _current(self, u: Tensor, U: Tensor, b: Tensor) -> Tensor:
        """(batch, node) [1]. U * u + b."""
        bias = b.view(-1, 1, 1) if b.ndim == 1 else b.permute(2, 0, 1)
        return _convolve(kernels_of(U), u, self.input_shape) + bias.expand(self.state_shape).flatten()


@final
@dataclass(frozen=True)
class ConvLinearisation:
    """J = diag(slope) W at one state per sample, W a convolution; a matrix only if `dense` is asked for."""

    slope: Tensor
    kernels: Kernels
    shape: Shape

    def matvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J v."""
        return self.slope * _convolve(self.kernels, v, self.shape)

    def rmatvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J^T v."""
        return self.kernels.transpose((self.slope * v).unflatten(1, self.shape)).flatten(1)

    def dense(self) -> Tensor:
        """(batch, node, node): J."""
        return self.slope.unsqueeze(-1) * unrolled(self.kernels, *self.shape)


def _convolve(kernels: Kernels, x: Tensor, shape: Shape) -> Tensor:
    """(batch, number) -> (batch, node), x an image of `shape` in a row."""
    return kernels.apply(x.unflatten(1, shape)).flatten(1)


def _check_weights(W: Tensor, U: Tensor, b: Tensor, image: tuple[int, int]) -> None:
    for name, value, n_dims in (("W", W, (4, 6)), ("U", U, (4, 6)), ("b", b, (1, 3))):
        check_weight(name, value, n_dims, W)
    if W.shape[-4] != W.shape[-3]:
        raise InputError(
            f"W must lead from as many channels as it leads to, got shape {tuple(W.shape)}; "
            f"want (channel, channel, kernel height, kernel width)"
        )
    if W.numel() == 0 or U.numel() == 0:
        raise InputError(f"W and U must not be empty, got shapes {tuple(W.shape)} and {tuple(U.shape)}")
    if U.shape[-4] != W.shape[-4] or b.shape[-1] != W.shape[-4]:
        raise InputError(
            f"W is for {W.shape[-4]} channels, but U has shape {tuple(U.shape)} and b {tuple(b.shape)}; "
            f"want (channel, input channel, kernel height, kernel width) and (channel,)"
        )
    positions = {W.shape[:-4], U.shape[:-4], b.shape[:-1]}
    if len(positions) > 1 or not positions <= {(), image}:
        raise InputError(
            f"W, U and b must all hold for every position, or all begin with the image's {image}; "
            f"got shapes {tuple(W.shape)}, {tuple(U.shape)} and {tuple(b.shape)}"
        )


def _check_kernels(name: str, weight: Tensor, image: tuple[int, int]) -> None:
    (height, width), (above, left) = sides(weight), rim(weight)
    if not (height % 2 and width % 2):
        raise InputError(
            f"{name} has kernels of {height} x {width}; a convolution that keeps the size of the image needs odd sides"
        )
    if above >= image[0] or left >= image[1]:
        raise InputError(
            f"{name} has kernels of {height} x {width}, too large for an image of {image[0]} x {image[1]}: their "
            f"outermost weights would read padding from every position"
        )
