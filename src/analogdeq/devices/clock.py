"""How old a device is, and what it has been through since it was programmed."""

import math
from dataclasses import dataclass
from typing import final

from analogdeq.errors import RangeError
from analogdeq.units import BOLTZMANN_J_PER_K, ELEMENTARY_CHARGE_C

ROOM_K = 300.0
"""[K]. The temperature of every figure for which nothing else is said."""


def arrhenius(activation_eV: float, temperature_K: float, reference_K: float = ROOM_K) -> float:
    """How many times faster a thermally activated process runs than at `reference_K`.

    exp(-(E_a / k) (1/T - 1/T_ref))

    Raises:
        RangeError: if a temperature is not positive.
    """
    if not (temperature_K > 0 and reference_K > 0):
        raise RangeError(f"temperatures must be positive, got {temperature_K:g} and {reference_K:g} K")
    per_kelvin = activation_eV * ELEMENTARY_CHARGE_C / BOLTZMANN_J_PER_K
    return math.exp(per_kelvin * (1 / reference_K - 1 / temperature_K))


@final
@dataclass(frozen=True, kw_only=True)
class Age:
    """What has happened to a device since it was programmed.

    Attributes:
        stays: ((duration [s], temperature [K]), ...), in order.
        temperature_K: [K]. Now, while it is read.
        read_s: [s]. How long a read voltage has stood across it.
    """

    stays: tuple[tuple[float, float], ...] = ()
    temperature_K: float = ROOM_K
    read_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse times and temperatures that no device sees.

        Raises:
            RangeError: naming the value.
        """
        for duration_s, temperature_K in (*self.stays, (self.read_s, self.temperature_K)):
            if not (0 <= duration_s < math.inf):
                raise RangeError(f"a device cannot stay for {duration_s} s; want a finite time that is not negative")
            if not (0 < temperature_K < math.inf):
                raise RangeError(f"temperature {temperature_K} K must be positive and finite")

    @property
    def elapsed_s(self) -> float:
        """[s]. Since programming."""
        return math.fsum(duration for duration, _ in self.stays)

    def equivalent_s(self, activation_eV: float, reference_K: float = ROOM_K) -> float:
        """[s]. The time at `reference_K` in which a process of this activation energy gets as far.

        Source: time-temperature equivalence of one Arrhenius process, textbook.
        """
        return math.fsum(duration * arrhenius(activation_eV, kelvin, reference_K) for duration, kelvin in self.stays)

    def longer(self, duration_s: float, temperature_K: float, read_s: float = 0.0) -> "Age":
        """The age after another stay, at the temperature of that stay."""
        return Age(
            stays=(*self.stays, (duration_s, temperature_K)),
            temperature_K=temperature_K,
            read_s=self.read_s + read_s,
        )
