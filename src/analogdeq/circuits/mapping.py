"""Weights to differential conductance pairs, and back."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.devices.preset import DevicePreset
from analogdeq.errors import InputError


@final
@dataclass(frozen=True)
class ConductancePairs:
    """The devices of a crossbar: one pair per weight, on a +line and a -line, read into a virtual ground.

    Attributes:
        plus_S: (row, column) float64 [S].
        minus_S: (row, column) float64 [S].
        feedback_ohm: [ohm]. R_f of the transimpedance amplifiers; weight = R_f (G+ - G-).
    """

    plus_S: Tensor
    minus_S: Tensor
    feedback_ohm: float

    @property
    def delay_s(self) -> float:
        """[s]. None: these wires are ideal."""
        return 0.0

    @property
    def n_devices(self) -> int:
        """How many devices there are, two per weight."""
        return self.plus_S.numel() + self.minus_S.numel()

    def programmed(self, device: DevicePreset, g_max_S: float, generator: torch.Generator) -> "ConductancePairs":
        """Where the devices land that are asked for these conductances; one draw each."""
        plus_S = device.program(self.plus_S, g_max_S, generator, partner_S=self.minus_S, feedback_ohm=self.feedback_ohm)
        minus_S = device.program(
            self.minus_S, g_max_S, generator, partner_S=self.plus_S, feedback_ohm=self.feedback_ohm
        )
        return ConductancePairs(plus_S, minus_S, self.feedback_ohm)

    def individually(self, device: DevicePreset) -> "ConductancePairs":
        """Every device is written out already."""
        return self

    def holding(self, plus_S: Tensor, minus_S: Tensor, feedback_ohm: float) -> "ConductancePairs":
        """The same wiring with other conductances (row, column) and another feedback resistor."""
        return ConductancePairs(plus_S, minus_S, feedback_ohm)

    def weights(self) -> Tensor:
        """(row, column) float64 [1]. What the devices compute."""
        return self.feedback_ohm * (self.plus_S - self.minus_S)

    def row_sum_S(self) -> Tensor:
        """(row,) [S]. All conductance at each summing node; sets the noise gain 1 + R_f G_tot."""
        return (self.plus_S + self.minus_S).sum(1)

    def column_sum_S(self) -> Tensor:
        """(column,) [S]. All conductance each line pair must drive."""
        return (self.plus_S + self.minus_S).sum(0)

    def noise_gain(self) -> Tensor:
        """(row,) [1]. K_n = 1 + R_f G_tot."""
        return 1 + self.feedback_ohm * self.row_sum_S()


def map_weights(weights: Tensor, circuit: CrossbarCircuit) -> ConductancePairs:
    """Choose the target conductances that realise `weights` (row, column), and the feedback resistor.

    Any number of dimensions may come before: crossbars whose rows share one value of the feedback resistor.

    one-sided:  G+ = g_min + max(w, 0)/R_f,   G- = g_min + max(-w, 0)/R_f,   1/R_f = (g_max - g_min)/max|w|
    balanced:   G+- = (g_max + g_min)/2 +- w/(2 R_f),                        same R_f

    Raises:
        InputError: if every weight is zero, so that no R_f is defined, or one is not finite.
    """
    w = weights.detach().to(torch.float64)
    largest = float(w.abs().max()) if w.numel() else 0.0
    if not (0 < largest < float("inf")):
        raise InputError(
            f"the largest |weight| is {largest:g}; a feedback resistor exists only for finite, non-zero weights"
        )
    scale_S = (circuit.g_max_S - circuit.g_min_S) / largest
    if circuit.mapping == "one-sided":
        plus = circuit.g_min_S + w.clamp_min(0) * scale_S
        minus = circuit.g_min_S + (-w).clamp_min(0) * scale_S
    else:
        middle = (circuit.g_max_S + circuit.g_min_S) / 2
        plus, minus = middle + w * (scale_S / 2), middle - w * (scale_S / 2)
    return ConductancePairs(plus, minus, 1 / scale_S)
