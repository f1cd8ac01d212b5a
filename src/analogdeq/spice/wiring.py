"""Which device hangs between which line and which summing node, one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import final

from torch import Tensor

from analogdeq.circuits.mapping import ConductancePairs
from analogdeq.circuits.pairs import DevicePairs
from analogdeq.circuits.replicas import ReplicatedPairs
from analogdeq.circuits.tiling import Tiling
from analogdeq.errors import InputError


@final
@dataclass(frozen=True)
class WiredPair:
    """Two devices that meet at a summing node.

    Attributes:
        line: which line pair they come from: nodes first, then inputs, then the bias.
        row: the summing node.
        plus_S: [S]. From the + line.
        minus_S: [S]. From the - line.
    """

    line: int
    row: int
    plus_S: float
    minus_S: float


def wired_pairs(pairs: DevicePairs) -> Iterator[WiredPair]:
    """Every pair of a chip.

    Raises:
        InputError: for crossbars of a kind that has no netlist.
    """
    if isinstance(pairs, ConductancePairs):
        return _one_crossbar(pairs)
    if isinstance(pairs, ReplicatedPairs):
        return _crossbar_per_position(pairs)
    raise InputError(f"{type(pairs).__name__} cannot be exported to SPICE; dense and convolutional chips can")


def _one_crossbar(pairs: ConductancePairs) -> Iterator[WiredPair]:
    plus, minus = pairs.plus_S.tolist(), pairs.minus_S.tolist()
    for row, line in product(range(len(plus)), range(len(plus[0]))):
        yield WiredPair(line, row, plus[row][line], minus[row][line])


def _crossbar_per_position(pairs: ReplicatedPairs) -> Iterator[WiredPair]:
    """By the indices of each crossbar's pixel and columns; what lies outside the image is not built."""
    tiling = pairs.tiling
    image = tiling.height * tiling.width

    def of_crossbar(stored: Tensor, crossbar: int) -> list[list[float]]:
        one: list[list[float]] = (stored if stored.ndim == 2 else stored[crossbar]).tolist()
        return one

    for crossbar in range(tiling.n_crossbars):
        lines = _lines_of_columns(tiling, *divmod(crossbar, tiling.width))
        plus, minus = of_crossbar(pairs.plus_S, crossbar), of_crossbar(pairs.minus_S, crossbar)
        for channel, (column, line) in product(range(tiling.n_rows), enumerate(lines)):
            if line is not None:
                yield WiredPair(line, channel * image + crossbar, plus[channel][column], minus[channel][column])


def _lines_of_columns(tiling: Tiling, y: int, x: int) -> list[int | None]:
    """The line that each column of the crossbar at pixel (y, x) reads; None for one that is not built."""
    lines: list[int | None] = []
    first = 0
    for window in (tiling.state, tiling.input):
        for channel, dy, dx in product(range(window.channels), *map(range, window.sides)):
            at_y, at_x = y + dy - window.rim[0], x + dx - window.rim[1]
            inside = 0 <= at_y < tiling.height and 0 <= at_x < tiling.width
            lines.append(first + (channel * tiling.height + at_y) * tiling.width + at_x if inside else None)
        first += window.channels * tiling.height * tiling.width
    return [*lines, first]
