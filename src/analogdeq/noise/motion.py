"""Drift, diffusion and linearisation of one input's ensemble, and the scheme that steps it."""

from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.cores.core import Core, Drive
from analogdeq.cores.network import SaturatingNetwork
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

SCHEMES = ("exponential", "implicit-midpoint", "trapezoidal", "heun", "euler")


@final
class Motion:
    """What moves the paths of an ensemble: dz = (F(z; p + offset) - z) ds + sqrt(q) dW.

    Args:
        core: a saturating network, or a chip.
        u: (1, input) [1].
        white: noise of every node, or its intensity.
        rest: (1, node) [1]. Equilibrium without noise; the linearisation is taken there.

    Raises:
        InputError: for a core of another kind.
    """

    def __init__(self, core: Core, u: Tensor, white: NodeNoise | Tensor, rest: Tensor) -> None:
        network = core.core if isinstance(core, Chip) else core
        if not isinstance(network, SaturatingNetwork):
            raise InputError(f"noise is known for RC cores and chips, not for a {type(core).__name__}")
        self._network, self._white, self._rest = network, white, rest
        self._drive: Drive = core.drive(u)
        self.offset: Tensor | None = None
        J = core.linearise(rest, self._drive).dense()[0].double()
        self._A: npt.NDArray[np.float64] = (J - torch.eye(len(J), dtype=J.dtype)).numpy()
        self._intensity = self.intensity(rest)[0]

    def drift(self, z: Tensor) -> Tensor:
        """(path, node): F(z) - z."""
        current = self._drive.current if self.offset is None else self._drive.current + self.offset
        out = torch.empty_like(z)
        return self._network.motion(z, self._network.preactivation(z, current, out=out), out=out)

    def intensity(self, z: Tensor) -> Tensor:
        """(path, node): of the white noise at these states."""
        if isinstance(self._white, Tensor):
            return self._white.expand_as(z)
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
