"""Models of convolutional layers: a digital layer and an equilibrium per stage, or a block without feedback."""

import math

import torch
from torch import Generator, nn

from analogdeq.cores.conv import ConvCore
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.gradient.forward import Forward
from analogdeq.gradient.method import Gradient
from analogdeq.models.centred import Centred
from analogdeq.models.chain import ChainDEQ
from analogdeq.models.feedforward import Feedforward, ResidualBlock
from analogdeq.models.hybrid import HybridDEQ
from analogdeq.models.initial import fill_
from analogdeq.models.shapes import Stage

CHANNELS_PER_GROUP = 8
POOLED_SIDE = 2
"""The readout sees the last image in this many rows and columns of averages."""

ImageShape = tuple[int, int, int]
"""Channels, height, width."""


def conv_equilibria(
    *,
    image: ImageShape,
    inputs: int,
    stages: tuple[Stage, ...],
    classes: int,
    activation: str,
    analog_init_gain: float,
    tau_s: float,
    gain: float,
    generator: Generator,
    forward: Forward | None = None,
    gradient: Gradient | None = None,
) -> HybridDEQ | ChainDEQ:
    """A convolutional hybrid, initialised from `generator` alone; one core can be placed on a chip, a chain cannot.

    Pixels are centred first. Each stage is a strided convolution, group norm and tanh into `inputs` channels, then a
    core of 3 x 3 kernels W and U. W starts with standard deviation analog_init_gain / sqrt(9 C), so that its spectral
    radius on a large image starts near `analog_init_gain`.
    """
    encoders: list[nn.Module] = []
    cores: list[SaturatingNetwork] = []
    for before, stage in zip((image, *map(_shape, stages)), stages, strict=False):
        centre = [] if encoders else [Centred()]
        encoder = nn.Sequential(*centre, *_shrink(before, stage, inputs), nn.Tanh(), nn.Flatten())
        fill_(encoder, generator)
        encoders.append(encoder)
        cores.append(_core(stage, inputs, activation, analog_init_gain, tau_s, gain, generator))
    readout = _readout(stages[-1], classes, generator)
    if len(cores) == 1:
        return HybridDEQ(encoders[0], cores[0], readout, forward=forward, gradient=gradient)
    return ChainDEQ(encoders, cores, readout, forward=forward, gradient=gradient)


def conv_feedforward(
    *, image: ImageShape, inputs: int, stages: tuple[Stage, ...], classes: int, generator: Generator
) -> Feedforward:
    """The same encoders and readout with a residual block of a core's shapes in each core's place."""
    layers: list[nn.Module] = [Centred()]
    for before, stage in zip((image, *map(_shape, stages)), stages, strict=False):
        block = ResidualBlock(inputs, stage.channels, _groups(stage.channels))
        layers += [*_shrink(before, stage, inputs), nn.ReLU(), block, nn.Flatten()]
    body = nn.Sequential(*layers)
    fill_(body, generator)
    return Feedforward(nn.Sequential(body, _readout(stages[-1], classes, generator)))


def _shape(stage: Stage) -> ImageShape:
    return stage.channels, stage.side, stage.side


def _shrink(before: ImageShape, stage: Stage, inputs: int) -> list[nn.Module]:
    """From rows of numbers to `inputs` channels on the stage's image."""
    stride = before[1] // stage.side
    kernel = max(3, 2 * (stride // 2) + 1)
    return [
        nn.Flatten(),  # images come as images, equilibria and digits as rows
        nn.Unflatten(1, before),
        nn.Conv2d(before[0], inputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.GroupNorm(_groups(inputs), inputs),
    ]


def _core(
    stage: Stage, inputs: int, activation: str, init_gain: float, tau_s: float, gain: float, generator: Generator
) -> ConvCore:
    C = stage.channels
    W = torch.randn(C, C, 3, 3, generator=generator) * (init_gain / (9 * C) ** 0.5)
    U = torch.randn(C, inputs, 3, 3, generator=generator) / (9 * inputs) ** 0.5
    return ConvCore(
        nn.Parameter(W), nn.Parameter(U), nn.Parameter(torch.zeros(C)), height=stage.side, width=stage.side,
        activation=activation, tau_s=tau_s, gain=gain,
    )  # fmt: skip


def _readout(stage: Stage, classes: int, generator: Generator) -> nn.Module:
    side = min(POOLED_SIDE, stage.side)
    readout = nn.Sequential(
        nn.Unflatten(1, _shape(stage)),
        nn.GroupNorm(_groups(stage.channels), stage.channels),
        nn.AdaptiveAvgPool2d(side),
        nn.Flatten(),
        nn.Linear(stage.channels * side * side, classes),
    )
    fill_(readout, generator)
    return readout


def _groups(channels: int) -> int:
    """About one group per eight channels, and a divisor of them."""
    return math.gcd(channels, max(1, channels // CHANNELS_PER_GROUP))
