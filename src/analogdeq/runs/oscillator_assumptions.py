"""What a run on an oscillator chip takes for granted."""

from analogdeq.oscillator_chip import OscillatorChip
from analogdeq.units import format_quantity

EQUATIONS = "docs/oscillators.md"


def oscillator_rows(chip: OscillatorChip) -> list[tuple[str, str, str, str]]:
    """Rows of the table of assumptions: oscillators, coupling crossbar, power."""
    return [*_oscillators(chip), *_power(chip)]


def _oscillators(chip: OscillatorChip) -> list[tuple[str, str, str, str]]:
    kind, c = chip.kind, chip.circuit
    window = f"{format_quantity(c.g_min_S, 'S')} to {format_quantity(c.g_max_S, 'S')}"
    per_unit = format_quantity(1 / chip.pairs.feedback_ohm, "S")
    drift, off = kind.drift, 1e6 * chip.relative_shift()
    law = f"{1e6 * drift.per_decade:.3g} ± {1e6 * drift.sd_per_decade:.3g} ppm per decade"
    shift = f"mean {float(off.mean()):.3g} ppm, sd {float(off.std(correction=0)):.3g} ppm"
    buffer = f"{per_unit} stands for a weight of 1; a buffer of whatever gain makes that the lock ratio"
    return [
        ("oscillators", kind.title, "averaged over the carrier: one phase (and amplitude) each", kind.source),
        (
            "frequency",
            format_quantity(kind.frequency_Hz, "Hz"),
            "free running; the reference has it too",
            _mark(chip, "frequency_Hz"),
        ),
        (
            "lock ratio",
            f"{kind.lock_ratio:g}",
            "half the locking range of a unit injection over the frequency",
            _mark(chip, "lock_ratio"),
        ),
        (
            "time constant",
            format_quantity(chip.tau_s, "s"),
            "1/(2 pi f lock ratio), the clock of every time",
            "derived",
        ),
        ("conductance window", window, "targets of the devices that couple", "scenario"),
        ("coupling scale", per_unit, buffer, "derived"),
        ("standing injection", "exact", "a trimmed driver per oscillator", "design"),
        (
            "frequency spread",
            f"{kind.frequency_sd:g}",
            "relative, one draw per oscillator from the chip seed",
            "scenario",
        ),
        (
            "frequency, by temperature",
            f"{1e6 * kind.temperature_per_K:.3g} ppm/K",
            "from 300 K; the reference stays",
            _mark(chip, "temperature_per_K"),
        ),
        (
            "frequency, by age",
            law,
            f"log10(1 + t/t_0) decades, t_0 = {format_quantity(drift.from_s, 's')}; the reference stays",
            "scenario or preset; 0 where no source gives one",
        ),
        ("frequencies now", shift, "of this chip at its age and temperature: as made, heat, drift", "derived"),
        (
            "linewidth",
            format_quantity(kind.linewidth_Hz, "Hz"),
            "phase noise; acts in the noisy settles, not in the others",
            "scenario",
        ),
        ("start", "in phase", "oscillators run freely and are released together with the reference", EQUATIONS),
        ("left out of the oscillators", kind.not_modelled or "-", "not modelled here", kind.source),
    ]


def _power(chip: OscillatorChip) -> list[tuple[str, str, str, str]]:
    c = chip.circuit
    adc = f"{c.adc.bits} bit, {format_quantity(c.adc.energy_J, 'J')}"
    dac = f"{c.dac.bits} bit, {format_quantity(c.dac.energy_J, 'J')}"
    readout = "an ideal settle detector per sample; the clocked figure holds every sample for the slowest"
    return [
        (
            "power per oscillator",
            format_quantity(chip.kind.power_W, "W"),
            "from the supply",
            _mark(chip, "power_W"),
        ),
        ("line drivers", "±" + format_quantity(c.supply_V, "V"), "class B: V_DD (2/pi) peak current", "scenario"),
        ("line voltage", format_quantity(c.unit_voltage_V, "V"), "peak, at amplitude 1", "scenario"),
        ("DAC", dac, "per input conversion", c.dac.source),
        ("ADC", adc, "per phase read (two per amplitude)", c.adc.source),
        ("conversion time", format_quantity(c.adc.conversion_s, "s"), "the network runs on so long", "scenario"),
        ("readout instant", "t_settle", readout, EQUATIONS),
        ("not counted", "-", "start-up, reference, buffers, clocks, memory for u, programming, digital parts", "-"),
    ]


def _mark(chip: OscillatorChip, quantity: str) -> str:
    """Whether a number is the source's, or somebody's choice: of the preset, which says so, or of the scenario."""
    return "assumed" if quantity in chip.kind.assumed else chip.kind.source
