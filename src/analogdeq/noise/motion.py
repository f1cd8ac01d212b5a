"""Drift, diffusion and linearisation of one input's ensemble, and the scheme that steps it."""

from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.cores.core import Core, Drive
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.errors import InputError
from analogdeq.noise.intensity import NodeNoise
from analogdeq.noise.linear import exact_step, stationary_covariance
from analogdeq.noise.schemes import (
    EulerMaruyama,
    ExponentialStep,
    ImplicitMidpoint,
    ImplicitTrapezoid,
    Scheme,
    StratonovichHeun,
)
from analogdeq.oscillator_chip import OscillatorChip

SCHEMES = ("exponential", "implicit-midpoint", "trapezoidal", "heun", "euler")


def noisy_network(core: Core) -> SaturatingNetwork | OscillatorCore:
    """The network whose noise is known, on a chip or not.

    Raises:
        InputError: for a core of another kind, or oscillators without a reference.
    """
    network = core.core if isinstance(core, Chip | OscillatorChip) else core
    if not isinstance(network, SaturatingNetwork | OscillatorCore):
        raise InputError(f"noise is known for RC and oscillator cores and chips, not for a {type(core).__name__}")
    if isinstance(network, OscillatorCore) and not network.has_reference:
        raise InputError(
            "without a reference (an injection U, b or shil) the common phase of these oscillators diffuses without "
            "end; give them one, or use `diffuse` and read phase differences"
        )
    return network


@final
class Motion:
    """What moves the paths of an ensemble: dz = (F(z; p + offset) - z) ds + sqrt(q) dW.

    Oscillators have no pre-activation: the offset is one of dz/ds, for phases a detuning [rad per tau].

    Args:
        core: a saturating network, a network of oscillators with a reference, or a chip of either.
        u: (1, input) [1].
        white: noise of every node, or its intensity.
        rest: (1, node) [1]. Equilibrium without noise; the linearisation is taken there.

    Raises:
        InputError: for a core of another kind.
    """

    def __init__(self, core: Core, u: Tensor, white: NodeNoise | Tensor, rest: Tensor) -> None:
        network = noisy_network(core)
        self._network, self._white, self._rest = network, white, rest
        self._drive: Drive = core.drive(u)
        self.offset: Tensor | None = None
        J = core.linearise(rest, self._drive).dense()[0].double()
        self._A: npt.NDArray[np.float64] = (J - torch.eye(len(J), dtype=J.dtype)).numpy()
        self._intensity = self.intensity(rest)[0]

    def drift(self, z: Tensor) -> Tensor:
        """(path, node): F(z) - z."""
        if isinstance(self._network, OscillatorCore):
            motion = self._network.fixed_point_map(z, self._drive) - z
            return motion if self.offset is None else motion + self.offset
        current = self._drive.current if self.offset is None else self._drive.current + self.offset
        out = torch.empty_like(z)
        return self._network.motion(z, self._network.preactivation(z, current, out=out), out=out)

    def intensity(self, z: Tensor) -> Tensor:
        """(path, node): of the white noise at these states."""
        if isinstance(self._white, Tensor):
            return self._white.expand_as(z)
        if isinstance(self._network, OscillatorCore):  # nothing shapes the noise between its source and the state
            return self._white.at(torch.ones_like(z))
        drive = Drive(self._drive.current.expand_as(z), self._drive.standing_power_W)
        return self._white.at(self._network.slope(z, drive))

    def stationary_std(self) -> Tensor:
        """(node,) [1]. Of the linearised dynamics."""
        covariance = stationary_covariance(self._A, torch.diag(self._intensity.double()).numpy())
        return torch.as_tensor(covariance.diagonal() ** 0.5).to(self._rest)

    def scheme(self, name: str, h: float) -> Scheme:
        """The integrator of that name, for steps of h."""
        amplitude = self._intensity.sqrt()

        def additive(z: Tensor, dW: Tensor) -> Tensor:
            return dW * amplitude

        def shaped(z: Tensor, dW: Tensor) -> Tensor:
            return dW * self.intensity(z).sqrt()

        if name == "exponential":
            exact = exact_step(self._A, torch.diag(self._intensity.double()).numpy(), h)
            return ExponentialStep(self.drift, exact, h, self._rest)
        if name == "implicit-midpoint":
            return ImplicitMidpoint(self.drift, additive, h, torch.as_tensor(self._A).to(self._rest))
        if name == "trapezoidal":
            return ImplicitTrapezoid(self.drift, additive, h, torch.as_tensor(self._A).to(self._rest))
        if name == "heun":
            return StratonovichHeun(self.drift, shaped, h)
        return EulerMaruyama(self.drift, additive, h)
