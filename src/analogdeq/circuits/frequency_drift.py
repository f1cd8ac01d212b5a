"""How free oscillators leave their frequency over the years."""

import math
from dataclasses import dataclass, fields
from typing import final

from analogdeq.devices.clock import Age
from analogdeq.errors import RangeError


@final
@dataclass(frozen=True, kw_only=True)
class FrequencyDrift:
    """Relative shift of every free frequency since the chip went into service, log-linear in time.

    df_i / f = (d + s N_i) log10(1 + t_eq / t_0),   N_i standard normal, one per oscillator

    with t_eq the time at 300 K in which a process of activation energy E_a gets as far: nothing until about t_0, d per
    decade of time after it. That is how relaxations with a broad spread of rates go; d, s, t_0 and E_a are those of one
    process and no other, so d and s are 0 unless a preset or a scenario says something.

    Attributes:
        per_decade: [1]. d, relative, per decade of time; negative for circuits that become slower.
        sd_per_decade: [1]. s, how far oscillators of one chip differ in it.
        from_s: [s]. t_0.
        activation_eV: [eV]. E_a; 0: temperature does not matter.

    Raises:
        RangeError: for values that are not finite, a negative spread or activation energy, or t_0 <= 0.

    Source: docs/oscillators.md; the law is a choice (docs/decisions/0055).
    """

    per_decade: float = 0.0
    sd_per_decade: float = 0.0
    from_s: float = 3600.0
    activation_eV: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what drifts nowhere known."""
        for item in fields(self):
            value = getattr(self, item.name)
            if not math.isfinite(value):
                raise RangeError(f"frequency drift {item.name} = {value} must be finite")
        for name in ("sd_per_decade", "activation_eV"):
            if getattr(self, name) < 0:
                raise RangeError(f"frequency drift {name} = {getattr(self, name):g} must not be negative")
        if self.from_s <= 0:
            raise RangeError(f"frequency drift from_s = {self.from_s:g} s must be positive")

    def decades(self, age: Age) -> float:
        """[1]. log10(1 + t_eq / t_0)."""
        return math.log10(1 + age.equivalent_s(self.activation_eV) / self.from_s)
