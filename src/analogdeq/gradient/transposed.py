"""The adjoint network: a crossbar read transposed, with its nodes held at the slope of an equilibrium."""

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.ledger import Ledger
from analogdeq.circuits.mapping import ConductancePairs
from analogdeq.circuits.power import POWER_TERMS, CrossbarPower
from analogdeq.cores.core import Drive


@final
@dataclass(frozen=True)
class AdjointDrive(Drive):
    """What stays constant while an adjoint network settles.

    Attributes:
        slope: (batch, node) [1]. S = a phi'(p) at each sample's equilibrium.
    """

    slope: Tensor

    def rows(self, index: Tensor) -> "AdjointDrive":
        """The drive of some samples."""
        return AdjointDrive(self.current[index], self.standing_power_W[index], self.slope[index])


@final
@dataclass(frozen=True)
class TransposedLinearisation:
    """The Jacobian W^T S of v -> W^T S v + g."""

    slope: Tensor
    W: Tensor

    def matvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): W^T S v."""
        return (self.slope * v) @ self.W

    def rmatvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): S W v."""
        return self.slope * (v @ self.W.T)

    def dense(self) -> Tensor:
        """(batch, node, node)."""
        return self.W.T * self.slope.unsqueeze(1)


@final
class TransposedCore:
    """tau_i dv_i/dt = -v_i + (W^T S v)_i + g_i, linear, with the spectrum of the forward network at its rest.

    Its input is g and S side by side, (batch, 2 node). The lines carry S v: each line driver multiplies by the slope
    its amplifier was left at. With a circuit the joules are those of a crossbar driven from the other side: the
    conductance a line sees is the sum over a row of W's devices, and g enters through one resistor R_f per node.

    Args:
        W: (node, node) [1]. The feedback weights, not transposed.
        rate: (node,) [1]. `tau_s` over each node's time constant, or None.
        tau_s: [s].
        gap: 1 - Lipschitz constant of the adjoint map, or 0 if that is not known.
        circuit: component values; None for a network without joules.
        pairs: (node, node). The devices of W as programmed, not transposed; needed with a circuit.
    """

    full_scale: float = 1.0

    def __init__(
        self,
        W: Tensor,
        *,
        rate: Tensor | None,
        tau_s: float,
        gap: float,
        circuit: CrossbarCircuit | None = None,
        pairs: ConductancePairs | None = None,
    ) -> None:
        self._W, self._rate, self._tau_s, self._gap, self.circuit = W, rate, tau_s, gap, circuit
        self.power_terms: tuple[str, ...] = () if circuit is None else POWER_TERMS
        self.work_buffers = 0 if circuit is None else 2
        if circuit is not None and pairs is not None:
            self._pairs = _read_transposed(pairs)
            self._power = CrossbarPower(circuit, self._pairs, self.n_nodes, like=W)

    @property
    def n_nodes(self) -> int:
        """How many states there are."""
        return self._W.shape[0]

    @property
    def n_inputs(self) -> int:
        """G and S, one of each per node."""
        return 2 * self._W.shape[0]

    @property
    def tau_s(self) -> float:
        """The unit of time [s]."""
        return self._tau_s

    @property
    def rate(self) -> Tensor | None:
        """(node,) [1]. `tau_s` over each node's time constant; None where all are equal."""
        return self._rate

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the state."""
        return self._W.dtype

    @property
    def device(self) -> torch.device:
        """Where the state lives."""
        return self._W.device

    def drive(self, u: Tensor) -> AdjointDrive:
        """G and S from (batch, 2 node)."""
        g, slope = u.split(self.n_nodes, 1)
        standing = u.new_zeros(u.shape[0], 0) if self.circuit is None else self._power.standing(g / self.circuit.gain)
        return AdjointDrive(g.contiguous(), standing, slope.contiguous())

    def initial_state(self, drive: Drive) -> Tensor:
        """Discharged capacitors."""
        return torch.zeros_like(drive.current)

    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dv/ds (batch, node) and the power of each term (batch, term) [W]."""
        line = slope_of(drive) * z
        torch.addmm(drive.current, line, self._W, out=dz)
        if self.circuit is not None:
            self._write_power(z, line, dz, drive.standing_power_W, power_W, work)
        dz.sub_(z)
        if self.rate is not None:
            dz.mul_(self.rate)

    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, node): W^T S v + g."""
        return torch.addmm(drive.current, slope_of(drive) * z, self._W)

    def linearise(self, z: Tensor, drive: Drive) -> TransposedLinearisation:
        """W^T S, the same at every v."""
        return TransposedLinearisation(slope_of(drive), self._W)

    def contraction_gap(self) -> float:
        """1 - ||W^T S||_2 for any slope of the activation, or 0."""
        return self._gap

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return bool(torch.isfinite(self._W).all())

    def _write_power(
        self, v: Tensor, line: Tensor, image: Tensor, standing_W: Tensor, power_W: Tensor, work: Tensor
    ) -> None:
        """The watts of a crossbar with these line voltages; a leaky node passes on part a of its amplifier's swing."""
        circuit = self.circuit
        if circuit is None:
            return
        a = circuit.gain
        p = torch.div(image, a, out=work[0])
        line = line / a
        self._power.write(line, p, p - v, standing_W, power_W, work[1])
        if circuit.node_leak_S:  # the leak sees v, not what the line carries
            surplus = v.square().sum(1) - line.square().sum(1)
            power_W[:, 2] += circuit.unit_voltage_V**2 * circuit.node_leak_S * surplus

    def bias_W(self) -> float:
        """[W]. Quiescent power: a summing amplifier, a node stage and two line drivers per node, and a driver per g."""
        circuit = self.circuit
        if circuit is None:
            return 0.0
        amplifier, tau, supply = circuit.amplifier, circuit.tau_s, circuit.supply_V
        summing = sum(amplifier.quiescent_W(k, tau, supply) for k in self._pairs.noise_gain().tolist())
        return summing + 4 * self.n_nodes * amplifier.quiescent_W(2.0, tau, supply)

    def ledger(self, energy_J: Tensor, rest_power_W: Tensor, t_s: Tensor, z_start: Tensor, z_end: Tensor) -> Ledger:
        """Close the books of a settle that is read out at `t_s`; g is converted in, v out, one conversion per node."""
        circuit = self.circuit
        if circuit is None:
            nothing = torch.zeros_like(t_s)
            return Ledger(
                crossbar_J=nothing, feedback_J=nothing, node_J=nothing, stored_J=nothing, drivers_J=nothing,
                bias_J=nothing, dac_J=nothing, adc_J=nothing,
            )  # fmt: skip
        hold_s = circuit.adc.conversion_s
        terms = energy_J + rest_power_W.to(torch.float64) * hold_s
        unit_J = 0.5 * circuit.node_C_F * circuit.unit_voltage_V**2
        ones = torch.ones_like(t_s)
        return Ledger(
            crossbar_J=terms[:, 0],
            feedback_J=terms[:, 1],
            node_J=terms[:, 2],
            stored_J=unit_J * (z_end.double().square().sum(1) - z_start.double().square().sum(1)),
            drivers_J=terms[:, 3],
            bias_J=self.bias_W() * (t_s + hold_s),
            dac_J=ones * (self.n_nodes * circuit.dac.energy_J),
            adc_J=ones * (self.n_nodes * circuit.adc.energy_J),
        )


def slope_of(drive: Drive) -> Tensor:
    """(batch, node): S of an adjoint network's drive."""
    if not isinstance(drive, AdjointDrive):
        raise TypeError(f"an adjoint network needs an AdjointDrive, not a {type(drive).__name__}")
    return drive.slope


def _read_transposed(pairs: ConductancePairs) -> ConductancePairs:
    """(node, 2 node + 1): the devices from the other side, a resistor R_f per node for g, and no bias line."""
    n = pairs.plus_S.shape[0]
    resistors = torch.eye(n, dtype=torch.float64) / pairs.feedback_ohm
    nothing = torch.zeros(n, 1, dtype=torch.float64)
    plus = torch.cat((pairs.plus_S.T, resistors, nothing), 1)
    minus = torch.cat((pairs.minus_S.T, torch.zeros_like(resistors), nothing), 1)
    return replace(pairs, plus_S=plus, minus_S=minus)
