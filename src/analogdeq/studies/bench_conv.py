"""How fast a convolutional core settles beside the dense core of its unrolled matrix."""

from typing import Any

import torch
from torch import Tensor

from analogdeq.cores.conv import ConvCore
from analogdeq.cores.kernels import kernels_of, unrolled
from analogdeq.cores.rc import RCCore
from analogdeq.solve.settle import settle
from analogdeq.studies.timing import timed

KERNEL = 3
SCALE = 0.7
"""Standard deviation of a kernel's weights times the square root of their number; the spectral radius is about 0.9."""


def conv_core(shape: tuple[int, int, int], seed: int, *, per_position: bool, device: torch.device) -> ConvCore:
    """Random kernels, one for the whole image or the same one, with devices that differ by 2 %, at every position.

    Kernels of their own at every position are what a convolution becomes on a chip with a crossbar per position.
    """
    channels, height, width = shape
    generator = torch.Generator().manual_seed(seed)

    def normal(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator, dtype=torch.float64)

    W = normal(channels, channels, KERNEL, KERNEL) * SCALE / (channels * KERNEL**2) ** 0.5
    U = normal(channels, channels, 1, 1) / channels**0.5
    b = 0.1 * normal(channels)
    if per_position:
        W, U, b = (x * (1 + 0.02 * normal(height, width, *x.shape)) for x in (W, U, b))
    W, U, b = (x.float().to(device) for x in (W, U, b))
    return ConvCore(W, U, b, height=height, width=width)


def dense_core(core: ConvCore) -> RCCore:
    """The same network as matrices."""
    W, U = unrolled(kernels_of(core.W), *core.state_shape), unrolled(kernels_of(core.U), *core.input_shape)
    b = core.drive(torch.zeros(1, core.n_inputs, dtype=core.dtype, device=core.device)).current[0]
    return RCCore(W.contiguous(), U.contiguous(), b, activation=core.activation.name, tau_s=core.tau_s, gain=core.gain)


def bench_conv(
    shape: tuple[int, int, int], batch: int, seed: int, repeat: int, device: torch.device
) -> list[dict[str, Any]]:
    """A row for the dense core, and for each way to convolve: time, its ratio, and how far the equilibria are apart."""
    return [
        *_pair("one kernel", conv_core(shape, seed, per_position=False, device=device), batch, seed, repeat),
        *_pair("a kernel per position", conv_core(shape, seed, per_position=True, device=device), batch, seed, repeat),
    ]


def _pair(name: str, core: ConvCore, batch: int, seed: int, repeat: int) -> list[dict[str, Any]]:
    """The dense core's row and the convolutional one's."""
    u = torch.randn(batch, core.n_inputs, generator=torch.Generator().manual_seed(seed + 1)).to(core.device)
    dense = dense_core(core)
    dense_times = timed(lambda: settle(dense, u, compiled=False), repeat, core.device)
    times = timed(lambda: settle(core, u, compiled=False), repeat, core.device)
    difference = float((settle(core, u, compiled=False).z - settle(dense, u, compiled=False).z).abs().max())
    return [
        _row(f"dense, {name}", dense, dense_times, dense_times, 0.0),
        _row(f"ConvCore, {name}", core, times, dense_times, difference),
    ]


def _row(
    name: str, core: ConvCore | RCCore, times: tuple[float, float], dense_times: tuple[float, float], difference: float
) -> dict[str, Any]:
    return {
        "core": name,
        "ms": 1e3 * times[0],
        "ms_min": 1e3 * times[1],
        "weights": core.W.numel(),
        "over_dense": times[0] / dense_times[0],
        "difference": difference,
    }
