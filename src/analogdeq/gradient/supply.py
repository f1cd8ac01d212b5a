"""The power an RC crossbar draws from its supply, differentiable in the weights."""

from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit


@final
class SupplyPower:
    """Watts of a core placed on a circuit with exact devices, as functions of W, U and b, state and input.

        drivers = V_u V_DD (sum_j g_j |line_j| + sum_i |p_i| / R_f + sum_i |f_i - z_i| / R)

    g_j, the conductance that line j drives, and R_f follow from the weights: 1/R_f = (g_max - g_min) / max|w|. It is
    the "drivers" term of `Chip.ledger`; converters are ideal here, so inputs are not rounded.

    Args:
        circuit: component values.
        W: (node, node) [1].
        U: (node, input) [1].
        b: (node,) [1].
    """

    def __init__(self, circuit: CrossbarCircuit, W: Tensor, U: Tensor, b: Tensor) -> None:
        self._circuit = circuit
        weights = torch.cat((W, U, b.unsqueeze(1)), 1)
        scale_S = (circuit.g_max_S - circuit.g_min_S) / weights.abs().max()
        if circuit.mapping == "one-sided":
            pair_S = 2 * circuit.g_min_S + weights.abs() * scale_S
        else:
            pair_S = torch.full_like(weights, circuit.g_max_S + circuit.g_min_S)
        n, inputs = W.shape[0], U.shape[1]
        self._nodes_S, self._inputs_S, self._bias_S = pair_S.sum(0).split((n, inputs, 1))
        self._feedback_S = scale_S
        self._noise_gain = 1 + pair_S.sum(1) / scale_S

    def drivers_W(self, z: Tensor, p: Tensor, f: Tensor, u: Tensor) -> Tensor:
        """(batch,) [W]. From state, pre-activation, amplifier output phi(p) and input."""
        c = self._circuit
        lines = z.abs() @ self._nodes_S + u.abs() @ self._inputs_S + self._bias_S
        outputs = p.abs().sum(1) * self._feedback_S + (f - z).abs().sum(1) / c.node_R_ohm
        return c.unit_voltage_V * c.supply_V * (lines + outputs)

    def bias_W(self) -> Tensor:
        """() [W]. Quiescent power, as `Chip.bias_W`: affine in the noise gain of each row."""
        c, tau = self._circuit, self._circuit.tau_s
        at_one, at_two = (c.amplifier.quiescent_W(k, tau, c.supply_V) for k in (1.0, 2.0))
        n, inputs = self._nodes_S.shape[0], self._inputs_S.shape[0]
        summing = (at_one + (at_two - at_one) * (self._noise_gain - 1)).sum()
        return summing + (3 * n + 2 * (inputs + 1)) * at_two

    def conversions_J(self) -> float:
        """[J]. Of one inference."""
        c = self._circuit
        return self._inputs_S.shape[0] * c.dac.energy_J + self._nodes_S.shape[0] * c.adc.energy_J
