"""Instantaneous power of an RC crossbar at level 1: summing nodes off ground, lines with a capacitance."""

from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.pairs import DevicePairs


@final
class AmplifiedPower:
    """Watts of a crossbar from its voltages, with the same four terms as `CrossbarPower`.

        crossbar = sum_ij G+_ij (V_j - s_i)^2 + G-_ij (V_j + s_i)^2
        feedback = sum_i (t_i - s_i)^2 / R_f
        node     = sum_i (f_i - v_i)^2 / R + G_L v_i^2
        drivers  = V_DD sum |i_out|                drawn from the supply by class-B line drivers and amplifier outputs:
                   |sum_i G+_ij (V_j - s_i) + C_l dV_j/dt| and |sum_i G-_ij (V_j + s_i) + C_l dV_j/dt| per line pair,
                   |t_i - s_i| / R_f, |f_i - v_i| / R

    with lines at +V_j and -V_j, summing nodes at s_i and amplifier outputs at t_i.

    Args:
        circuit: component values.
        pairs: the devices of one crossbar.
        line_C_F: [F]. Of each line.
        like: sets dtype and device.

    Source: Ohm's law for the circuit of docs/amplifiers.md; class-B draw V_DD |i| from either rail, textbook.
    """

    def __init__(self, circuit: CrossbarCircuit, pairs: DevicePairs, line_C_F: float, like: Tensor) -> None:
        self._plus, self._minus = pairs.plus_S.to(like), pairs.minus_S.to(like)
        self._columns = tuple(G.sum(0) for G in (self._plus, self._minus))
        self._row = pairs.row_sum_S().to(like)
        self._line_C_F, self._v_supply = line_C_F, circuit.supply_V
        self._g_feedback, self._g_node = 1 / pairs.feedback_ohm, 1 / circuit.node_R_ohm
        self._g_leak = circuit.node_leak_S

    def watts(
        self, line_V: Tensor, slope_V_per_s: Tensor, s_V: Tensor, t_V: Tensor, f_V: Tensor, v_V: Tensor
    ) -> Tensor:
        """(batch, term) [W].

        Args:
            line_V: (batch, line) [V]. All + lines: nodes, inputs, bias.
            slope_V_per_s: (batch, node) [V/s]. dV/dt of the nodes' lines; the others stand.
            s_V: (batch, node) [V]. Summing nodes.
            t_V: (batch, node) [V]. Outputs of the summing amplifiers.
            f_V: (batch, node) [V]. Outputs of the activation amplifiers.
            v_V: (batch, node) [V]. Nodes.
        """
        back_plus, back_minus = s_V @ self._plus, s_V @ self._minus
        squares = line_V.square()
        lines_W = squares @ self._columns[0] + squares @ self._columns[1]
        crossbar = lines_W - 2 * (line_V * (back_plus - back_minus)).sum(1) + s_V.square() @ self._row
        across_V, charging_V = t_V - s_V, f_V - v_V
        feedback = self._g_feedback * across_V.square().sum(1)
        node = self._g_node * charging_V.square().sum(1) + self._g_leak * v_V.square().sum(1)
        into_C_A = torch.zeros_like(line_V)
        into_C_A[:, : slope_V_per_s.shape[1]] = self._line_C_F * slope_V_per_s
        current_A = (self._columns[0] * line_V - back_plus + into_C_A).abs().sum(1)
        current_A += (self._columns[1] * line_V + back_minus + into_C_A).abs().sum(1)
        current_A += self._g_feedback * across_V.abs().sum(1) + self._g_node * charging_V.abs().sum(1)
        return torch.stack((crossbar, feedback, node, self._v_supply * current_A), 1)
