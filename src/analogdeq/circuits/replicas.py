"""The devices of a convolution: the same small crossbar at every output position, each with devices of its own."""

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.tiling import Tiling
from analogdeq.devices.preset import DevicePreset


@final
@dataclass(frozen=True)
class ReplicatedPairs:
    """Differential pairs of `tiling.n_crossbars` crossbars that share one value of the feedback resistor.

    While all crossbars hold the same conductances, as asked for or in exact devices, they are written once. Columns
    that `tiling` does not build have no devices; what stands in their place in `plus_S` and `minus_S` counts nowhere.

    Attributes:
        plus_S: (row, column) where all crossbars are equal, else (crossbar, row, column); float64 [S].
        minus_S: likewise.
        feedback_ohm: [ohm]. R_f of every transimpedance amplifier; weight = R_f (G+ - G-).
        tiling: what the crossbars are wired to.
    """

    plus_S: Tensor
    minus_S: Tensor
    feedback_ohm: float
    tiling: Tiling

    @property
    def delay_s(self) -> float:
        """[s]. None: these wires are ideal."""
        return 0.0

    @property
    def n_devices(self) -> int:
        """How many devices there are: two per row and built column of every crossbar."""
        return 2 * self.tiling.n_rows * int(self.tiling.built().sum())

    def programmed(self, device: DevicePreset, g_max_S: float, generator: torch.Generator) -> "ReplicatedPairs":
        """Where the devices land that are asked for these conductances; each crossbar has draws of its own.

        Exact devices leave equal crossbars equal, so there is nothing to write out.
        """
        each = self.individually(device)
        feedback_ohm = self.feedback_ohm
        plus_S = device.program(each.plus_S, g_max_S, generator, partner_S=each.minus_S, feedback_ohm=feedback_ohm)
        minus_S = device.program(each.minus_S, g_max_S, generator, partner_S=each.plus_S, feedback_ohm=feedback_ohm)
        return replace(self, plus_S=plus_S, minus_S=minus_S)

    def individually(self, device: DevicePreset) -> "ReplicatedPairs":
        """A copy per crossbar, unless the devices of this preset are all exact."""
        if device.is_exact or self.plus_S.ndim == 3:
            return self
        n = self.tiling.n_crossbars
        return replace(self, plus_S=self.plus_S.expand(n, -1, -1), minus_S=self.minus_S.expand(n, -1, -1))

    def holding(self, plus_S: Tensor, minus_S: Tensor, feedback_ohm: float) -> "ReplicatedPairs":
        """The same wiring with other conductances and another feedback resistor."""
        return replace(self, plus_S=plus_S, minus_S=minus_S, feedback_ohm=feedback_ohm)

    def weights(self) -> Tensor:
        """(row, column) or (crossbar, row, column) float64 [1]. What the devices compute."""
        return self.feedback_ohm * (self.plus_S - self.minus_S)

    def row_sum_S(self) -> Tensor:
        """(node,) [S]. All conductance at each summing node, channel by channel."""
        total, built = self.plus_S + self.minus_S, self.tiling.built()
        by_row = total @ built.T if total.ndim == 2 else torch.einsum("prc,pc->rp", total, built)
        return by_row.flatten()

    def column_sum_S(self) -> Tensor:
        """(line,) [S]. All conductance each line pair must drive, in every crossbar that reads it."""
        in_column = self.plus_S.sum(-2) + self.minus_S.sum(-2)
        return self.tiling.sum_by_line(in_column * self.tiling.built())

    def noise_gain(self) -> Tensor:
        """(node,) [1]. K_n = 1 + R_f G_tot."""
        return 1 + self.feedback_ohm * self.row_sum_S()
