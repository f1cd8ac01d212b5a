"""Everything a run takes for granted, as rows of a table: a figure without its assumptions is an advertisement."""

from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.chip import Chip
from analogdeq.circuits.converters import Converter, Converting
from analogdeq.circuits.manufacture import MadeConverter
from analogdeq.oscillator_chip import AnyChip, OscillatorChip
from analogdeq.report import Assumption
from analogdeq.runs.amplifiers import amplifier_rows
from analogdeq.runs.oscillator_assumptions import oscillator_rows
from analogdeq.solve.options import SettleOptions
from analogdeq.units import format_quantity

EQUATIONS = "docs/equations.md"


def assumptions_of(chip: AnyChip, options: SettleOptions) -> tuple[Assumption, ...]:
    """The rows for one chip and one way of settling it."""
    if isinstance(chip, OscillatorChip):
        return tuple(Assumption(*row) for row in (*oscillator_rows(chip), *_device(chip), *_method(options)))
    if isinstance(chip, AmplifiedChip):
        rows = (*amplifier_rows(chip), *_circuit(chip.chip)[1:-1], *_power(chip.chip, chip.bias_W()))
        return tuple(Assumption(*row) for row in (*rows, *_device(chip.chip), *_method(options)))
    rows = (*_circuit(chip), *_power(chip, chip.bias_W()), *_device(chip), *_method(options))
    return tuple(Assumption(*row) for row in rows)


def _circuit(chip: Chip) -> list[tuple[str, str, str, str]]:
    c = chip.circuit
    noise_gain = float(chip.noise_gain().max())
    pole_s = chip.amplifier_pole_s()
    window = f"{format_quantity(c.g_min_S, 'S')} to {format_quantity(c.g_max_S, 'S')}"
    pole = f"K_n / (2 pi GBW) at the fullest row: {c.tau_s / pole_s:.3g} times faster than the node"
    return [
        ("circuit level", "0", "ideal amplifiers: no second pole, no swing limit, no offset", EQUATIONS),
        ("time constant", format_quantity(chip.tau_s, "s"), "tau = R C, the clock of every time here", "scenario"),
        *_wires(chip),
        ("unit voltage", format_quantity(c.unit_voltage_V, "V"), "the node voltage for z = 1", "scenario"),
        ("mapping", c.mapping, "how weights become conductance pairs", "scenario"),
        ("conductance window", window, "targets of the devices", "scenario"),
        (
            "feedback resistor",
            format_quantity(chip.pairs.feedback_ohm, "ohm"),
            "R_f = max|w| / (g_max - g_min), one value for W, U and b",
            "derived",
        ),
        ("largest noise gain", f"{noise_gain:.3g}", "K_n = 1 + R_f G_tot of the fullest row", "derived"),
        ("neglected amplifier pole", format_quantity(pole_s, "s"), pole, "derived"),
    ]


def _wires(chip: Chip) -> list[tuple[str, str, str, str]]:
    """What the wires do to this chip; thermal noise is told of elsewhere."""
    wires = chip.circuit.wires
    if wires.are_ideal:
        return []
    ohms = f"{wires.line_ohm:g} ohm per cell of a line, {wires.row_ohm:g} ohm of a row"
    delay = format_quantity(chip.pairs.delay_s, "s")
    tile = "one array" if wires.tile is None else f"tiles of {wires.tile} cells"
    return [
        ("wires", ohms, f"IR drop by nodal analysis of {tile}, once per programming", "docs/wires.md"),
        ("wire delay", delay, "Elmore, the longest way; part of the time constant", "docs/wires.md"),
    ]


def _converter(converter: Converting) -> str:
    """Bits and joules, and what is wrong with it."""
    design = converter.design if isinstance(converter, MadeConverter) else converter
    text = f"{converter.bits} bit, {format_quantity(converter.energy_J, 'J')}"
    if not isinstance(design, Converter) or design.is_ideal:
        return text
    return f"{text}; INL {design.inl_lsb:g}, DNL {design.dnl_lsb:g}, noise {design.noise_lsb:g} LSB"


def _power(chip: Chip, bias_W: float) -> list[tuple[str, str, str, str]]:
    c = chip.circuit
    bias_source = "scenario" if c.amplifier.bias_W is not None else "g_m/I_D method, design estimate"
    readout = "an ideal settle detector per sample; the clocked figure holds every sample for the slowest"
    dac, adc = _converter(c.dac), _converter(c.adc)
    hold = format_quantity(c.adc.conversion_s, "s")
    ahead = format_quantity(c.dac.conversion_s, "s")
    return [
        ("supply", "±" + format_quantity(c.supply_V, "V"), "class-B outputs draw V_DD |i|", "scenario"),
        ("amplifier bias, whole chip", format_quantity(bias_W, "W"), "tied to bandwidth and load", bias_source),
        ("DAC", dac, "per input conversion", c.dac.source),
        ("ADC", adc, "per output conversion", c.adc.source),
        ("conversion time", hold, "the circuit is held at rest so long", "scenario"),
        ("DAC settling", ahead, "before the settle; latency is this, the settling time and the conversion", "scenario"),
        ("readout instant", "t_settle", readout, EQUATIONS),
        ("not counted", "-", "clocks, control, memory for u, programming, links, digital encoder and readout", "-"),
    ]


def _device(chip: Chip | OscillatorChip) -> list[tuple[str, str, str, str]]:
    d = chip.device_preset
    rows = [
        ("device", d.title, "every draw comes from the chip seed", d.source),
        ("chip seed", str(chip.seed), "which chip of the fab", "scenario"),
        ("left out of the device", d.not_modelled or "-", "reported by the source, not modelled here", d.source),
        _left_out(chip),
    ]
    return rows + _age(chip)


def _left_out(chip: Chip | OscillatorChip) -> tuple[str, str, str, str]:
    if chip.circuit.wires.are_ideal:
        return ("thermal noise, wires", "none", "settling is noiseless and wires are ideal here", "-")
    return (
        "thermal noise, charge on wires",
        "none",
        "settling is noiseless; wires drop and delay, their charge is free",
        "-",
    )


def _age(chip: Chip | OscillatorChip) -> list[tuple[str, str, str, str]]:
    allowed = ", ".join(sorted(chip.care.allow)) or "nothing"
    return [
        ("age", format_quantity(chip.now_s, "s"), "since programming; 0 is the first read", "scenario"),
        ("temperature", f"{chip.temperature_K:g} K", "of storage and operation", "scenario"),
        ("extrapolated", allowed, "validity ranges of the device that may be left", "scenario"),
        ("maintenance", format_quantity(chip.maintenance_J, "J"), "refresh and compensation until then", "derived"),
    ]


def _method(options: SettleOptions) -> list[tuple[str, str, str, str]]:
    tolerance = f"rtol {options.rtol:g}, atol {options.atol:g}"
    return [
        ("solver", options.method, "per-sample steps, clock and verdict", "scenario"),
        ("tolerance", tolerance, "local error per step: relative to the remaining motion, and absolute", "scenario"),
        ("band", f"{options.band:g} of full scale", "settled = inside it around the rest for good", "scenario"),
        ("time budget", f"{options.max_time_tau:g} tau", "after which a sample has timed out", "scenario"),
    ]
