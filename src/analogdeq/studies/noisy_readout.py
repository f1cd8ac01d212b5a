"""What a readout sees of a batch of states at rest while white noise moves them."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.cores.core import Drive
from analogdeq.devices.streams import Streams
from analogdeq.errors import InputError
from analogdeq.noise.intensity import NodeNoise
from analogdeq.noise.schemes import StratonovichHeun


@final
@dataclass(frozen=True, kw_only=True)
class ReadoutNoise:
    """How long noise acts before the instant of the readout, and in which steps.

    Attributes:
        until_tau: [tau]. Long against 1/(1 - spectral abscissa), so that the spread is the stationary one.
        step_tau: [tau].
    """

    until_tau: float = 20.0
    step_tau: float = 0.1

    def __post_init__(self) -> None:
        """Refuse steps that are no steps.

        Raises:
            InputError: naming both.
        """
        if not (0 < self.step_tau <= self.until_tau < math.inf):
            raise InputError(f"want 0 < step_tau <= until_tau, got {self.step_tau:g} and {self.until_tau:g}")


@torch.no_grad()
def noisy_readout(
    chip: Chip, u: Tensor, rest: Tensor, white: NodeNoise, *, factor: float, seed: int, how: ReadoutNoise | None = None
) -> Tensor:
    """(batch, node) [1]. States a while after their rest, every sample with noise of its own.

        dz = (F(z) - z) ds + k sqrt(phi'(p)^2 q_before + q_after) dW,    s = t / tau

    integrated by Heun's method in Stratonovich's sense with the chip's own curved F, because amplified noise leaves
    the range where a linearisation holds.

    Args:
        chip: whose.
        u: (batch, input) [1].
        rest: (batch, node) [1]. Where the samples settled.
        white: the chip's, as `white_noise` gives it.
        factor: k, of the amplitude; the intensity goes with its square.
        seed: the noise seed.
        how: duration and step.

    Raises:
        InputError: for a factor that is negative or not finite.
    """
    if not (0 <= factor < math.inf):
        raise InputError(f"noise cannot be multiplied by {factor}; want a finite factor, not negative")
    if factor == 0:
        return rest
    how = how or ReadoutNoise()
    steps = max(1, round(how.until_tau / how.step_tau))
    h = how.until_tau / steps
    drive: Drive = chip.drive(u)

    def drift(z: Tensor) -> Tensor:
        return chip.fixed_point_map(z, drive) - z

    def diffusion(z: Tensor, dW: Tensor) -> Tensor:
        return factor * white.at(chip.core.slope(z, drive)).sqrt() * dW

    scheme = StratonovichHeun(drift, diffusion, h)
    generator, z = Streams(seed).named("readout"), rest
    for _ in range(steps):
        z = scheme.step(z, torch.randn(z.shape, generator=generator, dtype=z.dtype) * math.sqrt(h))
    return z
