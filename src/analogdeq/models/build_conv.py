"""Models of convolutional layers: a digital layer and an equilibrium per stage, or a block without feedback."""

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
from analogdeq.models.layout import Layout
from analogdeq.models.norms import norm_of
from analogdeq.models.shapes import DigitalLayers, Stage

PLAIN = DigitalLayers()

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
    digital: DigitalLayers = PLAIN,
) -> HybridDEQ | ChainDEQ:
    """A convolutional hybrid, initialised from `generator` alone; one core can be placed on a chip, a chain cannot.

    Pixels are centred first. Each stage is a digital layer that ends in a norm and tanh, then a core of 3 x 3 kernels W
    and U. W starts with standard deviation analog_init_gain / sqrt(9 C), so that its spectral
    radius on a large image starts near `analog_init_gain`.
    """
    encoders: list[nn.Module] = []
    cores: list[SaturatingNetwork] = []
    for before, stage in zip((image, *map(_shape, stages)), stages, strict=False):
        layers, channels = _enter(before, stage, inputs, digital, is_first=not encoders)
        encoder = nn.Sequential(*layers, nn.Tanh(), *_dropout(digital), nn.Flatten())
        fill_(encoder, generator)
        encoders.append(encoder)
        cores.append(_core(stage, channels, activation, analog_init_gain, tau_s, gain, generator))
    readout = _readout(stages[-1], classes, digital, generator)
    if len(cores) == 1:
        return HybridDEQ(encoders[0], cores[0], readout, forward=forward, gradient=gradient)
    return ChainDEQ(encoders, cores, readout, forward=forward, gradient=gradient)


def conv_feedforward(
    *,
    image: ImageShape,
    inputs: int,
    stages: tuple[Stage, ...],
    classes: int,
    generator: Generator,
    digital: DigitalLayers = PLAIN,
) -> Feedforward:
    """The same encoders and readout with a residual block of a core's shapes in each core's place."""
    layers: list[nn.Module] = []
    for before, stage in zip((image, *map(_shape, stages)), stages, strict=False):
        enter, channels = _enter(before, stage, inputs, digital, is_first=not layers)
        block = ResidualBlock(channels, stage.channels, digital.norm)
        layers += [*enter, nn.ReLU(), *_dropout(digital), block, nn.Flatten()]
    body = nn.Sequential(*layers)
    fill_(body, generator)
    return Feedforward(nn.Sequential(body, _readout(stages[-1], classes, digital, generator)))


def _shape(stage: Stage) -> ImageShape:
    return stage.channels, stage.side, stage.side


def _enter(
    before: ImageShape, stage: Stage, inputs: int, digital: DigitalLayers, *, is_first: bool
) -> tuple[list[nn.Module], int]:
    """From rows of numbers to a normed image of the stage's side; the layers, and how many channels it has."""
    layers: list[nn.Module] = [nn.Flatten(), nn.Unflatten(1, before)]  # images come as images, equilibria as rows
    if is_first:
        layers.append(Centred())
    stride = before[1] // stage.side
    if digital.encoder == "strided":
        kernel = max(3, 2 * (stride // 2) + 1)
        layers.append(nn.Conv2d(before[0], inputs, kernel, stride=stride, padding=kernel // 2, bias=False))
        return [*layers, norm_of(digital.norm, inputs)], inputs
    pool = [nn.MaxPool2d(stride)] if stride > 1 else []
    if not is_first:
        return [*layers, *pool, norm_of(digital.norm, before[0])], before[0]
    layers += [Layout(channels_last=True), nn.Conv2d(before[0], inputs, 3, padding=1, bias=False)]
    layers += [norm_of(digital.norm, inputs), nn.ReLU(), *pool, Layout(channels_last=False)]
    return [*layers, norm_of(digital.norm, inputs)], inputs


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


def _readout(stage: Stage, classes: int, digital: DigitalLayers, generator: Generator) -> nn.Module:
    side = min(digital.readout_side, stage.side)
    readout = nn.Sequential(
        nn.Unflatten(1, _shape(stage)),
        norm_of(digital.norm, stage.channels),
        nn.AdaptiveAvgPool2d(side),
        nn.Flatten(),
        *_dropout(digital),
        nn.Linear(stage.channels * side * side, classes),
    )
    fill_(readout, generator)
    return readout


def _dropout(digital: DigitalLayers) -> list[nn.Module]:
    """No layer at all where nothing is dropped, so that layers have the numbers they have in older checkpoints."""
    return [nn.Dropout(digital.dropout)] if digital.dropout > 0 else []
