"""Amplifier bandwidth and the quiescent power it costs."""

import math
from dataclasses import dataclass
from typing import final

from analogdeq.errors import RangeError


@final
@dataclass(frozen=True, kw_only=True)
class Amplifier:
    """How fast the amplifiers are and what that draws from the supply.

    A one-pole amplifier of gain-bandwidth GBW and noise gain K_n closes its loop with tau_a = K_n / (2 pi GBW); an
    amplifier of transconductance g_m driving C_L has GBW = g_m / (2 pi C_L), and g_m costs current: so

        P = branches * V_DD * 2 pi GBW C_L / (g_m / I_D)                                    (speed is paid for)

    Attributes:
        gbw_Hz: [Hz]. Gain-bandwidth of every amplifier; None derives it from `speed_ratio`.
        speed_ratio: [1]. How many times faster than the node the closed loops are, where `gbw_Hz` is None; >= 1.
        branches: current branches per amplifier (design estimate: 2 to 4).
        gm_over_id_per_V: [1/V]. Transconductance per drain current (design estimate: 10 to 20 in moderate inversion).
        load_C_F: [F]. Load the amplifier itself must drive.
        bias_W: [W]. Quiescent power per amplifier, measured; None derives it.

    Source: one-pole operational amplifier and g_m/I_D design method, textbook; docs/equations.md.
    """

    gbw_Hz: float | None = None
    speed_ratio: float = 20.0
    branches: int = 3
    gm_over_id_per_V: float = 15.0
    load_C_F: float = 1e-13
    bias_W: float | None = None

    def __post_init__(self) -> None:
        """Refuse values no amplifier can have.

        Raises:
            RangeError: naming the value.
        """
        for name in ("gbw_Hz", "speed_ratio", "branches", "gm_over_id_per_V", "load_C_F"):
            value = getattr(self, name)
            if value is not None and not (0 < value < math.inf):
                raise RangeError(f"amplifier {name} = {value} must be positive and finite")
        if self.speed_ratio < 1:
            raise RangeError(f"amplifier speed_ratio = {self.speed_ratio:g} must be at least 1: slower than its node")
        if self.bias_W is not None and not (0 <= self.bias_W < math.inf):
            raise RangeError(f"amplifier bias_W = {self.bias_W} W must be finite and not negative")

    def gain_bandwidth_Hz(self, noise_gain: float, tau_s: float) -> float:
        """[Hz]. GBW: as given, or what makes K_n / (2 pi GBW) = tau / speed_ratio."""
        if self.gbw_Hz is not None:
            return self.gbw_Hz
        return noise_gain * self.speed_ratio / (2 * math.pi * tau_s)

    def closed_loop_tau_s(self, noise_gain: float, tau_s: float) -> float:
        """[s]. K_n / (2 pi GBW), the pole that level 0 neglects."""
        return noise_gain / (2 * math.pi * self.gain_bandwidth_Hz(noise_gain, tau_s))

    def quiescent_W(self, noise_gain: float, tau_s: float, supply_V: float) -> float:
        """[W]. What one amplifier draws at rest."""
        if self.bias_W is not None:
            return self.bias_W
        transconductance_S = 2 * math.pi * self.gain_bandwidth_Hz(noise_gain, tau_s) * self.load_C_F
        return self.branches * supply_V * transconductance_S / self.gm_over_id_per_V
