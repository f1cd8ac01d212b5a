"""Level 1 written down once more: volts, amperes and seconds over explicit device matrices, integrated by scipy.

Shares no code with the package; takes component values only. One sample.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import root

from analogdeq.amplified_chip import AmplifiedChip
from helpers import PHI, Array, last_exit


@dataclass
class Amplified:
    """Node v, summing node s, amplifier stage t, line d: Kirchhoff's current law and one-pole amplifiers."""

    chip: AmplifiedChip
    u: Array
    gbw_Hz: float
    slew_V_per_s: float
    swing_V: float
    offset_V: Array
    duration_s: float

    def __post_init__(self) -> None:
        inner = self.chip.chip
        self.c, self.plus, self.minus = inner.circuit, inner.pairs.plus_S.numpy(), inner.pairs.minus_S.numpy()
        self.R_f, self.n, self.w_u = inner.pairs.feedback_ohm, inner.n_nodes, 2 * np.pi * self.gbw_Hz
        self.phi = PHI[inner.core.activation.name]
        opamp = self.chip.opamp
        # A unity-gain inverter has noise gain 2; its line hangs on R_out.
        self.line_C = opamp.cell_C_F * self.n
        self.line_tau = 2 / self.w_u + opamp.driver_R_ohm * self.line_C

    def lines(self, d: Array) -> Array:
        unit = self.c.unit_voltage_V
        return np.concatenate((d, unit * self.u, [unit]))

    def split(self, y: Array) -> tuple[Array, Array, Array, Array, Array]:
        v, s, t, *line = y.reshape(-1, self.n)
        return v, s, t, np.clip(t, -self.swing_V, self.swing_V), line[0] if line else v

    def derivative(self, y: Array) -> Array:
        c, unit = self.c, self.c.unit_voltage_V
        v, s, t, out, d = self.split(y)
        x = self.lines(d)
        f = unit * self.phi(-out / unit)
        dv = ((f - v) / c.node_R_ohm - c.node_leak_S * v) / c.node_C_F
        into = (self.plus * (x - s[:, None])).sum(1) + (self.minus * (-x - s[:, None])).sum(1) + (out - s) / self.R_f
        dt = -self.w_u * (s + self.offset_V) - self.w_u / self.chip.opamp.dc_gain * out - self.w_u * (t - out)
        parts = [dv, into / self.chip.opamp.summing_C_F, np.clip(dt, -self.slew_V_per_s, self.slew_V_per_s)]
        if self.chip.opamp.has_line_poles:
            parts.append(np.clip((v - d) / self.line_tau, -self.slew_V_per_s, self.slew_V_per_s))
        return np.concatenate(parts)

    def powers(self, y: Array) -> Array:
        """Heat of devices, feedback, nodes; supply draw; power of all ideal sources. Element by element [W]."""
        c, unit = self.c, self.c.unit_voltage_V
        v, s, _, out, d = self.split(y)
        x = self.lines(d)
        f = unit * self.phi(-out / unit)
        on_plus, on_minus = self.plus * (x - s[:, None]), self.minus * (-x - s[:, None])
        crossbar = (on_plus * (x - s[:, None])).sum() + (on_minus * (-x - s[:, None])).sum()
        charging = np.zeros_like(x)
        if self.chip.opamp.has_line_poles:
            charging[: self.n] = self.line_C * self.derivative(y)[3 * self.n :]
        plus, minus = on_plus.sum(0) + charging, on_minus.sum(0) - charging
        feedback, activation = (out - s) / self.R_f, (f - v) / c.node_R_ohm
        node = (activation**2).sum() * c.node_R_ohm + c.node_leak_S * (v**2).sum()
        drawn = c.supply_V * sum(np.abs(i).sum() for i in (plus, minus, feedback, activation))
        sources = (x * plus).sum() + (-x * minus).sum() + (out * feedback).sum() + (f * activation).sum()
        return np.array([crossbar, (feedback**2).sum() * self.R_f, node, drawn, sources])

    def stored(self, y: Array) -> float:
        """Energy of nodes, summing nodes and lines [J]."""
        v, s, _, _, d = self.split(y)
        lines = self.line_C * (d**2).sum() if self.chip.opamp.has_line_poles else 0.0
        return float(0.5 * self.c.node_C_F * (v**2).sum() + 0.5 * self.chip.opamp.summing_C_F * (s**2).sum() + lines)

    @cached_property
    def solution(self) -> Callable[[Any], Array]:
        states = (4 if self.chip.opamp.has_line_poles else 3) * self.n
        start, unit = np.zeros(states + 5), self.c.unit_voltage_V
        scale_J = self.powers(np.full(states, unit)).max() * self.duration_s
        atol = np.concatenate((np.full(states, 1e-10 * unit), np.full(5, 1e-10 * scale_J)))

        def flow(_t: float, y: Array) -> Array:
            return np.concatenate((self.derivative(y[:states]), self.powers(y[:states])))

        answer = solve_ivp(flow, (0, self.duration_s), start, method="Radau", rtol=1e-8, atol=atol, dense_output=True)
        assert answer.success
        dense: Callable[[Any], Array] = answer.sol
        return dense

    @cached_property
    def states(self) -> int:
        return self.solution(0.0).size - 5

    def z(self, t_s: Any) -> Array:
        """(node, time): nodes over the unit voltage."""
        return self.solution(t_s)[: self.n] / self.c.unit_voltage_V

    @cached_property
    def rest(self) -> Array:
        """(state,) [V]. Where everything stands still."""
        end = self.solution(self.duration_s)[: self.states]
        tau = self.c.node_R_ohm * self.c.node_C_F
        found = root(lambda y: self.derivative(y) * tau / self.c.unit_voltage_V, end, tol=1e-13)
        assert np.abs(found.x - end).max() < 1e-4 * self.c.unit_voltage_V, "integrate longer"
        answer: Array = found.x
        return answer

    def settle_s(self, band: float) -> float:
        """When the nodes, and only they, are last outside the band."""
        return last_exit(self.z, self.rest[: self.n] / self.c.unit_voltage_V, band, self.duration_s)

    def jacobian(self, y: Array) -> Array:
        """(state, state) [1/s]. By central differences."""
        columns = []
        for k in range(y.size):
            h = np.zeros(y.size)
            h[k] = 1e-6 * self.c.unit_voltage_V
            columns.append((self.derivative(y + h) - self.derivative(y - h)) / (2 * h[k]))
        return np.stack(columns, 1)
