"""Energy meters: current sources that push watts into a capacitor of one farad."""

from collections.abc import Iterable, Iterator

from analogdeq.chip import Chip
from analogdeq.spice.lines import Line

METERS = ("crossbar", "feedback", "node", "drivers", "delivered")
"""The first four are the chip's power terms. "delivered" is what all ideal sources give, v i of each: by Tellegen's
theorem it equals the three heats and what the capacitors store, so a netlist that keeps no books is found out."""

JOULES_PER_VOLT = 1e-12
"""A meter reads picojoules as volts: joules would drown in ngspice's absolute tolerances."""


def meter_node(term: str) -> str:
    """The node whose voltage is the energy of `term`."""
    return f"e_{term}"


def energy_meters(chip: Chip, lines: Iterable[Line]) -> Iterator[str]:
    """The netlist lines of all meters.

    Heat is computed from conductances and voltages, supply draw and delivered energy from the branch currents that
    ngspice solves for. Neither uses the other's numbers.
    """
    for term in METERS:
        yield f"C{meter_node(term)} {meter_node(term)} 0 1.0 IC=0.0"
    for line in lines:
        yield _meter("crossbar", line.name, f"{line.total_S!r}*v({line.name})*v({line.name})")
        yield from _source(chip, line.name, line.source)
    c, feedback_S, node_S = chip.circuit, 1 / chip.pairs.feedback_ohm, 1 / chip.circuit.node_R_ohm
    for i in range(chip.n_nodes):
        yield _meter("feedback", f"t{i}", f"{feedback_S!r}*v(t{i})*v(t{i})")
        yield _meter("node", f"z{i}", f"({node_S!r}*v(f{i},z{i})*v(f{i},z{i}) + {c.node_leak_S!r}*v(z{i})*v(z{i}))")
        yield from _source(chip, f"t{i}", f"Et{i}")
        yield from _source(chip, f"f{i}", f"Bf{i}")


def _source(chip: Chip, node: str, source: str) -> Iterator[str]:
    """What one output stage draws from its supply (class B: either rail, V_DD |i|), and what it delivers."""
    yield _meter("drivers", node, f"{chip.circuit.supply_V!r}*abs(i({source}))")
    yield _meter("delivered", node, f"-v({node})*i({source})")  # SPICE counts current into the + terminal


def _meter(term: str, where: str, watts: str) -> str:
    return f"B{term}_{where} 0 {meter_node(term)} I={1 / JOULES_PER_VOLT!r}*{watts}"
