"""One manufactured oscillator network: couplings in devices, frequencies drawn from a chip seed."""

import math
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from analogdeq.ageing.life import Care, Life
from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.chip import Chip
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.manufacture import manufactured
from analogdeq.circuits.mapping import ConductancePairs
from analogdeq.circuits.oscillator import OscillatorKind
from analogdeq.circuits.oscillator_ledger import OscillatorLedger
from analogdeq.circuits.pairs import DevicePairs
from analogdeq.clocked_chip import ClockedChip
from analogdeq.cores.core import Drive, Linearisation
from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
from analogdeq.devices.preset import IDEAL, DevicePreset
from analogdeq.devices.streams import Streams
from analogdeq.errors import InputError
from analogdeq.oscillator_placement import check_placeable, oscillator_targets, realised_oscillators

MEAN_SINE = 2 / math.pi
"""The mean of |sin|: what a class-B driver of a sinusoidal line draws, over V_DD times the peak current."""
READ_RANGE = 2.0
"""Amplitudes are read from -2 to +2 times full scale: injection makes them larger than the free ones."""


@final
class OscillatorChip(ClockedChip[OscillatorCore]):
    """Oscillators coupled by a crossbar of device pairs. It behaves as a core everywhere.

    The crossbar has a row per oscillator. Its columns are the oscillators' own outputs and the inputs
    (amplitude-modulated carriers: in quadrature to the reference, and in phase where U has such rows). The standing
    injection b comes from trimmed drivers of its own, one per oscillator, and is exact. The current into an oscillator
    shifts its phase at a rate of one radian per `tau_s` for a weight of 1, whatever conductance that is: a current
    buffer with the gain that takes is part of the design.

    A chip has one clock, that of `Chip`: it is programmed at 0 s and read then, unless `is_programmed` is false; `age`
    lets the clock run, and every settle sees the chip as it is then. Couplings age as their devices do. Frequencies
    are off from the reference's, which stays, by

        df_i / f = frequency_sd N_i + temperature_per_K (T - 300 K) + (d + s N'_i) log10(1 + t_eq / t_0)

    with the last term from `OscillatorKind.drift`. Programming anew restores the couplings and not the frequencies.

    Power, all from the supply:

        oscillators   P_0 sum_i |a_i|^2 / mu_i        P_0 each, for phase oscillators
        coupling      V_DD (2/pi) V_u sum_j g_j |a_j|  class-B drivers; g_j all conductance the line pair j drives
        injection     V_DD (2/pi) V_u ( sum_k g_k |u_k| + sum_i |b_i| / R_f )  the same for inputs and reference

    with R_f as for any crossbar: 1 / R_f is the conductance that stands for a weight of 1.

    Args:
        core: the ideal network; real couplings, dense.
        circuit: crossbar and converters; `unit_voltage_V` is a line's peak voltage at amplitude 1. Its node R and C
            and its amplifiers have no counterpart here.
        kind: the oscillators.
        device: what couplings are stored in.
        seed: the chip seed. The same seed gives the same chip, bit for bit, at every age.
        care: how its couplings are written and looked after.
        is_programmed: whether to programme it at 0 s.
        noise_seed: of its converters' noise, until `begin_inference` names another.

    Raises:
        InputError: for a complex or sparse coupling, weights that are all zero or not finite, devices that are no
            resistors, or care for amplifiers, of which there are none.
        RangeError: if the circuit asks for conductances outside what the device preset covers.
    """

    power_terms: tuple[str, ...] = ("oscillators", "coupling", "injection")
    supply_terms: tuple[str, ...] = power_terms

    def __init__(
        self,
        core: OscillatorCore,
        circuit: CrossbarCircuit,
        kind: OscillatorKind,
        device: DevicePreset = IDEAL,
        *,
        seed: int = 0,
        care: Care | None = None,
        is_programmed: bool = True,
        noise_seed: int = 0,
    ) -> None:
        check_placeable(core)
        if not circuit.wires.are_ideal:
            raise InputError("wires with resistance are known for crossbars of RC cores, not of oscillators; set 0 ohm")
        if device.conduction is not None:
            raise InputError(f"oscillators are coupled by resistors; the current of {device.name!r} bends with voltage")
        self.circuit = manufactured(
            circuit, inputs=core.n_inputs, outputs=core.n_nodes, seed=seed, noise_seed=noise_seed
        )
        self.kind, self.device_preset, self.seed, self.care = kind, device, seed, care or Care()
        if self.care.amplifiers is not None:
            raise InputError("an oscillator chip has no amplifiers whose ageing is known; leave care.amplifiers out")
        self._ideal = core
        self.target: ConductancePairs = oscillator_targets(core, circuit, device)
        self.life = Life(self.target, circuit, device, seed, self.care)
        streams, n = Streams(seed), core.n_oscillators
        self._mismatch, self._drift_draw = (
            torch.randn(n, dtype=torch.float64, generator=streams.named(name)) for name in ("frequency", "drift")
        )
        self.work_buffers: int = core.work_buffers
        self._watts_per_S = circuit.supply_V * MEAN_SINE * circuit.unit_voltage_V
        self._g_reference = float(core.b.detach().abs().sum()) / self.target.feedback_ohm
        if is_programmed:
            self.program()

    def relative_shift(self) -> Tensor:
        """(oscillator,) float64 [1]. How far each free frequency is off now, relative: as made, heat, drift."""
        kind, drift = self.kind, self.kind.drift
        drifted = (drift.per_decade + drift.sd_per_decade * self._drift_draw) * drift.decades(self.life.in_service)
        return kind.frequency_sd * self._mismatch + kind.warm_shift(self.temperature_K) + drifted

    def _realise(self, pairs: DevicePairs) -> None:
        ideal, kind = self._ideal, self.kind
        self._realised = realised_oscillators(ideal, pairs, self.relative_shift() / kind.lock_ratio, kind.tau_s)
        self._pairs = pairs
        n, inputs = ideal.n_oscillators, ideal.U.shape[0] // ideal.n_oscillators
        columns = pairs.column_sum_S().to(ideal.detuning).split((n, inputs * ideal.n_inputs))
        self._g_coupling, self._g_input = columns[0], columns[1].view(inputs, ideal.n_inputs).sum(0)

    @property
    def turn(self) -> float | None:
        """Length after which every state repeats; None where states are no angles."""
        turn: float | None = getattr(self.core, "turn", None)
        return turn

    @property
    def n_devices(self) -> int:
        """How many programmable devices it holds."""
        return self.pairs.n_devices

    def drive(self, u: Tensor) -> Drive:
        """Injections and detunings after the DAC, and the power that the state does not change."""
        level = self.circuit.dac.quantise(u)
        injection = self._watts_per_S * (torch.mv(level.abs(), self._g_input) + self._g_reference)
        steady = torch.zeros_like(injection)
        if isinstance(self.core, PhaseCore):
            oscillators = torch.full_like(injection, self.core.n_oscillators * self.kind.power_W)
            coupling = torch.full_like(injection, self._watts_per_S * float(self._g_coupling.sum()))
        else:
            oscillators, coupling = steady, steady
        return replace(self.core.drive(level), standing_power_W=torch.stack((oscillators, coupling, injection), 1))

    def initial_state(self, drive: Drive) -> Tensor:
        """Oscillators released together, in phase with the reference."""
        return self.core.initial_state(drive)

    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dz/ds (batch, node) and the power of each term (batch, term) [W]."""
        self.core.evaluate(z, drive, dz, power_W, work)
        power_W.copy_(drive.standing_power_W)
        if isinstance(self.core, StuartLandauCore):
            amplitude = self.core.amplitudes(z)
            power_W[:, 0].add_((amplitude.square() / self.core.mu).sum(1), alpha=self.kind.power_W)
            power_W[:, 1].add_(torch.mv(amplitude, self._g_coupling), alpha=self._watts_per_S)

    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, node). z + dz/ds of the realised network."""
        return self.core.fixed_point_map(z, drive)

    def linearise(self, z: Tensor, drive: Drive) -> Linearisation:
        """The Jacobian of the fixed-point map at z."""
        return self.core.linearise(z, drive)

    def contraction_gap(self) -> float:
        """0: no bound holds on the whole circle."""
        return 0.0

    def read(self, z: Tensor) -> Tensor:
        """(batch, node). What the ADC reports: phases over one turn, or amplitudes from -2 to +2 full scales."""
        if self.turn is not None:
            half = self.turn / 2
            return half * self.circuit.adc.quantise((z - self.turn * torch.round(z / self.turn)) / half)
        span = READ_RANGE * self.full_scale
        return span * self.circuit.adc.quantise(z / span)

    def bias_W(self) -> float:
        """0: what runs all the time is in the term "oscillators"."""
        return 0.0

    def ledger(
        self, energy_J: Tensor, rest_power_W: Tensor, t_s: Tensor, z_start: Tensor, z_end: Tensor
    ) -> OscillatorLedger:
        """Close the books of a settle that is read out at `t_s`; the network is held for one conversion more.

        Args:
            energy_J: (batch, term) float64 [J]. Integrated until `t_s`.
            rest_power_W: (batch, term) [W]. Where the state is held.
            t_s: (batch,) float64 [s].
            z_start: (batch, node). Not needed: oscillators start with their energy and end with it.
            z_end: (batch, node). Not needed.
        """
        terms = energy_J + rest_power_W.to(torch.float64) * self.circuit.adc.conversion_s
        ones = torch.ones_like(t_s)
        return OscillatorLedger(
            oscillators_J=terms[:, 0],
            coupling_J=terms[:, 1],
            injection_J=terms[:, 2],
            dac_J=ones * (self.n_inputs * self.circuit.dac.energy_J),
            adc_J=ones * (self.n_nodes * self.circuit.adc.energy_J),
        )


AnyChip = Chip | AmplifiedChip | OscillatorChip
