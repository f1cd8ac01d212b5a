"""A chip with the amplifiers it is made of: circuit level 1."""

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.circuits.amplified_power import AmplifiedPower
from analogdeq.circuits.ledger import Ledger
from analogdeq.circuits.opamp import DRIVER_NOISE_GAIN, OpAmp
from analogdeq.circuits.power import POWER_TERMS
from analogdeq.cores.amplified import AmplifiedCore, Signals, Stages
from analogdeq.cores.amplified_jacobian import AmplifiedLinearisation
from analogdeq.cores.around import AroundCore
from analogdeq.cores.core import Drive
from analogdeq.cores.rc import RCCore
from analogdeq.devices.streams import Streams
from analogdeq.errors import InputError


@final
@dataclass(frozen=True)
class LevelDrive(Drive):
    """A drive that also knows the voltages of the input lines, which heat devices whose summing node moves.

    Attributes:
        level: (batch, input) [1]. Inputs after the DAC.
    """

    level: Tensor

    def rows(self, index: Tensor) -> "LevelDrive":
        """The drive of some samples."""
        return LevelDrive(self.current[index], self.standing_power_W[index], self.level[index])


@final
class AmplifiedChip(AroundCore[AmplifiedCore]):
    """The same chip, seen with its amplifiers: finite bandwidth, gain, slew rate, swing and offset. It is a core too.

    Level 0 is `chip` itself. The state holds the nodes first, then the amplifiers (`AmplifiedCore`); `read` gives what
    the converters see, which is the nodes. Inputs and the bias line stand when a settle begins.

    The chip inside may be programmed, aged and read: what is computed here is of its devices and amplifiers then.

    Args:
        chip: a crossbar of resistors with a dense core.
        opamp: its amplifiers.

    Raises:
        InputError: for devices that are no resistors, wires that are not ideal, or another kind of core.
    """

    power_terms: tuple[str, ...] = POWER_TERMS
    supply_terms: tuple[str, ...] = ("drivers",)
    work_buffers: int = 0

    def __init__(self, chip: Chip, opamp: OpAmp | None = None) -> None:
        self.chip, self.opamp = chip, opamp or OpAmp()
        if chip.device_preset.conduction is not None:
            raise InputError(
                f"device {chip.device_preset.name!r} is no resistor; amplifiers (level 1) are known for resistors only"
            )
        if not chip.circuit.wires.are_ideal:
            raise InputError("wires with resistance are known for ideal amplifiers (level 0); set 0 ohm, or level 0")
        self._seen: RCCore | None = None
        self._realise()

    def _realise(self) -> None:
        """Take on what devices and amplifiers are now."""
        level_0, chip = self.chip.core, self.chip
        if level_0 is self._seen:
            return
        if not isinstance(level_0, RCCore):
            raise InputError(f"amplifiers (level 1) are known for an RCCore only, not for a {type(level_0).__name__}")
        self._core = AmplifiedCore(level_0, self.stages())
        line_C_F = self.opamp.line_C_F(level_0.n_nodes) if self.opamp.has_line_poles else 0.0
        self._power = AmplifiedPower(chip.circuit, chip.pairs, line_C_F, like=level_0.b)
        self._offset_V = self.offset_V().to(level_0.b)
        self._noise_gain = chip.noise_gain().to(level_0.b)
        self._seen = level_0

    def gain_bandwidth_Hz(self) -> Tensor:
        """(node,) [Hz]. GBW of each summing amplifier now."""
        c = self.chip.circuit
        fresh = [c.amplifier.gain_bandwidth_Hz(k, c.tau_s) for k in self.chip.noise_gain().tolist()]
        return torch.tensor(fresh, dtype=torch.float64) * self.chip.bandwidth_factor

    def driver_gbw_Hz(self) -> float:
        """[Hz]. GBW of each line driver now."""
        c = self.chip.circuit
        return c.amplifier.gain_bandwidth_Hz(DRIVER_NOISE_GAIN, c.tau_s) * self.chip.bandwidth_factor

    def drawn_offset_V(self) -> Tensor:
        """(node,) [V]. Offsets of the summing amplifiers as manufactured, from the chip seed."""
        generator = Streams(self.chip.seed).named("input offset")
        return self.opamp.offset_sigma_V * torch.randn(self.chip.n_nodes, dtype=torch.float64, generator=generator)

    def offset_V(self) -> Tensor:
        """(node,) [V]. All offsets, those of ageing included."""
        return self.drawn_offset_V() + self.chip.aged_offset_V()

    def stages(self) -> Stages:
        """Its amplifiers now, in units of the unit voltage."""
        chip, opamp, c = self.chip, self.opamp, self.chip.circuit
        K_n, gbw_Hz, V_u = chip.noise_gain(), self.gain_bandwidth_Hz(), c.unit_voltage_V
        slew = [opamp.slew_rate_V_per_s(c.amplifier, gbw) for gbw in gbw_Hz.tolist()]
        line_tau_s = opamp.line_tau_s(c.amplifier, c.tau_s, chip.n_nodes, chip.bandwidth_factor)
        return Stages(
            noise_gain=K_n,
            summing_tau_s=chip.pairs.feedback_ohm * opamp.summing_C_F / K_n,
            output_tau_s=K_n / (2 * math.pi * gbw_Hz),
            dc_gain=opamp.dc_gain,
            slew_per_s=torch.tensor(slew, dtype=torch.float64) / V_u,
            swing=(c.supply_V if opamp.swing_V is None else opamp.swing_V) / V_u,
            offset=K_n * self.drawn_offset_V() / V_u,
            line_tau_s=torch.full_like(K_n, line_tau_s) if opamp.has_line_poles else None,
            line_slew_per_s=opamp.slew_rate_V_per_s(c.amplifier, self.driver_gbw_Hz()) / V_u,
        )

    @property
    def core(self) -> AmplifiedCore:
        """Devices and amplifiers as they are now."""
        self._realise()
        return self._core

    def drive(self, u: Tensor) -> LevelDrive:
        """The constant part of the dynamics, after the DAC."""
        core = self.core
        drive = self.chip.drive(u)
        level = self.chip.circuit.dac.quantise(u)
        return LevelDrive(drive.current + core.output_offset, torch.zeros_like(drive.standing_power_W), level)

    def initial_state(self, drive: Drive) -> Tensor:
        """Discharged capacitors."""
        return self.core.initial_state(drive)

    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dy/ds (batch, state) and the power of each term (batch, term) [W]."""
        core = self._core
        at = core.signals(z, drive)
        torch.mul(core.motion(at), core.rate, out=dz)
        power_W.copy_(self._watts(at, dz, drive))

    def _watts(self, at: Signals, dz: Tensor, drive: Drive) -> Tensor:
        if not isinstance(drive, LevelDrive):
            raise InputError("the drive must come from this chip's own drive(u): watts need the input lines' voltages")
        core, V_u = self._core, self.chip.circuit.unit_voltage_V
        lines = torch.cat((at.x, drive.level, torch.ones_like(at.x[:, :1])), 1)
        return self._power.watts(
            line_V=V_u * lines,
            slope_V_per_s=(V_u / core.tau_s) * core.line_motion(dz),
            s_V=V_u * at.sigma / self._noise_gain - self._offset_V,
            t_V=-V_u * at.output,
            f_V=V_u * core.core.activation.function(at.output),
            v_V=V_u * at.z,
        )

    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, state) [1]. F(y), at whose fixed points nothing moves."""
        return self._core.fixed_point_map(z, drive)

    def linearise(self, z: Tensor, drive: Drive) -> AmplifiedLinearisation:
        """The Jacobian of F."""
        return self._core.linearise(z, drive)

    def contraction_gap(self) -> float:
        """0: no contraction is known."""
        return 0.0

    def nodes(self, y: Tensor) -> Tensor:
        """(..., node) [1]. The voltages of the nodes."""
        return self._core.nodes(y)

    def read(self, z: Tensor) -> Tensor:
        """(batch, node) [1]. What the ADC reports of the nodes of a state."""
        return self.chip.read(self.nodes(z))

    def noise_gain(self) -> Tensor:
        """(node,) [1]. K_n = 1 + R_f G_tot of each summing amplifier."""
        return self.chip.noise_gain()

    def bias_W(self) -> float:
        """[W]. Quiescent power of every amplifier, as `Chip.bias_W`, slew rate paid for."""
        c = self.chip.circuit

        def one(noise_gain: float) -> float:
            return self.opamp.quiescent_W(c.amplifier, noise_gain, c.tau_s, c.supply_V)

        others = 3 * self.chip.n_nodes + 2 * (self.n_inputs + 1)
        return sum(one(k) for k in self.noise_gain().tolist()) + others * one(DRIVER_NOISE_GAIN)

    def ledger(self, energy_J: Tensor, rest_power_W: Tensor, t_s: Tensor, z_start: Tensor, z_end: Tensor) -> Ledger:
        """Close the books as `Chip.ledger` does, with what summing nodes and lines store."""
        level_0 = self.chip.ledger(energy_J, rest_power_W, t_s, self.nodes(z_start), self.nodes(z_end))
        stored_J = level_0.stored_J + self._stored_J(z_end) - self._stored_J(z_start)
        scale = self.bias_W() / self.chip.bias_W() if self.chip.bias_W() else 0.0
        return replace(level_0, stored_J=stored_J, bias_J=level_0.bias_J * scale)

    def _stored_J(self, y: Tensor) -> Tensor:
        """(batch,) float64 [J]. On summing nodes and lines."""
        opamp, V_u, n = self.opamp, self.chip.circuit.unit_voltage_V, self.chip.n_nodes
        blocks = (y.double() * self._core.units.double()).split(n, 1)
        s_V = V_u * blocks[1] / self._noise_gain.double() - self._offset_V.double()
        stored = 0.5 * opamp.summing_C_F * s_V.square().sum(1)
        if opamp.has_line_poles:  # a + line and a - line each
            stored = stored + opamp.line_C_F(n) * V_u**2 * blocks[3].square().sum(1)
        return stored
