"""What level 1 of the circuit knows of its operational amplifiers besides bandwidth and power."""

from typing import Literal, final

from pydantic import Field

from analogdeq.scenario.quantity import Farad, Ohm, Ratio, Volt
from analogdeq.scenario.section import Section


@final
class OpAmp(Section):
    """The operational amplifiers at `circuit.level = 1`; their bandwidth and bias are in `[circuit.amplifier]`."""

    dc_gain: Ratio = Field(default=1000.0, gt=1, le=1e12)
    """Open-loop gain A0. A weight loses K_n / A0 of its value, K_n the noise gain of its row. Typical 100 to 10,000 for
    one or two stages (estimate)."""

    slew_V_per_s: Ratio | None = Field(default=None, gt=0, le=1e15)
    """Slew rate, in V/s. "none" derives it from the bias current that the bandwidth takes, SR = 4 pi GBW / (g_m/I_D);
    more than that costs bias power."""

    swing_V: Volt | None = Field(default=None, ge=1e-6, le=1e3)
    """Largest output of a summing amplifier, either sign. "none" is the supply. Typical 0.1 to 0.2 V less
    (estimate)."""

    offset_sigma_V: Volt = Field(default=0.0, ge=0, le=1)
    """Standard deviation of the input offset of a summing amplifier, one draw each from the chip seed. It appears at
    the output times K_n. Typical 1 to 5 mV, 10 to 100 uV with auto-zero (estimate)."""

    input_noise_V_per_rtHz: Ratio | None = Field(default=None, ge=0, le=1)
    """One-sided noise density at the input, in V/sqrt(Hz). "none" derives it from the transconductance,
    sqrt(4 k T gamma / g_m)."""

    noise_gamma: Ratio = Field(default=1.0, ge=0, le=100)
    """Noise factor gamma of the input pair. Typical 2/3 to 2 (estimate)."""

    summing_C_F: Farad = Field(default=20e-15, ge=1e-21, le=1e-3)
    """Capacitance at each summing node: devices, wire, amplifier input. With the feedback resistor it makes the
    amplifier ring where K_n < sqrt(w_u R_f C). Typical 10 to 200 fF (estimate)."""

    line_drivers: Literal["one-pole", "ideal"] = "one-pole"
    """Whether lines lag behind their nodes by the driver's closed loop and R_out C_line, or follow at once. An ideal
    driver saves one state in four."""

    driver_R_ohm: Ohm = Field(default=1e3, ge=0, le=1e9)
    """Output resistance of a line driver (estimate)."""

    cell_C_F: Farad = Field(default=0.2e-15, ge=0, le=1e-6)
    """Capacitance that a line sees per row it crosses, device and wire. A micrometre of wire has about 0.2 fF
    (estimate)."""
