"""Differential pairs behind wires: what a crossbar with IR drop computes, drives and burns."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from analogdeq.circuits.mapping import ConductancePairs
from analogdeq.circuits.pairs import DevicePairs
from analogdeq.circuits.wires import Array, Wires, wired_crossbar
from analogdeq.devices.preset import DevicePreset
from analogdeq.errors import InputError


@final
@dataclass(frozen=True)
class WireNetwork:
    """Devices and wires reduced to static maps of x, the voltages of the line pairs (+x on one line, -x on the other).

    Attributes:
        effective_S: (row, line) [S]. Current into each virtual ground; weight = R_f times this.
        plus_S: (line, line) [S]. Current out of the driver of each + line.
        minus_S: (line, line) [S]. Current out of the driver of each - line.
        device_S: (line, line) [S]. x^T device x is the heat of the devices, x^T (plus - minus) x that of all.
        ground_S: (row,) [S]. Conductance that each summing amplifier sees.
    """

    effective_S: Tensor
    plus_S: Tensor
    minus_S: Tensor
    device_S: Tensor
    ground_S: Tensor


@final
@dataclass(frozen=True)
class WiredPairs:
    """A crossbar's pairs together with its wires. Column 2j is the + line of pair j, column 2j + 1 its - line.

    Attributes:
        devices: the pairs alone.
        wires: between them.
        network: what both are together.
    """

    devices: ConductancePairs
    wires: Wires
    network: WireNetwork

    @property
    def plus_S(self) -> Tensor:
        """(row, line) [S]. Of the devices on the + lines."""
        return self.devices.plus_S

    @property
    def minus_S(self) -> Tensor:
        """(row, line) [S]. Of the devices on the - lines."""
        return self.devices.minus_S

    @property
    def feedback_ohm(self) -> float:
        """[ohm]. R_f of the transimpedance amplifiers."""
        return self.devices.feedback_ohm

    @property
    def delay_s(self) -> float:
        """[s]. Elmore delay of the way through the cell farthest from its driver and from its amplifier."""
        rows, lines = self.plus_S.shape
        tile = self.wires.tile or max(rows, 2 * lines)
        return self.wires.line_elmore_s(min(rows, tile)) + self.wires.row_elmore_s(min(2 * lines, tile // 2 * 2))

    @property
    def n_devices(self) -> int:
        """How many devices there are."""
        return self.devices.n_devices

    def programmed(self, device: DevicePreset, g_max_S: float, generator: torch.Generator) -> "WiredPairs":
        """Where the devices land, behind the same wires."""
        return _wired(self.devices.programmed(device, g_max_S, generator), self.wires)

    def individually(self, device: DevicePreset) -> "WiredPairs":
        """Every device is written out already."""
        return self

    def holding(self, plus_S: Tensor, minus_S: Tensor, feedback_ohm: float) -> "WiredPairs":
        """Other conductances behind the same wires."""
        return _wired(self.devices.holding(plus_S, minus_S, feedback_ohm), self.wires)

    def weights(self) -> Tensor:
        """(row, line) float64 [1]. What devices and wires compute."""
        return self.feedback_ohm * self.network.effective_S

    def row_sum_S(self) -> Tensor:
        """(row,) [S]. What each summing node sees; below the sum of the devices, which wires keep apart from it."""
        return self.network.ground_S

    def column_sum_S(self) -> Tensor:
        """(line,) [S]. What each line pair must drive while the others are grounded."""
        return (self.network.plus_S - self.network.minus_S).diagonal()

    def noise_gain(self) -> Tensor:
        """(row,) [1]. K_n = 1 + R_f G_tot."""
        return 1 + self.feedback_ohm * self.row_sum_S()


def with_wires(pairs: DevicePairs, wires: Wires) -> DevicePairs:
    """The pairs as their wires let them act; the pairs themselves where wires are ideal.

    Raises:
        InputError: for crossbars of convolutions, whose lines run through many of them.
    """
    if wires.are_ideal:
        return pairs
    if not isinstance(pairs, ConductancePairs):
        raise InputError(
            f"wires with resistance are known for the one crossbar of an RCCore, not for {type(pairs).__name__} of a "
            "convolution; set circuit.wires.line_ohm and row_ohm to 0"
        )
    return _wired(pairs, wires)


def _wired(pairs: ConductancePairs, wires: Wires) -> WiredPairs:
    """Each tile by itself; rows add up over the tiles beside each other, drivers feed those below each other."""
    rows, lines = pairs.plus_S.shape
    effective, ground = np.zeros((rows, lines)), np.zeros(rows)
    plus, minus, device = (np.zeros((lines, lines)) for _ in range(3))
    G_S = torch.stack((pairs.plus_S, pairs.minus_S), 2).double().cpu().numpy()  # (row, pair, sign)
    for across in _parts(lines, None if wires.tile is None else wires.tile // 2):
        n = across.stop - across.start
        pattern: Array = np.kron(np.eye(n), np.array([[1.0], [-1.0]])).astype(np.float64)
        for down in _parts(rows, wires.tile):
            tile = wired_crossbar(G_S[down, across].reshape(-1, 2 * n), wires, pattern)
            effective[down, across] = tile.effective_S
            ground[down] += tile.ground_S.diagonal()
            plus[across, across] += tile.driven_S[::2]
            minus[across, across] += tile.driven_S[1::2]
            device[across, across] += tile.device_S
    found = (torch.from_numpy(part) for part in (effective, plus, minus, device, ground))
    return WiredPairs(pairs, wires, WireNetwork(*found))


def _parts(length: int, largest: int | None) -> list[slice]:
    """The shares of `length` that tiles of `largest` take."""
    step = largest or length
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
