"""What a real operational amplifier has besides bandwidth: gain, slew rate, swing, offset, noise, capacitances."""

import math
from dataclasses import dataclass
from typing import final

from analogdeq.circuits.amplifier import Amplifier
from analogdeq.errors import RangeError
from analogdeq.units import BOLTZMANN_J_PER_K

DRIVER_NOISE_GAIN = 2.0
"""A line driver is an inverter of gain -1: two equal resistors."""


@final
@dataclass(frozen=True, kw_only=True)
class OpAmp:
    """One-pole operational amplifiers and what hangs on their inputs, level 1.

    With s the voltage between the inputs, t the stage behind the pole and o = clip(t, +-swing) the output:

        dt/dt = clip(-w_u s - (w_u / A0) o - w_u (t - o), +-SR),     w_u = 2 pi GBW

    In the linear range t = o, and that is the one-pole model. Beyond the swing the last term is a clamp that keeps the
    stage within one input voltage of the rail, so that it comes back in a time of 1 / w_u.

    Bandwidth and bias current are the `Amplifier`'s. They decide on what is left None here: a transconductance g_m
    that is made of the current I_D makes noise of 4 k T gamma / g_m and, with both branches' current 2 I_D into C_L,

        SR = 2 I_D / C_L = 2 w_u / (g_m / I_D)

    Attributes:
        dc_gain: [1]. A0, open loop.
        slew_V_per_s: [V/s]. SR of every amplifier; None derives it. More than that costs bias current.
        swing_V: [V]. Largest |output| of the summing amplifiers; None is the supply.
        offset_sigma_V: [V]. Standard deviation of the input offset, one draw per summing amplifier.
        input_noise_V_per_rtHz: [V/sqrt(Hz)]. One-sided density at the input; None derives it.
        noise_gamma: [1]. Noise factor of the input pair (design estimate: 2/3 to 2).
        summing_C_F: [F]. Capacitance at each summing node.
        has_line_poles: whether line drivers lag behind their nodes; else they are ideal.
        driver_R_ohm: [ohm]. Output resistance of a line driver.
        cell_C_F: [F]. Capacitance a line sees per row it crosses, device and wire.

    Source: one-pole operational amplifier and g_m/I_D method, textbook; docs/amplifiers.md.
    """

    dc_gain: float = 1000.0
    slew_V_per_s: float | None = None
    swing_V: float | None = None
    offset_sigma_V: float = 0.0
    input_noise_V_per_rtHz: float | None = None
    noise_gamma: float = 1.0
    summing_C_F: float = 20e-15
    has_line_poles: bool = True
    driver_R_ohm: float = 1e3
    cell_C_F: float = 0.2e-15

    def __post_init__(self) -> None:
        """Refuse values no amplifier can have.

        Raises:
            RangeError: naming the value.
        """
        for name in ("dc_gain", "slew_V_per_s", "swing_V", "summing_C_F"):
            value = getattr(self, name)
            if value is not None and not value > 0:  # infinite ones are ideal
                raise RangeError(f"opamp {name} = {value} must be positive")
        if not math.isfinite(self.summing_C_F):
            raise RangeError(f"opamp summing_C_F = {self.summing_C_F} F must be finite")
        for name in ("offset_sigma_V", "input_noise_V_per_rtHz", "noise_gamma", "driver_R_ohm", "cell_C_F"):
            value = getattr(self, name)
            if value is not None and not (0 <= value < math.inf):
                raise RangeError(f"opamp {name} = {value} must be finite and not negative")

    def slew_rate_V_per_s(self, amplifier: Amplifier, gbw_Hz: float) -> float:
        """[V/s]. As given, or what the bias current of such a bandwidth can charge C_L with."""
        if self.slew_V_per_s is not None:
            return self.slew_V_per_s
        return 2 * 2 * math.pi * gbw_Hz / amplifier.gm_over_id_per_V

    def noise_density_V2_per_Hz(self, amplifier: Amplifier, gbw_Hz: float, temperature_K: float) -> float:
        """[V^2/Hz]. One-sided e_n^2 at the input."""
        if self.input_noise_V_per_rtHz is not None:
            return self.input_noise_V_per_rtHz**2
        transconductance_S = 2 * math.pi * gbw_Hz * amplifier.load_C_F
        return 4 * BOLTZMANN_J_PER_K * temperature_K * self.noise_gamma / transconductance_S

    def quiescent_W(self, amplifier: Amplifier, noise_gain: float, tau_s: float, supply_V: float) -> float:
        """[W]. What one amplifier draws at rest: for its bandwidth or for its slew rate, whichever takes more."""
        for_bandwidth_W = amplifier.quiescent_W(noise_gain, tau_s, supply_V)
        if amplifier.bias_W is not None or self.slew_V_per_s is None or math.isinf(self.slew_V_per_s):
            return for_bandwidth_W  # an infinite slew rate is an ideal, which nobody pays for
        return max(for_bandwidth_W, amplifier.branches * supply_V * self.slew_V_per_s * amplifier.load_C_F / 2)

    def line_tau_s(self, amplifier: Amplifier, tau_s: float, rows: int, bandwidth_factor: float) -> float:
        """[s]. Lag of a line behind its node: the driver's closed loop, and R_out times the line's capacitance."""
        closed_loop_s = amplifier.closed_loop_tau_s(DRIVER_NOISE_GAIN, tau_s) / bandwidth_factor
        return closed_loop_s + self.driver_R_ohm * self.line_C_F(rows)

    def line_C_F(self, rows: int) -> float:
        """[F]. Of one line that crosses so many rows."""
        return rows * self.cell_C_F
