"""Devices that are no resistors: current against voltage."""

import math
from dataclasses import dataclass
from typing import final

from torch import Tensor

from analogdeq.devices.curve import Polynomial


@final
@dataclass(frozen=True, kw_only=True)
class CubicConduction:
    """I = G V + NL2 V^2 + NL3 V^3 with NL2 and NL3 polynomials of log10(G / 1 S).

    Attributes:
        square: log10 G -> NL2 [A/V^2].
        cube: log10 G -> NL3 [A/V^3].

    Source: fit to Milo et al., IRPS 2021, as published in CrossSim (|V| <= 0.5 V, states 62.5 to 110 uS, with a fifth
    point that makes the device linear at 225 uS).
    """

    square: Polynomial
    cube: Polynomial

    def coefficients(self, G_S: Tensor) -> tuple[Tensor, Tensor]:
        """NL2 [A/V^2] and NL3 [A/V^3] of each device; a device that conducts nothing has neither."""
        log = (G_S.clamp_min(1e-30).log() / math.log(10)).clamp_min(-12.0)
        conducts = (G_S > 0).to(G_S.dtype)
        return self.square(log) * conducts, self.cube(log) * conducts

    def current_A(self, G_S: Tensor, V: Tensor) -> Tensor:
        """[A]. Through a device of conductance G under a voltage V."""
        square, cube = self.coefficients(G_S)
        return V * (G_S + V * (square + V * cube))
