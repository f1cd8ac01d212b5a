"""How coupled oscillators lie in a crossbar, and which network the devices then are."""

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.mapping import ConductancePairs, map_weights
from analogdeq.circuits.pairs import DevicePairs
from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
from analogdeq.devices.levels import nearest_level
from analogdeq.devices.preset import DevicePreset
from analogdeq.errors import InputError


def check_placeable(core: OscillatorCore) -> None:
    """Find out whether a chip can be made of it.

    Raises:
        InputError: if not.
    """
    if core.edges is not None or core.W.is_complex():
        raise InputError("a chip couples its oscillators by a dense crossbar of real weights; W is sparse or complex")
    if not core.is_finite():
        raise InputError("the core's weights hold NaN or infinity; training diverged, or the checkpoint is damaged")
    if isinstance(core, StuartLandauCore) and not bool((core.mu > 0).all()):
        raise InputError("a chip's oscillators run by themselves: mu must be positive for each of them")


def oscillator_targets(core: OscillatorCore, circuit: CrossbarCircuit, device: DevicePreset) -> ConductancePairs:
    """The conductances to ask for, of those that the device has."""
    target = map_weights(_side_by_side(core), circuit)
    if device.levels is None:
        return target
    plus_S, minus_S = (
        nearest_level(G, circuit.g_min_S, circuit.g_max_S, device.levels) for G in (target.plus_S, target.minus_S)
    )
    return target.holding(plus_S, minus_S, target.feedback_ohm)


def _side_by_side(core: OscillatorCore) -> Tensor:
    """(oscillator, column) float64: W and U, whose in-phase columns come first where it has any."""
    W, U = (t.detach().double().cpu() for t in (core.W, core.U))
    inputs = U if U.shape[0] == core.n_oscillators else torch.cat((U[::2], U[1::2]), 1)
    return torch.cat((W, inputs), 1)


def realised_oscillators(core: OscillatorCore, pairs: DevicePairs, shift: Tensor, tau_s: float) -> OscillatorCore:
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
