"""Instantaneous power of an RC crossbar at level 0, term by term."""

from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.pairs import DevicePairs

POWER_TERMS = ("crossbar", "feedback", "node", "drivers")


@final
class CrossbarPower:
    """Watts of a crossbar as a function of node, pre-activation and motion, all in units of the unit voltage V_u.

    With v = V_u z, t = -V_u p, e = (f - v)/V_u and the column sums g_j = sum_i G+_ij + G-_ij:

        crossbar = sum_j g_j v_j^2                heat of the devices, summing nodes at virtual ground
        feedback = sum_i t_i^2 / R_f              heat of the transimpedance resistors
        node     = sum_i (f_i - v_i)^2 / R + G_L v_i^2
        drivers  = V_DD sum |i_out|               drawn from the supply by class-B line drivers and amplifier outputs:
                   |i_out| = g_j |v_j| per line pair, |t_i| / R_f, |f_i - v_i| / R

    The input and bias columns add a part that the state does not change (`standing`).

    Source: Ohm's law for the circuit of docs/equations.md; class-B draw V_DD |i| from either rail, textbook.
    """

    def __init__(self, circuit: CrossbarCircuit, pairs: DevicePairs, n_inputs: int, like: Tensor) -> None:
        """Sum the columns once; `like` sets dtype and device."""
        column = pairs.column_sum_S().to(torch.float64)
        n_nodes = column.numel() - n_inputs - 1
        # Each factor holds all that turns a sum over nodes into watts.
        self._v_unit, self._v_supply = v, dd = circuit.unit_voltage_V, circuit.supply_V
        g_feedback, g_node = 1 / pairs.feedback_ohm, 1 / circuit.node_R_ohm
        each = torch.ones(n_nodes, dtype=column.dtype, device=column.device)
        self._g_input, self._g_bias = column[n_nodes : n_nodes + n_inputs].to(like), float(column[-1])
        drawn = (column[:n_nodes], g_feedback * each, g_node * each)
        self._line_W, self._amplifier_W, self._node_W = ((v * dd * part).to(like) for part in drawn)
        self._g_state = column[:n_nodes].to(like)
        self._leak = (circuit.node_leak_S / g_node * each).to(like) if circuit.node_leak_S else None
        self._scale = like.new_tensor([v * v, v * v * g_feedback, v * v * g_node, 1.0])

    def standing(self, u: Tensor) -> Tensor:
        """(batch, term) [W]. Input and bias columns, for inputs u (batch, input)."""
        v, dd = self._v_unit, self._v_supply
        crossbar = v * v * (torch.mv(u * u, self._g_input) + self._g_bias)
        drivers = v * dd * (torch.mv(u.abs(), self._g_input) + self._g_bias)
        zero = torch.zeros_like(crossbar)
        return torch.stack((crossbar, zero, zero, drivers), 1)

    def per_node(self) -> Tensor:
        """(7, node) [W]. What z^2, z^2, |z|, p^2, |p|, e^2 and |e| of each node draw.

        In turn crossbar, node, drivers, feedback, drivers, node, drivers.
        """
        volts_squared, feedback, node, _ = self._scale
        each = torch.ones_like(self._g_state)
        leak = torch.zeros_like(each) if self._leak is None else self._leak
        return torch.stack(
            (
                volts_squared * self._g_state,
                node * leak,
                self._line_W,
                feedback * each,
                self._amplifier_W,
                node * each,
                self._node_W,
            )
        )

    def write(self, z: Tensor, p: Tensor, e: Tensor, standing_W: Tensor, out: Tensor, scratch: Tensor) -> None:
        """Write (batch, term) watts into `out`; z, p, e, scratch are (batch, node).

        Matrix-vector products over one scratch buffer, and columns put together once: on a processor this costs a
        third of the plain expressions, and small networks pay for every operation.
        """
        torch.abs(z, out=scratch)
        drawn_W = torch.mv(scratch, self._line_W)
        scratch.mul_(scratch)
        crossbar, leak = torch.mv(scratch, self._g_state), self._leak
        node = torch.linalg.vector_norm(e, dim=1).square_()
        if leak is not None:
            node.add_(torch.mv(scratch, leak))
        feedback = torch.linalg.vector_norm(p, dim=1).square_()
        drawn_W.add_(torch.mv(torch.abs(p, out=scratch), self._amplifier_W))
        drawn_W.add_(torch.mv(torch.abs(e, out=scratch), self._node_W))
        torch.addcmul(standing_W, torch.stack((crossbar, feedback, node, drawn_W), 1), self._scale, out=out)
