"""Instantaneous power of a crossbar whose devices are no resistors, term by term."""

from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.pairs import DevicePairs
from analogdeq.devices.conduction import CubicConduction


@final
class CubicPower:
    """Watts as `CrossbarPower`, with column currents I(V) = g V + s V^2 + c V^3 on every + and - line.

        crossbar = sum_j v_j I+_j(v_j) + (-v_j) I-_j(-v_j)
        drivers  = V_DD sum_j |I+_j(v_j)| + |I-_j(-v_j)|, and the amplifiers' outputs

    Source: Kirchhoff's current law; class-B draw V_DD |i| from either rail, textbook.
    """

    def __init__(
        self, circuit: CrossbarCircuit, pairs: DevicePairs, conduction: CubicConduction, n_inputs: int, like: Tensor
    ) -> None:
        """Sum the columns once; `like` sets dtype and device."""
        lines = []
        for G, sign in ((pairs.plus_S, 1.0), (pairs.minus_S, -1.0)):
            square, cube = conduction.coefficients(G)
            # In volts per unit: I = V_u (g x + s V_u x^2 + ...) with x = V / V_u, V = sign x on the - line.
            V = circuit.unit_voltage_V * sign
            lines.append(torch.stack([V * G.sum(0), V**2 * square.sum(0), V**3 * cube.sum(0)]).to(like))
        self._plus, self._minus = lines
        self._n_nodes = self._plus.shape[1] - n_inputs - 1
        self._v_unit, self._v_supply = circuit.unit_voltage_V, circuit.supply_V
        self._g_feedback, self._g_node = 1 / pairs.feedback_ohm, 1 / circuit.node_R_ohm
        self._g_leak = circuit.node_leak_S

    def standing(self, u: Tensor) -> Tensor:
        """(batch, term) [W]. Input and bias columns, for inputs u (batch, input)."""
        x = torch.cat((u, torch.ones_like(u[:, :1])), 1)
        heat, drawn = self._columns(x, slice(self._n_nodes, None))
        zero = torch.zeros_like(heat)
        return torch.stack((heat, zero, zero, drawn), 1)

    def write(self, z: Tensor, p: Tensor, e: Tensor, standing_W: Tensor, out: Tensor, scratch: Tensor) -> None:
        """Write (batch, term) watts into `out`; z, p, e are (batch, node)."""
        v = self._v_unit
        heat, drawn = self._columns(z, slice(0, self._n_nodes))
        out[:, 0] = heat
        out[:, 1] = v * v * self._g_feedback * p.square().sum(1)
        out[:, 2] = v * v * (self._g_node * e.square().sum(1) + self._g_leak * z.square().sum(1))
        amplifiers = self._g_feedback * p.abs().sum(1) + self._g_node * e.abs().sum(1)
        out[:, 3] = drawn + v * self._v_supply * amplifiers
        out.add_(standing_W)

    def _columns(self, x: Tensor, which: slice) -> tuple[Tensor, Tensor]:
        """(batch,) heat of some columns and (batch,) what their drivers draw [W]."""
        plus_A, minus_A = (x * (c[0] + x * (c[1] + x * c[2])) for c in (self._plus[:, which], self._minus[:, which]))
        heat = self._v_unit * (x * (plus_A - minus_A)).sum(1)
        return heat, self._v_supply * (plus_A.abs() + minus_A.abs()).sum(1)
