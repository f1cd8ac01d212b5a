"""One manufactured instance: an ideal core placed on a circuit, in devices drawn from a chip seed, with one clock."""

from typing import final

import torch
from torch import Tensor

from analogdeq.ageing.amplifier import mobility_factor
from analogdeq.ageing.life import Care, Life
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.cubic_power import CubicPower
from analogdeq.circuits.ledger import Ledger
from analogdeq.circuits.manufacture import manufactured
from analogdeq.circuits.pairs import DevicePairs
from analogdeq.circuits.power import POWER_TERMS, CrossbarPower
from analogdeq.circuits.wired_pairs import WiredPairs, with_wires
from analogdeq.circuits.wired_power import WIRED_TERMS, WiredPower
from analogdeq.clocked_chip import ClockedChip
from analogdeq.cores.core import Drive, Linearisation
from analogdeq.cores.line_drive import LineDrive, constant_of
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.cores.rc import RCCore
from analogdeq.devices.levels import nearest_level
from analogdeq.devices.preset import IDEAL, DevicePreset
from analogdeq.devices.streams import Streams
from analogdeq.errors import InputError
from analogdeq.placement import placement_of


@final
class Chip(ClockedChip[SaturatingNetwork]):
    """A core as it came out of the factory: realised weights, watts and joules. It behaves as a core everywhere.

    The weights W, U, b become target conductances (`map_weights`), the devices land beside their targets (`device`),
    and what they then compute is the chip's core. Inputs pass the DAC and outputs the ADC, both from -1 to +1.
    An `RCCore` takes one crossbar, a `ConvCore` one per output position (`analogdeq.placement`).

    A chip has one clock. It is programmed at 0 s and read then, unless `is_programmed` is false: then it waits for
    `program`. `age` lets its clock run; every settle sees the chip as it is then.

    Args:
        core: the ideal core, dense or convolutional; its time constant and gain are replaced by the circuit's.
        circuit: component values.
        device: what the weights are stored in.
        seed: the chip seed. The same seed gives the same chip, bit for bit, at every age.
        care: how it is written and looked after.
        is_programmed: whether to programme it at 0 s.
        noise_seed: of its converters' noise, until `begin_inference` names another.

    Raises:
        InputError: if the weights are all zero or not finite.
        RangeError: if the circuit asks for conductances outside what the device preset covers.
    """

    power_terms: tuple[str, ...] = POWER_TERMS
    supply_terms: tuple[str, ...] = ("drivers",)
    """The power terms that add up to the draw from the supply; the others are parts of these."""
    work_buffers: int = 2

    def __init__(
        self,
        core: SaturatingNetwork,
        circuit: CrossbarCircuit,
        device: DevicePreset = IDEAL,
        *,
        seed: int = 0,
        care: Care | None = None,
        is_programmed: bool = True,
        noise_seed: int = 0,
    ) -> None:
        self.device_preset, self.seed, self.care = device, seed, care or Care()
        self.circuit = manufactured(
            circuit, inputs=core.n_inputs, outputs=core.n_nodes, seed=seed, noise_seed=noise_seed
        )
        if not core.is_finite():
            raise InputError("the core's weights hold NaN or infinity; training diverged, or the checkpoint is damaged")
        self._placement, self._n_inputs, self._like = placement_of(core), core.n_inputs, core.b
        if not circuit.wires.are_ideal:
            if device.conduction is not None:
                raise InputError(
                    f"device {device.name!r} is no resistor; wires with resistance are known between resistors only"
                )
            self.power_terms = WIRED_TERMS
        if self.care.amplifiers is not None and not isinstance(core, RCCore):
            raise InputError(f"ageing amplifiers are known for an RCCore only, not for a {type(core).__name__}")
        self.target: DevicePairs = self._placement.targets(circuit)
        if device.levels is not None:
            plus_S, minus_S = (
                nearest_level(G, circuit.g_min_S, circuit.g_max_S, device.levels)
                for G in (self.target.plus_S, self.target.minus_S)
            )
            self.target = self.target.holding(plus_S, minus_S, self.target.feedback_ohm)
        self.life = Life(self.target, circuit, device, seed, self.care)
        if is_programmed:
            self.program()

    def _realise(self, pairs: DevicePairs) -> None:
        conduction = self.device_preset.conduction
        pairs = with_wires(pairs, self.circuit.wires)
        core = self._placement.realised(pairs, self.circuit, conduction)
        if self.care.amplifiers is not None:
            offset_V = self.aged_offset_V()
            # An offset at the summing amplifier's input appears at its output times the noise gain.
            p = (1 + pairs.feedback_ohm * pairs.row_sum_S()) * offset_V / self.circuit.unit_voltage_V
            core.b.add_(p.to(core.b))
        self._realised, self._pairs = core, pairs
        self._power: CrossbarPower | CubicPower | WiredPower
        if isinstance(pairs, WiredPairs):
            self._power = WiredPower(self.circuit, pairs, self._n_inputs, like=self._like)
        elif conduction is None:
            self._power = CrossbarPower(self.circuit, pairs, self._n_inputs, like=self._like)
        else:
            self._power = CubicPower(self.circuit, pairs, conduction, self._n_inputs, like=self._like)

    @property
    def power(self) -> CrossbarPower | CubicPower | WiredPower:
        """How its watts follow from its state."""
        return self._power

    @property
    def bandwidth_factor(self) -> float:
        """[1]. What temperature and ageing leave of the amplifiers' gain-bandwidth."""
        ageing = self.care.amplifiers
        return mobility_factor(self.temperature_K) * (ageing.bandwidth_factor(self.life.in_service) if ageing else 1.0)

    def aged_offset_V(self) -> Tensor:
        """(node,) float64 [V]. Offsets that ageing has given the summing amplifiers."""
        ageing, n = self.care.amplifiers, self._like.numel()
        if ageing is None:
            return torch.zeros(n, dtype=torch.float64)
        normal = torch.randn(n, dtype=torch.float64, generator=Streams(self.seed).named("offset"))
        return ageing.offset_sigma_V(self.life.in_service) * normal

    def amplifier_pole_s(self) -> float:
        """[s]. K_n / (2 pi GBW) of the fullest row now: the pole that level 0 neglects."""
        fresh_s = self.circuit.amplifier.closed_loop_tau_s(float(self.noise_gain().max()), self.circuit.tau_s)
        return fresh_s / self.bandwidth_factor

    def drive(self, u: Tensor) -> Drive:
        """The constant part of the dynamics, after the DAC."""
        level = self.circuit.dac.quantise(u)
        current, standing_W = self.core.drive(level).current, self._power.standing(level)
        if isinstance(self._power, WiredPower):
            return LineDrive(current, standing_W, self._power.constant(level))
        return Drive(current, standing_W)

    def initial_state(self, drive: Drive) -> Tensor:
        """Discharged capacitors."""
        return self.core.initial_state(drive)

    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dz/ds (batch, node) and the power of each term (batch, term) [W]."""
        p, scratch = work[0], work[1]
        self.core.preactivation(z, drive.current, out=p)
        self.core.activation.function(p, out=dz)
        dz.sub_(z)  # (f - v) / V_u, the voltage across the node resistor
        if isinstance(self._power, WiredPower):
            self._power.write(z, p, dz, drive.standing_power_W, constant_of(drive), power_W)
        else:
            self._power.write(z, p, dz, drive.standing_power_W, power_W, scratch)
        if self.core.gain != 1.0:  # a phi - z = a (phi - z) - (1 - a) z
            dz.mul_(self.core.gain).sub_(z, alpha=1 - self.core.gain)
        if self.rate is not None:
            dz.mul_(self.rate)

    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, node) [1]. F(z) of the realised weights."""
        return self.core.fixed_point_map(z, drive)

    def linearise(self, z: Tensor, drive: Drive) -> Linearisation:
        """The Jacobian of F at z."""
        return self.core.linearise(z, drive)

    def contraction_gap(self) -> float:
        """1 - Lipschitz constant of F, certified; 0 where F is no contraction."""
        return self.core.contraction_gap()

    def read(self, z: Tensor) -> Tensor:
        """(batch, node) [1]. What the ADC reports of the state."""
        return self.circuit.adc.quantise(z)

    @property
    def n_devices(self) -> int:
        """How many programmable devices it holds."""
        return self.pairs.n_devices

    def noise_gain(self) -> Tensor:
        """(node,) [1]. K_n = 1 + R_f G_tot of each transimpedance amplifier."""
        return self.pairs.noise_gain()

    def bias_W(self) -> float:
        """[W]. Quiescent power of every amplifier of the chip.

        Per node a transimpedance amplifier (noise gain K_n of its row), the activation stage and the two line drivers;
        per input and for the bias line two line drivers. Drivers and activation stages are counted at noise gain 2
        (unity-gain inverters).
        """
        amplifier, tau, supply = self.circuit.amplifier, self.circuit.tau_s, self.circuit.supply_V
        summing = sum(amplifier.quiescent_W(k, tau, supply) for k in self.noise_gain().tolist())
        others = 3 * self.n_nodes + 2 * (self.n_inputs + 1)
        return summing + others * amplifier.quiescent_W(2.0, tau, supply)

    def ledger(self, energy_J: Tensor, rest_power_W: Tensor, t_s: Tensor, z_start: Tensor, z_end: Tensor) -> Ledger:
        """Close the books of a settle that is read out at `t_s`.

        During the conversion the circuit is held, so its power at rest is drawn for `adc.conversion_s` more. While the
        DAC settles beforehand, only the amplifiers draw.

        Args:
            energy_J: (batch, term) float64 [J]. Integrated until `t_s`.
            rest_power_W: (batch, term) [W]. Where the state is held.
            t_s: (batch,) float64 [s].
            z_start: (batch, node) [1]. State at power-on.
            z_end: (batch, node) [1]. State at `t_s`.
        """
        hold_s = self.circuit.adc.conversion_s
        awake_s = t_s + hold_s + self.circuit.dac.conversion_s
        terms = energy_J + rest_power_W.to(torch.float64) * hold_s
        unit_J = 0.5 * self.circuit.node_C_F * self.circuit.unit_voltage_V**2
        stored = unit_J * (z_end.double().square().sum(1) - z_start.double().square().sum(1))
        ones = torch.ones_like(t_s)
        return Ledger(
            crossbar_J=terms[:, 0],
            feedback_J=terms[:, 1],
            node_J=terms[:, 2],
            stored_J=stored,
            drivers_J=terms[:, 3],
            bias_J=self.bias_W() * awake_s,
            dac_J=ones * (self.n_inputs * self.circuit.dac.energy_J),
            adc_J=ones * (self.n_nodes * self.circuit.adc.energy_J),
            wires_J=terms[:, WIRED_TERMS.index("wires")] if self.power_terms == WIRED_TERMS else None,
        )
