"""How the conductance itself depends on the temperature at which it is read."""

import math
from dataclasses import dataclass
from typing import Protocol, final

from analogdeq.devices.clock import ROOM_K, arrhenius
from analogdeq.errors import RangeError


class TemperatureLaw(Protocol):
    """G(T) / G(300 K)."""

    def factor(self, temperature_K: float) -> float:
        """[1]. 1 at 300 K."""
        ...


@final
@dataclass(frozen=True)
class ThermallyActivated:
    """G(T) = G(300 K) exp(-(E_a/k)(1/T - 1/300 K)): hopping in an amorphous phase.

    Attributes:
        activation_eV: [eV].
    """

    activation_eV: float

    def factor(self, temperature_K: float) -> float:
        """[1]. 1 at 300 K."""
        return arrhenius(self.activation_eV, temperature_K)


@final
@dataclass(frozen=True)
class LinearInTemperature:
    """G(T) = G(300 K) / (1 + alpha (T - 300 K)): a filament with a temperature coefficient of resistance.

    Attributes:
        alpha_per_K: [1/K].
    """

    alpha_per_K: float

    def factor(self, temperature_K: float) -> float:
        """[1]. 1 at 300 K.

        Raises:
            RangeError: where the line has crossed zero.
        """
        resistance = 1 + self.alpha_per_K * (temperature_K - ROOM_K)
        if not (resistance > 0 and math.isfinite(resistance)):
            raise RangeError(f"a resistance with {self.alpha_per_K:g} 1/K has no meaning at {temperature_K} K")
        return 1 / resistance
