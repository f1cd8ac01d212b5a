"""Instantaneous power of a crossbar whose wires have resistance, term by term."""

from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.power import POWER_TERMS
from analogdeq.circuits.wired_pairs import WiredPairs

WIRED_TERMS = (*POWER_TERMS, "wires")


@final
class WiredPower:
    """Watts as `CrossbarPower`, from the reduced network: each current depends on the voltages of all lines.

        crossbar = V_u^2 x^T H x                       heat of the devices; x = (z, level, 1)
        wires    = V_u^2 x^T (A+ - A- - H) x           heat of the wires: what the drivers deliver beyond that
        drivers  = V_DD V_u sum |A+ x| + |A- x|        and the amplifiers' outputs

    What the input lines add does not change in a settle: `constant` computes it once.

    Source: Kirchhoff's laws for the network of docs/wires.md; class-B draw V_DD |i| from either rail, textbook.
    """

    def __init__(self, circuit: CrossbarCircuit, pairs: WiredPairs, n_inputs: int, like: Tensor) -> None:
        """Arrange the network's matrices; `like` sets dtype and device."""
        net = pairs.network
        self._lines = net.effective_S.shape[1]
        self._n = n = self._lines - n_inputs - 1
        total_S = net.plus_S - net.minus_S
        # Rows: what a line's voltage adds to every driver's current, and to both heats per volt on each state line.
        drivers = torch.cat((net.plus_S.T, net.minus_S.T), 1)
        self._of_state = torch.cat((drivers[:n], total_S[:n, :n], net.device_S[:n, :n]), 1).to(like)
        # A quadratic form has every mixed product twice.
        self._of_input = torch.cat((drivers[n:], 2 * total_S[n:, :n], 2 * net.device_S[n:, :n]), 1).to(like)
        self._inputs_total, self._inputs_device = total_S[n:, n:].to(like), net.device_S[n:, n:].to(like)
        self._v_unit, self._v_supply = circuit.unit_voltage_V, circuit.supply_V
        self._g_feedback, self._g_node = 1 / pairs.feedback_ohm, 1 / circuit.node_R_ohm
        self._g_leak = circuit.node_leak_S

    def constant(self, u: Tensor) -> Tensor:
        """(batch, any) [S]. What inputs u (batch, input) and the bias put on every driver and every state line."""
        return _with_bias(u) @ self._of_input

    def standing(self, u: Tensor) -> Tensor:
        """(batch, term) [W]. The heats of input and bias lines among themselves; no driver's current stands alone."""
        x, v = _with_bias(u), self._v_unit
        total, device = (v * v * (x * (x @ Q)).sum(1) for Q in (self._inputs_total, self._inputs_device))
        zero = torch.zeros_like(total)
        return torch.stack((device, zero, zero, zero, total - device), 1)

    def write(self, z: Tensor, p: Tensor, e: Tensor, standing_W: Tensor, constant_S: Tensor, out: Tensor) -> None:
        """Write (batch, term) watts into `out`; z, p, e are (batch, node)."""
        v, lines, n = self._v_unit, 2 * self._lines, self._n
        y = torch.addmm(constant_S, z, self._of_state)
        total, device = ((z * y[:, start : start + n]).sum(1) for start in (lines, lines + n))
        amplifiers = self._g_feedback * p.abs().sum(1) + self._g_node * e.abs().sum(1)
        out[:, 0] = v * v * device
        out[:, 1] = v * v * self._g_feedback * p.square().sum(1)
        out[:, 2] = v * v * (self._g_node * e.square().sum(1) + self._g_leak * z.square().sum(1))
        out[:, 3] = v * self._v_supply * (y[:, :lines].abs().sum(1) + amplifiers)
        out[:, 4] = v * v * (total - device)
        out.add_(standing_W)


def _with_bias(u: Tensor) -> Tensor:
    """(batch, input + 1): the constant lines; the bias stands at one unit."""
    return torch.cat((u, torch.ones_like(u[:, :1])), 1)
