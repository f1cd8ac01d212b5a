"""One manufactured oscillator network: couplings in devices, frequencies drawn from a chip seed."""

import math
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.chip import Chip
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.mapping import ConductancePairs, map_weights
from analogdeq.circuits.oscillator import OscillatorKind
from analogdeq.circuits.oscillator_ledger import OscillatorLedger
from analogdeq.cores.around import AroundCore
from analogdeq.cores.core import Drive, Linearisation
from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
from analogdeq.devices.preset import IDEAL, DevicePreset
from analogdeq.errors import InputError

MEAN_SINE = 2 / math.pi
"""The mean of |sin|: what a class-B driver of a sinusoidal line draws, over V_DD times the peak current."""
READ_RANGE = 2.0
"""Amplitudes are read from -2 to +2 times full scale: injection makes them larger than the free ones."""


@final
class OscillatorChip(AroundCore[OscillatorCore]):
    """Oscillators coupled by a crossbar of device pairs. It behaves as a core everywhere.

    The crossbar has a row per oscillator. Its columns are the oscillators' own outputs and the inputs
    (amplitude-modulated carriers: in quadrature to the reference, and in phase where U has such rows). The standing
    injection b comes from trimmed drivers of its own, one per oscillator, and is exact. The current into an oscillator
    shifts its phase at a rate of one radian per `tau_s` for a weight of 1, whatever conductance that is: a current
    buffer with the gain that takes is part of the design. Frequencies are off by a draw per oscillator and by a common
    shift with temperature.

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
        seed: the chip seed.
        temperature_K: [K].

    Raises:
        InputError: for a complex or sparse coupling, or weights that are all zero or not finite.
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
        temperature_K: float = 300.0,
    ) -> None:
        _check_placeable(core)
        self.circuit, self.kind, self.device_preset, self.seed = circuit, kind, device, seed
        self.temperature_K = temperature_K
        generator = torch.Generator().manual_seed(seed)
        self.target: ConductancePairs = map_weights(_side_by_side(core), circuit)
        self.pairs = self.target.programmed(device, circuit.g_max_S, generator)
        spread = torch.randn(core.n_oscillators, dtype=torch.float64, generator=generator)
        relative = kind.frequency_sd * spread + kind.warm_shift(temperature_K)
        self._core = _realised(core, self.pairs, relative / kind.lock_ratio, kind.tau_s)
        self.work_buffers: int = self.core.work_buffers
        n, inputs = core.n_oscillators, core.U.shape[0] // core.n_oscillators
        columns = self.pairs.column_sum_S().to(core.detuning).split((n, inputs * core.n_inputs))
        self._g_coupling, self._g_input = columns[0], columns[1].view(inputs, core.n_inputs).sum(0)
        self._g_reference = float(core.b.detach().abs().sum()) / self.pairs.feedback_ohm
        self._watts_per_S = circuit.supply_V * MEAN_SINE * circuit.unit_voltage_V

    @property
    def core(self) -> OscillatorCore:
        """The realised network."""
        return self._core

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


def _check_placeable(core: OscillatorCore) -> None:
    if core.edges is not None or core.W.is_complex():
        raise InputError("a chip couples its oscillators by a dense crossbar of real weights; W is sparse or complex")
    if not core.is_finite():
        raise InputError("the core's weights hold NaN or infinity; training diverged, or the checkpoint is damaged")
    if isinstance(core, StuartLandauCore) and not bool((core.mu > 0).all()):
        raise InputError("a chip's oscillators run by themselves: mu must be positive for each of them")


def _side_by_side(core: OscillatorCore) -> Tensor:
    """(oscillator, column) float64: W and U, whose in-phase columns come first where it has any."""
    W, U = (t.detach().double().cpu() for t in (core.W, core.U))
    inputs = U if U.shape[0] == core.n_oscillators else torch.cat((U[::2], U[1::2]), 1)
    return torch.cat((W, inputs), 1)


def _realised(core: OscillatorCore, pairs: ConductancePairs, shift: Tensor, tau_s: float) -> OscillatorCore:
    """The network that the devices are, with detunings shifted (oscillator,) [rad per tau]."""
    n, m = core.n_oscillators, core.n_inputs
    W, U = pairs.weights().to(core.W).split((n, (core.U.shape[0] // n) * m), 1)
    if core.U.shape[0] == 2 * n:
        U = torch.stack((U[:, :m], U[:, m:]), 1).flatten(0, 1)
    detuning = core.detuning.detach() + shift.to(core.detuning)
    tuning = core.tuning.detach()
    W, U, b = W.contiguous(), U.contiguous(), core.b.detach().clone()
    if isinstance(core, StuartLandauCore):
        return StuartLandauCore(
            W, U, b, mu=core.mu, shear=core.shear, detuning=detuning, tuning=tuning, shil=core.shil, tau_s=tau_s
        )
    return PhaseCore(W, U, b, detuning=detuning, tuning=tuning, shil=core.shil, tau_s=tau_s)
