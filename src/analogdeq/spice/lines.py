"""The line pairs of a crossbar: who drives each, and which devices hang on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from analogdeq.chip import Chip
from analogdeq.spice.wiring import wired_pairs

Devices = tuple[tuple[int, float], ...]
"""(summing node, siemens) of each."""


@final
@dataclass(frozen=True)
class Line:
    """One of the two lines of a column. Its netlist node, its source's suffix and its devices' prefix are its `name`.

    Attributes:
        name: "z3p" for the + line of node 3, "u0m" for the - line of input 0, "bp" for the + line of the bias.
        source: the element that drives it, for example "Ez3p"; its branch current is what the line draws.
        drive: what follows the node names in that element's line.
        devices: which hang on it.
    """

    name: str
    source: str
    drive: str
    devices: Devices

    @property
    def total_S(self) -> float:
        """[S]. All the conductance the line must drive."""
        return sum(siemens for _, siemens in self.devices)


def lines_of(chip: Chip, level: list[float]) -> Iterator[Line]:
    """Every line of the chip, + before -, states before inputs before the bias.

    Args:
        chip: whose devices.
        level: (input,) [1]. What the DAC puts out, in units of the unit voltage.
    """
    unit_V = chip.circuit.unit_voltage_V
    names = [f"z{j}" for j in range(chip.n_nodes)] + [f"u{k}" for k in range(chip.n_inputs)] + ["b"]
    constant_V = [unit_V * value for value in (*level, 1.0)]
    for column, (name, devices) in enumerate(zip(names, _devices_by_line(chip, len(names)), strict=True)):
        for sign, letter, of_sign in zip((1.0, -1.0), "pm", devices, strict=True):
            line = name + letter
            if column < chip.n_nodes:
                yield Line(line, f"E{line}", f"{name} 0 {sign!r}", of_sign)
            else:
                yield Line(line, f"V{line}", f"{sign * constant_V[column - chip.n_nodes]!r}", of_sign)


def _devices_by_line(chip: Chip, n_lines: int) -> list[tuple[Devices, Devices]]:
    """What hangs on the + and on the - line of each pair."""
    plus: list[list[tuple[int, float]]] = [[] for _ in range(n_lines)]
    minus: list[list[tuple[int, float]]] = [[] for _ in range(n_lines)]
    for pair in wired_pairs(chip.pairs):
        plus[pair.line].append((pair.row, pair.plus_S))
        minus[pair.line].append((pair.row, pair.minus_S))
    return [(tuple(p), tuple(m)) for p, m in zip(plus, minus, strict=True)]
