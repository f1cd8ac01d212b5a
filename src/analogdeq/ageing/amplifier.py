"""Amplifiers that age and heat up: threshold shift as offset, and bandwidth that is lost."""

import math
from dataclasses import dataclass
from typing import final

from analogdeq.devices.clock import ROOM_K, Age
from analogdeq.errors import RangeError

TEN_YEARS_S = 3.156e8


@final
@dataclass(frozen=True, kw_only=True)
class AmplifierAgeing:
    """Bias temperature instability of the amplifiers' transistors.

        dVth = shift (duty t / t_ref)^n exp(-(E_a/k)(1/T - 1/T_ref))

    The two transistors of an input pair shift by nearly the same; what differs is an offset,
    V_os = mismatch dVth N(0,1), one draw per amplifier. The shift takes overdrive, and with it
    transconductance: dg_m/g_m = -dVth/(V_gs - V_th).

    Attributes:
        shift_V: [V]. Threshold shift after `reference_s` at `reference_K`. Estimate: 10 to 50 mV.
        reference_s: [s].
        reference_K: [K]. Estimate: 378 to 398 K (105 to 125 C).
        exponent: [1]. n; estimate 1/6, within 0.1 to 0.25.
        activation_eV: [eV]. Of dVth itself; estimate 0.06 to 0.1.
        mismatch: [1]. Standard deviation of the difference within a pair, over dVth (estimate).
        overdrive_V: [V]. V_gs - V_th of the input pair (estimate).
        duty: [1]. Fraction of the time under bias.

    Source: power law in time with Arrhenius factor, Entner, PhD thesis, TU Wien, eq. 6.1; values are estimates.
    """

    shift_V: float = 0.03
    reference_s: float = TEN_YEARS_S
    reference_K: float = 388.0
    exponent: float = 1 / 6
    activation_eV: float = 0.08
    mismatch: float = 0.1
    overdrive_V: float = 0.2
    duty: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what no transistor does.

        Raises:
            RangeError: naming the value.
        """
        for name in ("reference_s", "reference_K", "exponent", "overdrive_V"):
            if not (0 < getattr(self, name) < math.inf):
                raise RangeError(f"amplifier ageing {name} = {getattr(self, name)} must be positive and finite")
        for name in ("shift_V", "activation_eV", "mismatch"):
            if not (0 <= getattr(self, name) < math.inf):
                raise RangeError(f"amplifier ageing {name} = {getattr(self, name)} must be finite and not negative")
        if not (0 <= self.duty <= 1):
            raise RangeError(f"amplifier ageing duty = {self.duty} must lie in 0 to 1")

    def threshold_shift_V(self, age: Age) -> float:
        """[V]. dVth; stays at different temperatures add up in equivalent time, which has E_a / n."""
        under_bias_s = self.duty * age.equivalent_s(self.activation_eV / self.exponent, self.reference_K)
        return self.shift_V * float((under_bias_s / self.reference_s) ** self.exponent)

    def offset_sigma_V(self, age: Age) -> float:
        """[V]. Standard deviation of an amplifier's offset."""
        return self.mismatch * self.threshold_shift_V(age)

    def bandwidth_factor(self, age: Age) -> float:
        """[1]. What is left of the gain-bandwidth.

        Raises:
            RangeError: if the shift has used up the overdrive.
        """
        left = 1 - self.threshold_shift_V(age) / self.overdrive_V
        if left <= 0:
            raise RangeError(
                f"a threshold shift of {self.threshold_shift_V(age):g} V has used up the overdrive of "
                f"{self.overdrive_V:g} V: the amplifiers no longer work"
            )
        return left


def mobility_factor(temperature_K: float) -> float:
    """[1]. (T / 300 K)^-1.5: carrier mobility, and with it the bandwidth of an amplifier at constant overdrive."""
    return float((temperature_K / ROOM_K) ** -1.5)
