"""DAC and ADC: resolution, time and energy per conversion."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.errors import RangeError


@final
@dataclass(frozen=True, kw_only=True)
class Converter:
    """One converter per line.

    Attributes:
        bits: resolution; 2^bits levels from -1 to +1.
        energy_J: [J]. Per conversion.
        conversion_s: [s]. Time the line must be held for one conversion.
        source: where `energy_J` comes from, printed with every energy.
    """

    bits: int
    energy_J: float
    conversion_s: float = 0.0
    source: str = "given by the user"

    def __post_init__(self) -> None:
        """Refuse values no converter can have.

        Raises:
            RangeError: naming the value.
        """
        if not 1 <= self.bits <= 24:
            raise RangeError(f"converter bits = {self.bits} must lie in 1 to 24")
        for name in ("energy_J", "conversion_s"):
            value = getattr(self, name)
            if not (0 <= value < math.inf):
                raise RangeError(f"converter {name} = {value} must be finite and not negative")

    def quantise(self, x: Tensor) -> Tensor:
        """Round to the nearest of 2^bits levels that span -1 to +1, clipping what lies outside."""
        levels = 2**self.bits - 1
        return torch.round((x.clamp(-1, 1) + 1) * (levels / 2)) * (2 / levels) - 1


def capacitive_dac_energy_J(bits: int, unit_C_F: float, reference_V: float) -> float:
    """[J]. 2^bits C_u V^2: charging a binary-weighted capacitor array once; a design estimate, drivers not counted."""
    return 2**bits * unit_C_F * reference_V**2
