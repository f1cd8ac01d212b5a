"""Wires that are no short circuits: a crossbar's nodal analysis, reduced once to the matrices it acts as."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from analogdeq.errors import InputError, RangeError

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@final
@dataclass(frozen=True, kw_only=True)
class Wires:
    """Lines and rows of a crossbar as chains of resistors, one per cell.

    Each line is driven at its first row, each summing row is held at virtual ground at its last column.

    Attributes:
        line_ohm: [ohm]. Of a drive line, from one row to the next, and from the driver to the first.
        row_ohm: [ohm]. Of a summing row, from one column to the next, and from the last to the amplifier.
        cell_F: [F]. Wire capacitance per cell, of a line and of a row each.
        tile: cells on either side of the largest array that is built; a larger crossbar is cut into such tiles, each
            with drivers of its own and a short way to the amplifiers. None: one array, whatever its size.
    """

    line_ohm: float = 0.0
    row_ohm: float = 0.0
    cell_F: float = 0.0
    tile: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no wire has.

        Raises:
            RangeError: naming the value.
        """
        for name in ("line_ohm", "row_ohm", "cell_F"):
            if not (0 <= getattr(self, name) < math.inf):
                raise RangeError(f"wires {name} = {getattr(self, name)} must be finite and not negative")
        if self.tile is not None and self.tile < 2:
            raise RangeError(f"wires tile = {self.tile} must be at least 2 cells: a pair of lines stays together")

    @property
    def are_ideal(self) -> bool:
        """Whether there is no resistance, and so neither a drop nor a delay."""
        return self.line_ohm == 0 and self.row_ohm == 0

    def line_elmore_s(self, rows: int) -> float:
        """[s]. Elmore delay to the far end of a drive line: sum_k k r c over its cells, 0.5 r c n^2 for many."""
        return self.line_ohm * self.cell_F * rows * (rows + 1) / 2

    def row_elmore_s(self, columns: int) -> float:
        """[s]. Elmore delay along a summing row."""
        return self.row_ohm * self.cell_F * columns * (columns + 1) / 2


@final
@dataclass(frozen=True)
class WiredCrossbar:
    """What a crossbar does to the voltages of its lines, wires included; static linear maps.

    A pattern says which voltages stand on the lines per unit of one number; without patterns, one volt on each line in
    turn, and `driven_S` is symmetric: v^T driven v is the heat of devices and wires together.

    Attributes:
        effective_S: (row, pattern) [S]. Current into each virtual ground.
        driven_S: (line, pattern) [S]. Current out of each driver.
        device_S: (pattern, pattern) [S]. v^T device v is the heat of the devices alone.
        ground_S: (row, row) [S]. Current out of each virtual ground per volt on each of them, lines grounded.
    """

    effective_S: Array
    driven_S: Array
    device_S: Array
    ground_S: Array


def wired_crossbar(G_S: Array, wires: Wires, patterns: Array | None = None) -> WiredCrossbar:
    """Solve the 2 R L nodes of a crossbar once, for each pattern on the lines and each virtual ground in turn.

    Where a wire has no resistance its nodes are one with the driver or the virtual ground.

    Args:
        G_S: (row, line) [S]. Devices between each line and each summing row.
        wires: their wires; `tile` is not looked at.
        patterns: (line, pattern) [1]. Voltages on the lines; None: each line alone.

    Raises:
        InputError: if G is no matrix of finite conductances that are not negative.

    Source: Kirchhoff's current law at every node; docs/wires.md.
    """
    if G_S.ndim != 2 or G_S.size == 0 or not np.isfinite(G_S).all() or (G_S < 0).any():
        raise InputError(f"G must be (row, line), finite and not negative, got shape {G_S.shape}")
    rows, lines = G_S.shape
    patterns = np.eye(lines) if patterns is None else patterns
    n = patterns.shape[1]
    line_end, row_end, V = _potentials(G_S, wires, patterns)
    across_V = V[line_end] - V[row_end]  # (row x line, pattern and ground)
    through_A = (G_S.reshape(-1, 1) * across_V).reshape(rows, lines, n + rows)
    heat = across_V[:, :n].T @ through_A.reshape(rows * lines, -1)[:, :n]
    into_A = through_A.sum(1)
    return WiredCrossbar(into_A[:, :n], through_A.sum(0)[:, :n], heat, -into_A[:, n:])


def _potentials(G_S: Array, wires: Wires, patterns: Array) -> tuple[Index, Index, Array]:
    """The nodes at both ends of every device, and the potential [V] of every node (node, pattern and ground)."""
    rows, lines = G_S.shape
    cells = rows * lines
    cell = np.arange(cells).reshape(rows, lines)
    # Unknown nodes first (lines, rows), known ones (drivers, virtual grounds) after them.
    driver, ground = 2 * cells + np.arange(lines), 2 * cells + lines + np.arange(rows)
    size, known = 2 * cells + lines + rows, np.concatenate((driver, ground))
    on_line = cell if wires.line_ohm else np.broadcast_to(driver, (rows, lines))
    on_row = cells + cell if wires.row_ohm else np.broadcast_to(ground[:, None], (rows, lines))
    V = np.zeros((size, patterns.shape[1] + rows))
    V[driver, : patterns.shape[1]] = patterns
    V[ground, patterns.shape[1] :] = np.eye(rows)
    branches = [(on_line.ravel(), on_row.ravel(), G_S.ravel())]
    if wires.line_ohm:
        before = np.vstack((driver, on_line[:-1]))
        branches.append((before.ravel(), on_line.ravel(), np.full(cells, 1 / wires.line_ohm)))
    if wires.row_ohm:
        after = np.hstack((on_row[:, 1:], ground[:, None]))
        branches.append((on_row.ravel(), after.ravel(), np.full(cells, 1 / wires.row_ohm)))
    start, end, g = (np.concatenate(part) for part in zip(*branches, strict=True))
    stamps = coo_array(
        (np.concatenate((g, g, -g, -g)),
         (np.concatenate((start, end, start, end)), np.concatenate((start, end, end, start)))),
        shape=(size, size),
    ).tocsc()  # fmt: skip
    used = np.unique(np.concatenate((on_line.ravel(), on_row.ravel())))
    unknown = used[used < 2 * cells]
    if unknown.size:
        V[unknown] = splu(stamps[unknown][:, unknown].tocsc()).solve(-(stamps[unknown][:, known] @ V[known]))
    return on_line.ravel(), on_row.ravel(), V
