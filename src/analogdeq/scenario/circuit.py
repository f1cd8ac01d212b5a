"""The component values that realise a core: crossbar, node, amplifiers, converters.

Ranges are wide enough for a breadboard and a deep-submicron chip, and narrow enough to catch a forgotten prefix.
"Estimate" marks a textbook figure, not a measurement.
"""

from typing import Literal, final

from pydantic import Field, ValidationInfo, field_validator

from analogdeq.scenario.opamp import OpAmp
from analogdeq.scenario.quantity import Farad, Hertz, Joule, Ohm, PerVolt, Ratio, Second, Siemens, Volt, Watt
from analogdeq.scenario.section import Count, Section, broken_rule


@final
class Amplifier(Section):
    """The node amplifiers; their power follows from their bandwidth, P = branches V_DD 2 pi GBW C_L / (g_m/I_D)."""

    gbw_Hz: Hertz | None = Field(default=None, ge=1, le=1e13)
    """Gain-bandwidth product. "none" derives it from `speed_ratio`. Typical 0.1 to 5 GHz in 65 to 22 nm (estimate)."""

    speed_ratio: Ratio = Field(default=20.0, ge=1, le=1e6)
    """How many times faster than the node the closed-loop amplifier pole is placed; unused when `gbw_Hz` is given.
    At 10 the node settles about 8 % slower than with an ideal amplifier at a loop gain of 0.9; at 1 it may ring."""

    branches: Count = Field(default=3, ge=1, le=64)
    """Number of current branches between the supply rails of one amplifier. Typical 2 to 4 (estimate)."""

    gm_over_id_per_V: PerVolt = Field(default=15.0, gt=0, le=30)
    """Transconductance per drain current of the input pair. Typical 10 to 20 1/V in moderate inversion; the weak
    inversion limit at room temperature is about 28 1/V (estimate)."""

    load_C_F: Farad = Field(default=100e-15, ge=1e-18, le=1e-3)
    """Capacitance that the amplifier must drive and that sets its transconductance, g_m = 2 pi GBW C_L."""

    bias_W: Watt | None = Field(default=None, ge=0, le=1e3)
    """Quiescent power of one amplifier. "none" derives it from the bandwidth; a number overrides that and may promise
    a circuit nobody can build. Typical 10 uW to 1 mW (estimate)."""


@final
class Dac(Section):
    """The D/A converter of each input line: a capacitive array, about 2^bits C_u V^2 per conversion (estimate)."""

    bits: Count = Field(default=8, ge=1, le=16)
    """Resolution."""

    unit_C_F: Farad = Field(default=1e-15, ge=1e-18, le=1e-6)
    """Unit capacitor C_u of the array. 1 fF at 0.9 V and 6 to 8 bit gives 0.05 to 0.2 pJ per conversion (estimate)."""

    energy_J: Joule | None = Field(default=None, ge=0, le=1)
    """Energy per conversion. "none" derives it from the array; a number overrides that."""

    conversion_s: Second = Field(default=0.0, ge=0, le=1)
    """Time to settle before the network begins, added to the latency; amplifiers draw their quiescent power
    meanwhile."""

    full_scale: Ratio = Field(default=1.0, gt=0, le=100)
    """Range, in units of the unit voltage; what lies beyond is clipped."""

    inl_lsb: Ratio = Field(default=0.0, ge=0, le=1000)
    """Integral nonlinearity in LSB: standard deviation over converters of a bow's height at mid-scale, drawn by the
    chip seed."""

    dnl_lsb: Ratio = Field(default=0.0, ge=0, le=100)
    """Differential nonlinearity in LSB: standard deviation of a step's width, drawn by the chip seed. Independent steps
    add up to an integral one of sqrt(2^bits)/2 times this at mid-scale."""

    noise_lsb: Ratio = Field(default=0.0, ge=0, le=1000)
    """Noise of a conversion in LSB, standard deviation, at its output; drawn by the noise seed."""


@final
class Adc(Section):
    """The A/D converter that reads each node once per equilibrium."""

    bits: Count = Field(default=8, ge=1, le=16)
    """Resolution; also the effective bits looked up in the converter survey."""

    speed: Literal["below-2MSps", "2-500MSps", "above-500MSps"] = "above-500MSps"
    """Speed class looked up in B. Murmann's ADC performance survey (rev. 2025-06-09)."""

    quantile: Literal["best", "p10", "median"] = "median"
    """Which of the survey's converters stands for yours. Survey parts are record designs without drivers and
    references, so the median is the honest default."""

    conversion_s: Second = Field(default=2e-9, ge=0, le=1)
    """Time of one conversion, added to the latency; the node is held meanwhile. 2 ns is 500 MS/s."""

    energy_J: Joule | None = Field(default=None, ge=0, le=1)
    """Energy per conversion. "none" looks it up in the survey; a number overrides that. The survey's 8-bit parts
    above 500 MS/s use 4.6 pJ (best), 5.2 pJ (p10) and 13 pJ (median)."""

    full_scale: Ratio = Field(default=1.0, gt=0, le=100)
    """Range, in units of the unit voltage; what lies beyond is clipped."""

    inl_lsb: Ratio = Field(default=0.0, ge=0, le=1000)
    """Integral nonlinearity in LSB: standard deviation over converters of a bow's height at mid-scale, drawn by the
    chip seed."""

    dnl_lsb: Ratio = Field(default=0.0, ge=0, le=100)
    """Differential nonlinearity in LSB: standard deviation of a step's width, drawn by the chip seed. Independent steps
    add up to an integral one of sqrt(2^bits)/2 times this at mid-scale."""

    noise_lsb: Ratio = Field(default=0.0, ge=0, le=1000)
    """Noise of a conversion in LSB, standard deviation, referred to its input; drawn by the noise seed."""


@final
class Wires(Section):
    """Lines and rows of the crossbar as chains of resistors, one per cell; of an RC core in one crossbar."""

    line_ohm: Ohm = Field(default=0.0, ge=0, le=1e6)
    """Resistance of a drive line per cell; 0 is ideal. Published: 0.15 and 0.35 ohm for PCM arrays (aihwkit), 2.8 ohm
    (MNSIM); 0.3 to 12 ohm from the 130 nm to the 7 nm node (from NeuroSim's tables)."""

    row_ohm: Ohm = Field(default=0.0, ge=0, le=1e6)
    """Resistance of a summing row per cell; 0 is ideal."""

    cell_F: Farad = Field(default=0.0, ge=0, le=1e-9)
    """Capacitance of a line and of a row per cell, about 0.2 fF per micrometre of wire (NeuroSim). With the
    resistances it delays the loop by Elmore's sum."""

    tile: Count | None = Field(default=None, ge=2, le=1_000_000)
    """Cells on either side of the largest array that is built. A larger crossbar is cut into such tiles, each with
    drivers of its own; "none": one array."""


@final
class Circuit(Section):
    """The circuit around the conductances."""

    level: Count = Field(default=0, ge=0, le=1)
    """0 takes amplifiers as ideal: the quick model. 1 settles with their poles, gain, slew rate, swing and offset
    (`[circuit.opamp]`): three or four states per node, stiff. See docs/amplifiers.md."""

    mapping: Literal["one-sided", "balanced"] = "one-sided"
    """How a weight becomes a device pair: "one-sided" leaves one device at `g_min_S` (least power), "balanced" moves
    both about the middle (constant row sum, hence constant noise gain and wire drop, for more power)."""

    g_min_S: Siemens = Field(ge=0, le=1)
    """Lowest conductance a device is programmed to. Typical g_max/100 to g_max/10 (estimate)."""

    g_max_S: Siemens = Field(ge=0, le=1)
    """Highest conductance a device is programmed to. Typical 0.1 to 100 uS (estimate); 25 uS for generic PCM (aihwkit
    PCMLikeNoiseModel, after Nandakumar et al., ICECS 2019), 40 uS for NeuRRAM (Nature 608:504, 2022)."""

    unit_voltage_V: Volt = Field(default=0.1, ge=1e-6, le=1e3)
    """Volts on a line per unit of z. Crossbar heat grows with its square. Typical read voltage
    0.1 to 0.4 V (estimate)."""

    supply_V: Volt = Field(default=0.9, ge=1e-6, le=1e3)
    """Supply of amplifiers, drivers and converters. Typical 0.8 to 1.8 V (estimate)."""

    node_R_ohm: Ohm = Field(default=100e3, ge=1e-3, le=1e12)
    """Resistance between an amplifier and its node; with `node_C_F` it sets tau = R C. Typical feedback and node
    resistances 5 to 100 kohm (estimate)."""

    node_C_F: Farad = Field(default=100e-15, ge=1e-18, le=1e-3)
    """Capacitance of a node. Typical 10 fF to 1 pF on chip (estimate); thermal noise of a passive node is
    sqrt(kT/C) = 204 uV at 100 fF and 300 K."""

    node_leak_S: Siemens = Field(default=0.0, ge=0, le=1)
    """Conductance G_L from a node to ground. It shortens tau to C/(1/R + G_L) and scales phi by 1/(1 + R G_L)."""

    amplifier: Amplifier = Amplifier()
    opamp: OpAmp = OpAmp()
    dac: Dac = Dac()
    adc: Adc = Adc()
    wires: Wires = Wires()

    @field_validator("g_max_S")
    @classmethod
    def _g_max_is_above_g_min(cls, g_max_S: float, info: ValidationInfo) -> float:
        if g_max_S <= info.data.get("g_min_S", -1.0):
            raise broken_rule(
                ("g_min_S", "g_max_S"),
                "g_max_S must be above g_min_S: an on/off ratio of zero or one leaves no range to store a weight in",
            )
        return g_max_S

    @field_validator("supply_V")
    @classmethod
    def _supply_reaches_the_unit_voltage(cls, supply_V: float, info: ValidationInfo) -> float:
        if supply_V < info.data.get("unit_voltage_V", 0.0):
            raise broken_rule(
                ("unit_voltage_V", "supply_V"),
                "unit_voltage_V must not exceed supply_V: no driver reaches beyond its rails",
            )
        return supply_V
