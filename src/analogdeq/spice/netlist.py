"""A chip as a SPICE netlist, at level 0: every device a resistor, every amplifier ideal."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.errors import InputError
from analogdeq.spice.activation import activation_expression
from analogdeq.spice.lines import Line, lines_of
from analogdeq.spice.meters import METERS, energy_meters, meter_node
from analogdeq.units import format_quantity

OPTIONS = "reltol=1e-6 vntol=1e-12 abstol=1e-18 chgtol=1e-22 method=trap"
"""The defaults (reltol 1e-3) let waveforms be half a percent of full scale off; docs/spice.md has the measurements."""

STEPS_PER_TAU = 100
"""Longest step of the transient analysis: the truncation error control alone lets steps grow to several tau."""

AMPLIFIER_GAIN = 1e9
"""Of the summing amplifiers. It shifts weights by noise gain / 1e9, far below anything compared here."""

OPEN_OHM = 1e30
"""A device that was programmed to zero siemens."""


def netlist_of(chip: Chip, u: Tensor, *, stop_s: float | None = None, about: Mapping[str, str] | None = None) -> str:
    """The netlist of a chip that settles on one input from discharged capacitors.

    Args:
        chip: what to export.
        u: (input,) [1]. One sample, before the DAC.
        stop_s: [s]. End of the transient analysis; 50 time constants if None.
        about: lines for the header, by name: the scenario, the image.

    Returns:
        Text that `ngspice -b -r out.raw FILE` runs. Its waveforms are v(z0), v(z1), ... [V] and the energy meters
        v(e_crossbar), ... [pJ].

    Raises:
        InputError: if u has another shape or is not finite, or the chip has what level 0 cannot say.
    """
    level = _dac_level(chip, u)
    stop_s = 50 * chip.tau_s if stop_s is None else stop_s
    if not (0 < stop_s < float("inf")):
        raise InputError(f"stop_s = {stop_s} must be positive and finite")
    lines = list(lines_of(chip, level))
    sections = [
        ("line drivers: each state, input and the bias on a + line and a - line", _line_drivers(lines)),
        ("devices: from each line to the summing node of each row", _devices(lines)),
        ("summing amplifiers: t = -(sum of currents) R_f", _summing_amplifiers(chip)),
        ("activation amplifiers, and the node of each neuron", _neurons(chip)),
        ("energy meters: 1 V = 1 pJ", energy_meters(chip, lines)),
        ("analysis: power-on from discharged capacitors", _analysis(chip, stop_s)),
    ]
    text = [*_header(chip, about or {})]
    for title, body in sections:
        text += ["*", f"* {title}", "*", *body]
    return "\n".join([*text, ".end", ""])


def _dac_level(chip: Chip, u: Tensor) -> list[float]:
    if not isinstance(u, Tensor) or u.shape != (chip.n_inputs,):
        got = tuple(u.shape) if isinstance(u, Tensor) else type(u).__name__
        raise InputError(f"u must be one sample, a tensor of shape ({chip.n_inputs},), got {got}")
    if not bool(torch.isfinite(u).all()):
        raise InputError("u holds NaN or infinity; a source cannot put that out")
    if chip.device_preset.conduction is not None:
        raise InputError(f"device {chip.device_preset.name!r} is no resistor, which the SPICE export does not cover")
    if chip.care.amplifiers is not None:
        raise InputError("this chip's amplifiers have offsets, which the SPICE export does not cover")
    if not chip.circuit.wires.are_ideal:
        raise InputError("this chip's wires have resistance, which the SPICE export does not cover; set it to 0")
    if chip.rate is not None:
        raise InputError("this chip's nodes have unequal time constants, which the SPICE export does not cover")
    # In the chip's own precision, so that a tie rounds to the level that the simulation used.
    level: list[float] = chip.circuit.dac.quantise(u.to(chip.dtype)).double().tolist()
    return level


def _header(chip: Chip, about: Mapping[str, str]) -> Iterator[str]:
    c = chip.circuit
    facts = {
        **about,
        "device": chip.device_preset.name,
        "chip seed": str(chip.seed),
        "size": f"{chip.n_nodes} nodes, {chip.n_inputs} inputs, {chip.core.activation.name}",
        "tau": f"{chip.tau_s!r} s ({format_quantity(chip.tau_s, 's')})",
        "unit voltage": f"{c.unit_voltage_V!r} V (z = 1)",
        "feedback": f"{chip.pairs.feedback_ohm!r} ohm (weight = R_f (G+ - G-))",
        "supply": f"{c.supply_V!r} V",
    }
    yield "analogdeq: an RC crossbar that settles to an equilibrium, level 0 (ideal amplifiers, no noise)"
    # One line each, whatever a name contains: a line break would begin an element.
    yield from (f"* {name}: {' '.join(value.split())}" for name, value in facts.items())
    yield "* run: ngspice -b -r out.raw THIS_FILE"


def _line_drivers(lines: list[Line]) -> Iterator[str]:
    for line in lines:
        yield f"{line.source} {line.name} 0 {line.drive}"


def _devices(lines: list[Line]) -> Iterator[str]:
    for line in lines:
        for row, conductance_S in line.devices:
            yield f"R{line.name}_{row} {line.name} s{row} {_ohm(conductance_S)!r}"


def _summing_amplifiers(chip: Chip) -> Iterator[str]:
    for i in range(chip.n_nodes):
        yield f"Et{i} t{i} 0 0 s{i} {AMPLIFIER_GAIN!r}"
        yield f"Rf{i} t{i} s{i} {chip.pairs.feedback_ohm!r}"


def _neurons(chip: Chip) -> Iterator[str]:
    c = chip.circuit
    for i in range(chip.n_nodes):
        phi = activation_expression(chip.core.activation.name, f"-v(t{i})/{c.unit_voltage_V!r}")
        yield f"Bf{i} f{i} 0 V={c.unit_voltage_V!r}*{phi}"
        yield f"Rn{i} f{i} z{i} {c.node_R_ohm!r}"
        yield f"Cn{i} z{i} 0 {c.node_C_F!r} IC=0.0"
        if c.node_leak_S > 0:
            yield f"Rl{i} z{i} 0 {_ohm(c.node_leak_S)!r}"


def _analysis(chip: Chip, stop_s: float) -> Iterator[str]:
    step_s = chip.tau_s / STEPS_PER_TAU
    yield ".save " + " ".join(f"v(z{i})" for i in range(chip.n_nodes))
    yield ".save " + " ".join(f"v({meter_node(term)})" for term in METERS)
    yield f".options {OPTIONS}"
    yield f".tran {step_s!r} {stop_s!r} 0.0 {step_s!r} UIC"


def _ohm(conductance_S: float) -> float:
    return min(1 / conductance_S, OPEN_OHM) if conductance_S > 0 else OPEN_OHM
