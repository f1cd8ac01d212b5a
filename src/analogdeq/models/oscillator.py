"""A hybrid DEQ whose analog core is a network of oscillators locked to a reference."""

import torch
from torch import nn

from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.cores.oscillators.features import Quadratures
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
from analogdeq.gradient.forward import Forward
from analogdeq.gradient.method import Gradient
from analogdeq.models.hybrid import HybridDEQ


def oscillator_model(
    *,
    pixels: int,
    inputs: int,
    oscillators: int,
    classes: int,
    amplitudes: bool,
    shear: float,
    coupling_init_gain: float,
    injection: float,
    tau_s: float,
    generator: torch.Generator,
    forward: Forward | None = None,
    gradient: Gradient | None = None,
) -> HybridDEQ:
    """A hybrid DEQ of fully connected digital parts and all-to-all coupled oscillators, initialised from `generator`.

    Inputs inject in quadrature to a standing in-phase injection. Together they are never shorter than the latter, so
    while couplings are weaker than it no input can unlock an oscillator. W starts with standard deviation
    coupling_init_gain / sqrt(oscillators), a spectral radius near `coupling_init_gain`. The readout is linear in the
    quadratures.

    Args:
        pixels: of an image.
        inputs: lines from encoder to core.
        oscillators: of the core.
        classes: of the task.
        amplitudes: Stuart-Landau oscillators with mu = 1; phase oscillators otherwise.
        shear: alpha of the former.
        coupling_init_gain: [rad per tau].
        injection: [rad per tau]. Size of the standing injection at the start.
        tau_s: [s]. Unit of time.
        generator: the train seed's.
        forward: how equilibria are found in training.
        gradient: how they are differentiated.
    """
    n = oscillators
    encode = _glorot(pixels, inputs, generator)
    decode = _glorot(2 * n, classes, generator)
    W = nn.Parameter(torch.randn(n, n, generator=generator) * (coupling_init_gain / n**0.5))
    U = nn.Parameter(torch.randn(n, inputs, generator=generator) / inputs**0.5)
    b = nn.Parameter(torch.tensor([injection, 0.0]).repeat(n))
    core: OscillatorCore = (
        StuartLandauCore(W, U, b, shear=shear, tau_s=tau_s) if amplitudes else PhaseCore(W, U, b, tau_s=tau_s)
    )
    readout = nn.Sequential(Quadratures(core), decode)
    return HybridDEQ(nn.Sequential(encode, nn.Tanh()), core, readout, forward=forward, gradient=gradient)


def _glorot(width: int, height: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with Glorot's uniform weights and no offset."""
    layer = nn.Linear(width, height)
    bound = (6 / (width + height)) ** 0.5
    with torch.no_grad():
        layer.weight.copy_((2 * torch.rand(layer.weight.shape, generator=generator) - 1) * bound)
        layer.bias.zero_()
    return layer
