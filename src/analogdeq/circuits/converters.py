"""DAC and ADC: resolution, range, errors, time and energy per conversion."""

import math
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor

from analogdeq.errors import RangeError

MOST_BITS_WITH_ERRORS = 16
"""Every step of a converter with INL or DNL is drawn and kept: 2^16 of them per line are half a megabyte."""


class Converting(Protocol):
    """A converter as the circuit sees it: as designed, or as manufactured."""

    @property
    def bits(self) -> int:
        """Resolution."""
        ...

    @property
    def full_scale(self) -> float:
        """[1]. The largest |value| it knows."""
        ...

    @property
    def noise_lsb(self) -> float:
        """[LSB]. Standard deviation of the noise, referred to its analog side."""
        ...

    @property
    def energy_J(self) -> float:
        """[J]. Per conversion."""
        ...

    @property
    def conversion_s(self) -> float:
        """[s]. Of one conversion."""
        ...

    @property
    def source(self) -> str:
        """Where `energy_J` comes from."""
        ...

    def quantise(self, x: Tensor) -> Tensor:
        """(batch, line) or (line,) -> the same: what comes out for x."""
        ...


@final
@dataclass(frozen=True, kw_only=True)
class Converter:
    """The design of a converter; one per line is built (`analogdeq.circuits.manufacture`).

    Attributes:
        bits: resolution; 2^bits levels from -full_scale to +full_scale.
        energy_J: [J]. Per conversion.
        conversion_s: [s]. A DAC's time to settle before the network begins, or the time for which the network is held
            while an ADC samples and converts.
        full_scale: [1]. Range in units of z: the unit voltage times this. What lies outside is clipped.
        inl_lsb: [LSB]. Standard deviation, over converters, of a bow's height at mid-scale; frozen per chip.
        dnl_lsb: [LSB]. Standard deviation, over steps, of a step's width; frozen per chip.
        noise_lsb: [LSB]. Standard deviation of the noise of one conversion, on the analog side.
        source: where `energy_J` comes from, printed with every energy.
    """

    bits: int
    energy_J: float
    conversion_s: float = 0.0
    full_scale: float = 1.0
    inl_lsb: float = 0.0
    dnl_lsb: float = 0.0
    noise_lsb: float = 0.0
    source: str = "given by the user"

    def __post_init__(self) -> None:
        """Refuse values no converter can have.

        Raises:
            RangeError: naming the value.
        """
        if not 1 <= self.bits <= 24:
            raise RangeError(f"converter bits = {self.bits} must lie in 1 to 24")
        for name in ("energy_J", "conversion_s", "inl_lsb", "dnl_lsb", "noise_lsb"):
            value = getattr(self, name)
            if not (0 <= value < math.inf):
                raise RangeError(f"converter {name} = {value} must be finite and not negative")
        if not (0 < self.full_scale < math.inf):
            raise RangeError(f"converter full_scale = {self.full_scale} must be positive and finite")
        if self.has_steps and self.bits > MOST_BITS_WITH_ERRORS:
            raise RangeError(
                f"converter inl_lsb or dnl_lsb with bits = {self.bits}: steps are kept one by one, up to "
                f"{MOST_BITS_WITH_ERRORS} bits"
            )

    @property
    def has_steps(self) -> bool:
        """Whether its levels lie elsewhere than designed."""
        return self.inl_lsb > 0 or self.dnl_lsb > 0

    @property
    def is_ideal(self) -> bool:
        """Whether it only rounds and clips."""
        return not self.has_steps and self.noise_lsb == 0

    @property
    def lsb(self) -> float:
        """[1]. One step: 2 full_scale / (2^bits - 1)."""
        return 2 * self.full_scale / (2**self.bits - 1)

    def code(self, x: Tensor) -> Tensor:
        """The nearest of the codes 0 to 2^bits - 1, as floating-point numbers, clipping what lies outside the range."""
        within = x if self.full_scale == 1.0 else x / self.full_scale
        return torch.round((within.clamp(-1, 1) + 1) * ((2**self.bits - 1) / 2))

    def level(self, code: Tensor) -> Tensor:
        """[1]. What a code stands for by design."""
        level = code * (2 / (2**self.bits - 1)) - 1
        return level if self.full_scale == 1.0 else level * self.full_scale

    def quantise(self, x: Tensor) -> Tensor:
        """Round to the nearest of 2^bits levels that span the range, clipping what lies outside.

        Of what is no finite number there is no conversion: NaN comes out, and the sample is diverged.
        """
        return refuse_infinite(x, self.level(self.code(x)))


def refuse_infinite(x: Tensor, converted: Tensor) -> Tensor:
    """NaN wherever x was no finite number: a clipped infinity would look like a signal."""
    return converted.masked_fill(~torch.isfinite(x), math.nan)


def capacitive_dac_energy_J(bits: int, unit_C_F: float, reference_V: float) -> float:
    """[J]. 2^bits C_u V^2: charging a binary-weighted capacitor array once; a design estimate, drivers not counted."""
    return 2**bits * unit_C_F * reference_V**2
