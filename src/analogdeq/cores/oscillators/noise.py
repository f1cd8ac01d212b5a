"""Phase and amplitude diffusion of free oscillators: white noise added to the averaged equations."""

import math
from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor

from analogdeq.cores.core import Drive
from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.errors import InputError


@torch.no_grad()
def diffuse(
    core: OscillatorCore,
    drive: Drive,
    z: Tensor,
    *,
    diffusion: float | Tensor,
    until_tau: float,
    step_tau: float,
    generator: torch.Generator,
) -> Tensor:
    """The state a while later, under white noise: the last of `diffused_path`."""
    path = diffused_path(
        core, drive, z, diffusion=diffusion, until_tau=until_tau, step_tau=step_tau, generator=generator
    )
    return deque(path, maxlen=1)[0]


@torch.no_grad()
def diffused_path(
    core: OscillatorCore,
    drive: Drive,
    z: Tensor,
    *,
    diffusion: float | Tensor,
    until_tau: float,
    step_tau: float,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Integrate dz = f(z) ds + sqrt(2 D) dw by Heun's method, and yield the state after every step.

    For additive noise the scheme has strong order 1 and weak order 2; the stationary variance of a mode with rate
    lambda comes out 1 - (lambda h)^2 / 4 times right, so keep `step_tau` below a tenth of the fastest rate's inverse.
    A phase phi with dphi = ... + sqrt(2 D) dw is a Lorentzian line of full width D / pi per unit of time.

    Args:
        core: the network.
        drive: what its `drive` returned.
        z: (batch, node). Where it starts; not changed.
        diffusion: [rad^2 per tau] for phases, [1 per tau] for each quadrature of an amplitude; one number or (node,).
        until_tau: how long.
        step_tau: h.
        generator: the noise seed's.

    Raises:
        InputError: if the diffusion is negative or a time is not positive.

    Source: P. E. Kloeden, E. Platen, Numerical Solution of Stochastic Differential Equations (Springer 1992).
    """
    spread = torch.as_tensor(diffusion, dtype=z.dtype, device=z.device)
    if not bool((spread >= 0).all()) or not (0 < step_tau <= until_tau < math.inf):
        raise InputError(
            f"diffusion must not be negative and 0 < step_tau <= until_tau, got {step_tau:g} and {until_tau:g}"
        )
    n_steps = math.ceil(until_tau / step_tau - 1e-9)
    h = until_tau / n_steps
    size = (2 * spread * h).sqrt()
    for _ in range(n_steps):
        kick = size * torch.randn(z.shape, dtype=z.dtype, device=z.device, generator=generator)
        before = core.fixed_point_map(z, drive) - z
        guess = z + h * before + kick
        z = z + 0.5 * h * (before + core.fixed_point_map(guess, drive) - guess) + kick
        yield z
