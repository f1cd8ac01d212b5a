"""The line pairs of a crossbar: who drives each, and which devices hang on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch

from analogdeq.chip import Chip

Devices = tuple[float, ...]


@final
@dataclass(frozen=True)
class Line:
    """One of the two lines of a column. Its netlist node, its source's suffix and its devices' prefix are its `name`.

    Attributes:
        name: "z3p" for the + line of node 3, "u0m" for the - line of input 0, "bp" for the + line of the bias.
        source: the element that drives it, for example "Ez3p"; its branch current is what the line draws.
        drive: what follows the node names in that element's line.
        devices_S: (row,) [S]. Conductance from the line to each summing node.
    """

    name: str
    source: str
    drive: str
    devices_S: Devices

    @property
    def total_S(self) -> float:
        """[S]. All the conductance the line must drive."""
        return sum(self.devices_S)


def lines_of(chip: Chip, level: list[float]) -> Iterator[Line]:
    """Every line of the chip, + before -, states before inputs before the bias.

    Args:
        chip: whose devices.
        level: (input,) [1]. What the DAC puts out, in units of the unit voltage.
    """
    unit_V = chip.circuit.unit_voltage_V
    names = [f"z{j}" for j in range(chip.n_nodes)] + [f"u{k}" for k in range(chip.n_inputs)] + ["b"]
    constant_V = [unit_V * value for value in (*level, 1.0)]
    columns = torch.stack((chip.pairs.plus_S, chip.pairs.minus_S)).permute(2, 0, 1).tolist()
    for column, (name, devices) in enumerate(zip(names, columns, strict=True)):
        for sign, letter, devices_S in zip((1.0, -1.0), "pm", devices, strict=True):
            line = name + letter
            if column < chip.n_nodes:
                yield Line(line, f"E{line}", f"{name} 0 {sign!r}", tuple(devices_S))
            else:
                volts = sign * constant_V[column - chip.n_nodes]
                yield Line(line, f"V{line}", f"{volts!r}", tuple(devices_S))
