"""Wires that are no short circuits: a crossbar's nodal analysis, reduced once to the matrix it acts as."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from analogdeq.errors import InputError, RangeError

Array = npt.NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Wires:
    """Lines and rows of a crossbar as chains of resistors, one per cell.

    Each line is driven at its first row, each summing row is held at virtual ground at its last column.

    Attributes:
        line_ohm: [ohm]. Of a drive line, from one row to the next, and from the driver to the first.
        row_ohm: [ohm]. Of a summing row, from one column to the next, and from the last to the amplifier.
        cell_F: [F]. Wire capacitance per cell.
    """

    line_ohm: float
    row_ohm: float
    cell_F: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no wire has.

        Raises:
            RangeError: naming the value.
        """
        for name in ("line_ohm", "row_ohm", "cell_F"):
            if not (0 <= getattr(self, name) < math.inf):
                raise RangeError(f"wires {name} = {getattr(self, name)} must be finite and not negative")

    def line_elmore_s(self, rows: int) -> float:
        """[s]. Elmore delay to the far end of a drive line: sum_k k r c over its cells, 0.5 r c n^2 for many."""
        return self.line_ohm * self.cell_F * rows * (rows + 1) / 2

    def row_elmore_s(self, columns: int) -> float:
        """[s]. Elmore delay along a summing row."""
        return self.row_ohm * self.cell_F * columns * (columns + 1) / 2


@final
@dataclass(frozen=True)
class WiredCrossbar:
    """What a crossbar does to the voltages of its lines, wires included; a static linear map.

    Attributes:
        effective_S: (row, line) [S]. Current into each virtual ground per volt on each line.
        driven_S: (line, line) [S]. Current out of each driver per volt on each line: v^T driven v is the heat of
            devices and wires together.
    """

    effective_S: Array
    driven_S: Array


def wired_crossbar(G_S: Array, wires: Wires) -> WiredCrossbar:
    """Solve the 2 R L nodes of a crossbar once, for a unit voltage on every line in turn.

    Where a wire has no resistance its nodes are one with the driver or the virtual ground.

    Args:
        G_S: (row, line) [S]. Devices between each line and each summing row.
        wires: their wires.

    Raises:
        InputError: if G is no matrix of finite conductances that are not negative.

    Source: Kirchhoff's current law at every node; docs/wires.md.
    """
    if G_S.ndim != 2 or G_S.size == 0 or not np.isfinite(G_S).all() or (G_S < 0).any():
        raise InputError(f"G must be (row, line), finite and not negative, got shape {G_S.shape}")
    rows, lines = G_S.shape
    cells = rows * lines
    cell = np.arange(cells).reshape(rows, lines)
    if wires.line_ohm == 0 and wires.row_ohm == 0:
        return WiredCrossbar(G_S.copy(), np.diag(G_S.sum(0)))
    # Unknown nodes first, known ones (drivers, then one ground for all virtual grounds) after them.
    driver = 2 * cells + np.arange(lines)
    ground = 2 * cells + lines
    on_line = cell if wires.line_ohm else np.broadcast_to(driver, (rows, lines))
    on_row = cells + cell if wires.row_ohm else np.full((rows, lines), ground)
    branches = [(on_line.ravel(), on_row.ravel(), G_S.ravel())]
    if wires.line_ohm:
        before = np.vstack((driver, on_line[:-1]))
        branches.append((before.ravel(), on_line.ravel(), np.full(cells, 1 / wires.line_ohm)))
    if wires.row_ohm:
        after = np.hstack((on_row[:, 1:], np.full((rows, 1), ground)))
        branches.append((on_row.ravel(), after.ravel(), np.full(cells, 1 / wires.row_ohm)))
    start, end, g = (np.concatenate(part) for part in zip(*branches, strict=True))
    size = ground + 1
    stamps = coo_array(
        (np.concatenate((g, g, -g, -g)),
         (np.concatenate((start, end, start, end)), np.concatenate((start, end, end, start)))),
        shape=(size, size),
    ).tocsc()  # fmt: skip
    used = np.unique(np.concatenate((on_line.ravel(), on_row.ravel())))
    unknown = used[used < 2 * cells]
    V = np.zeros((size, lines))
    V[driver, np.arange(lines)] = 1.0
    V[unknown] = splu(stamps[unknown][:, unknown].tocsc()).solve(-(stamps[unknown][:, driver].toarray()))
    through_A = G_S[:, :, None] * (V[on_line] - V[on_row])  # (row, line, driven line): the devices' currents
    return WiredCrossbar(through_A.sum(1), through_A.sum(0))
