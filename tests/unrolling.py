"""Convolutions written out as matrices, index by index, and the circuits they stand for.

Nothing here convolves, folds or unfolds: every weight and every device is put where it belongs by its indices.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch

from analogdeq.chip import Chip
from analogdeq.cores.conv import ConvCore
from analogdeq.cores.rc import RCCore
from analogdeq.devices.preset import IDEAL, DevicePreset
from helpers import Array, Nodal, circuit, tensor


def conv_core(
    channels: int = 2,
    inputs: int = 1,
    image: tuple[int, int] = (4, 3),
    *,
    kernel: tuple[int, int] = (3, 3),
    input_kernel: tuple[int, int] = (1, 1),
    per_position: bool = False,
    size: float = 0.5,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    **options: Any,
) -> ConvCore:
    """Random kernels of standard deviation `size` over the square root of a kernel's inputs."""
    rng = np.random.default_rng(seed)
    own = image if per_position else ()

    def kernels(leads_from: int, sides: tuple[int, int]) -> torch.Tensor:
        scale = size / np.sqrt(leads_from * sides[0] * sides[1])
        return tensor(scale * rng.normal(size=(*own, channels, leads_from, *sides)), dtype)

    W, U = kernels(channels, kernel), kernels(inputs, input_kernel)
    b = tensor(0.2 * rng.normal(size=(*own, channels)), dtype)
    return ConvCore(W, U, b, height=image[0], width=image[1], **options)


def taps(
    channels_in: int, channels_out: int, sides: tuple[int, int], image: tuple[int, int]
) -> Iterator[tuple[int, int, tuple[int, int], tuple[int, int, int, int]]]:
    """(row of the matrix, column, output position, indices into the kernel) of every weight that reads a pixel."""
    height, width = image
    for y, x, o, i, k, m in product(*map(range, (height, width, channels_out, channels_in, *sides))):
        at_y, at_x = y + k - sides[0] // 2, x + m - sides[1] // 2
        if 0 <= at_y < height and 0 <= at_x < width:
            row, column = (o * height + y) * width + x, (i * height + at_y) * width + at_x
            yield row, column, (y, x), (o, i, k, m)


def unrolled(weight: torch.Tensor, image: tuple[int, int]) -> Array:
    """(out node, in node): the matrix of a convolution, with kernels for all positions or of each."""
    w = weight.detach().double().numpy()
    out, into = w.shape[-4:-2]
    matrix = np.zeros((out * image[0] * image[1], into * image[0] * image[1]))
    for row, column, position, indices in taps(into, out, w.shape[-2:], image):
        matrix[row, column] = w[(*position, *indices) if w.ndim == 6 else indices]
    return matrix


def bias(core: ConvCore) -> Array:
    """(node,)."""
    channels, height, width = core.state_shape
    b = core.b.detach().double().numpy()
    each = np.broadcast_to(b, (height, width, channels))
    return np.moveaxis(each, -1, 0).flatten()


def dense_twin(core: ConvCore, **options: Any) -> RCCore:
    """The dense core of the unrolled matrices."""
    image, taus = core.state_shape[1:], core.tau_s if core.rate is None else core.tau_s / core.rate
    weights = (tensor(x, core.dtype) for x in (unrolled(core.W, image), unrolled(core.U, image), bias(core)))
    return RCCore(*weights, **{"activation": core.activation.name, "tau_s": taus, "gain": core.gain, **options})


def conv_chip(core: ConvCore, *, device: DevicePreset = IDEAL, seed: int = 0, **changes: Any) -> Chip:
    """The core on `circuit(**changes)`."""
    return Chip(core, circuit(**changes), device, seed=seed)


def device_matrices(chip: Chip) -> tuple[Array, Array]:
    """(node, line) [S]: conductances of all pairs, 0 where there is no device."""
    core = chip.core
    assert isinstance(core, ConvCore)
    (channels, height, width), inputs = core.state_shape, core.input_shape[0]
    image, n_state = (height, width), channels * core.W.shape[-2] * core.W.shape[-1]

    def spread(stored: torch.Tensor) -> Array:
        each = np.broadcast_to(stored.numpy(), (height * width, *stored.shape[-2:]))
        matrix = np.zeros((core.n_nodes, core.n_nodes + core.n_inputs + 1))
        for weight, into, first_column, first_line in (
            (core.W, channels, 0, 0), (core.U, inputs, n_state, core.n_nodes),
        ):  # fmt: skip
            sides = (weight.shape[-2], weight.shape[-1])
            for row, column, (y, x), (o, i, k, m) in taps(into, channels, sides, image):
                within = (i * sides[0] + k) * sides[1] + m
                matrix[row, first_line + column] = each[y * width + x, o, first_column + within]
        for y, x, o in product(range(height), range(width), range(channels)):
            matrix[(o * height + y) * width + x, -1] = each[y * width + x, o, -1]
        return matrix

    return spread(chip.pairs.plus_S), spread(chip.pairs.minus_S)


def nodal(chip: Chip, u: torch.Tensor, *, duration_tau: float = 60.0) -> Nodal:
    """Node analysis of one input row, over explicit device matrices."""
    c, (plus, minus) = chip.circuit, device_matrices(chip)
    level = c.dac.quantise(u).double().numpy()
    start = np.zeros(chip.n_nodes)
    tau_s = c.node_R_ohm * c.node_C_F / (1 + c.node_R_ohm * c.node_leak_S)
    return Nodal(plus, minus, chip.pairs.feedback_ohm, c, level, chip.core.activation.name, start, duration_tau * tau_s)
