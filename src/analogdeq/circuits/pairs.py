"""What a chip asks of its devices, however many crossbars they are in."""

from typing import Protocol

import torch
from torch import Tensor

from analogdeq.devices.preset import DevicePreset


class DevicePairs(Protocol):
    """Differential pairs of devices between lines and summing nodes.

    A *line* carries a voltage: one per node, then one per input, then the bias. Every line is a pair, + and -.
    """

    @property
    def plus_S(self) -> Tensor:
        """[S]. Conductances on the + lines."""
        ...

    @property
    def minus_S(self) -> Tensor:
        """[S]. Conductances on the - lines, of the same shape."""
        ...

    @property
    def feedback_ohm(self) -> float:
        """[ohm]. R_f of the transimpedance amplifiers; weight = R_f (G+ - G-)."""
        ...

    @property
    def delay_s(self) -> float:
        """[s]. Of the wires, from a driver to an amplifier; 0 where they are ideal."""
        ...

    @property
    def n_devices(self) -> int:
        """How many devices there are."""
        ...

    def programmed(self, device: DevicePreset, g_max_S: float, generator: torch.Generator) -> "DevicePairs":
        """Where the devices land that are asked for these conductances; one draw each."""
        ...

    def individually(self, device: DevicePreset) -> "DevicePairs":
        """The same conductances with every device written out, unless the devices of this preset are all exact."""
        ...

    def holding(self, plus_S: Tensor, minus_S: Tensor, feedback_ohm: float) -> "DevicePairs":
        """The same wiring with other conductances, in the shape of `plus_S`, and another feedback resistor."""
        ...

    def weights(self) -> Tensor:
        """[1]. What the devices compute, in the shape of `plus_S`."""
        ...

    def row_sum_S(self) -> Tensor:
        """(node,) [S]. All conductance at each summing node."""
        ...

    def column_sum_S(self) -> Tensor:
        """(line,) [S]. All conductance each line pair must drive."""
        ...

    def noise_gain(self) -> Tensor:
        """(node,) [1]. K_n = 1 + R_f G_tot."""
        ...
