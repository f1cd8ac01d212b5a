"""One kind of oscillator: its frequency, power and how readily it locks."""

import math
from dataclasses import dataclass, field, fields
from typing import final

from analogdeq.circuits.frequency_drift import FrequencyDrift
from analogdeq.devices.clock import ROOM_K
from analogdeq.errors import RangeError

QUANTITIES = ("frequency_Hz", "power_W", "lock_ratio", "frequency_sd", "linewidth_Hz", "temperature_per_K")
"""The numbers that say what an oscillator is."""


@final
@dataclass(frozen=True, kw_only=True)
class OscillatorKind:
    """What an array is made of. Numbers come with a source, or are a designer's choice and say so.

    Attributes:
        name: of the preset.
        title: for people.
        frequency_Hz: [Hz]. Of the free oscillator, > 0.
        power_W: [W]. From the supply, one oscillator at its free amplitude.
        lock_ratio: [1]. Half the locking range over the frequency, for an injection of unit size: w_L / w_0. It sets
            the time constant 1 / (2 pi f_0 lock_ratio).
        frequency_sd: [1]. Relative spread of the frequencies on one chip.
        linewidth_Hz: [Hz]. Full width at half maximum of the free oscillator's line: D / pi with D in rad^2/s.
        temperature_per_K: [1/K]. Relative shift of the frequency.
        drift: how the frequencies move over the years; not at all unless something is said.
        assumed: which of the numbers are a designer's choice or an estimate, by name; the others are of the source.
        source: where the numbers come from.
        not_modelled: what the source reports and this leaves out.
    """

    name: str
    title: str
    frequency_Hz: float
    power_W: float
    lock_ratio: float
    frequency_sd: float = 0.0
    linewidth_Hz: float = 0.0
    temperature_per_K: float = 0.0
    drift: FrequencyDrift = field(default_factory=FrequencyDrift)
    assumed: tuple[str, ...] = ()
    source: str
    not_modelled: str = ""

    def __post_init__(self) -> None:
        """Refuse values no oscillator can have.

        Raises:
            RangeError: naming the value.
        """
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, float | int) and not math.isfinite(value):
                raise RangeError(f"oscillator {item.name} = {value} must be finite")
        for name in ("frequency_Hz", "lock_ratio"):
            if getattr(self, name) <= 0:
                raise RangeError(f"oscillator {name} = {getattr(self, name):g} must be positive")
        for name in ("power_W", "frequency_sd", "linewidth_Hz"):
            if getattr(self, name) < 0:
                raise RangeError(f"oscillator {name} = {getattr(self, name):g} must not be negative")
        if unknown := sorted(set(self.assumed) - set(QUANTITIES)):
            raise RangeError(f"oscillator assumed: there is no {unknown[0]!r}; known: {', '.join(QUANTITIES)}")
        if self.lock_ratio > 0.5:
            raise RangeError(
                f"oscillator lock_ratio = {self.lock_ratio:g} exceeds 0.5: averaging over a cycle means nothing for an "
                "oscillator that is pulled by half its frequency"
            )

    @property
    def tau_s(self) -> float:
        """[s]. 1 / (2 pi f_0 lock_ratio): in this time a unit injection turns a phase by up to one radian."""
        return 1 / (2 * math.pi * self.frequency_Hz * self.lock_ratio)

    @property
    def diffusion_per_s(self) -> float:
        """[rad^2/s]. D of dphi = sqrt(2 D) dw: pi times the linewidth."""
        return math.pi * self.linewidth_Hz

    def detuning(self, relative: float) -> float:
        """[rad per tau]. 2 pi f_0 times a relative shift of the frequency, in units of the time constant."""
        return relative / self.lock_ratio

    def warm_shift(self, temperature_K: float, reference_K: float = ROOM_K) -> float:
        """[1]. Relative shift of every frequency; at 300 K there is none."""
        return self.temperature_per_K * (temperature_K - reference_K)
