"""Settling time and energy as loss terms."""

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.cores.core import Core
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import FixedPoint
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.method import DifferentiableCore
from analogdeq.gradient.supply import SupplyPower
from analogdeq.gradient.trajectory import AdjointOptions, flow
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled

IMPLICIT_TOL = 1e-10
"""Near rest dz(t)/dtheta and dz*/dtheta almost cancel, so the implicit gradient is solved as well as rounding lets."""
SEGMENT_TAU = 1.0
"""[tau]. How far the transient is integrated back before its stored state is taken up again."""


@final
@dataclass(frozen=True, kw_only=True)
class Settling:
    """A settle that can be differentiated.

    Attributes:
        z: (batch, node) [1]. z*, differentiable.
        time_s: (batch,) [s]. The settling time, differentiable; where a sample does not settle, the end of its
            integration, a constant.
        energy_J: (batch,) [J]. What is drawn from the supply until readout, differentiable; None without a circuit.
        is_settled: (batch,) bool.
    """

    z: Tensor
    time_s: Tensor
    energy_J: Tensor | None
    is_settled: Tensor


def differentiable_settle(
    core: DifferentiableCore,
    u: Tensor,
    *,
    circuit: CrossbarCircuit | None = None,
    options: SettleOptions | None = None,
    gradient: ImplicitGradient | None = None,
    adjoint: AdjointOptions | None = None,
) -> Settling:
    """When a core settles and what it draws, with gradients in its parameters and u.

    The settling time t is the last crossing of h(t, theta) = |z_i(t) - z*_i| - band, i the node that crosses. By the
    implicit function theorem at the crossing,

        dt/dtheta = -(dh/dtheta) / (dh/dt),      dh/dtheta = sign (dz_i(t)/dtheta - dz*_i/dtheta)

    with dz(t)/dtheta by the adjoint through the transient up to t, and dz*/dtheta by the implicit gradient. The energy
    is E = int_0^t P ds + what follows, so dE/dtheta has the term P(t) dt/dtheta besides the adjoint's.

    Cost: one settle without gradients that finds t, then the transient forward and backward by torchdiffeq, in a time
    of its own for each sample, scaled to one interval. Memory: that of the adjoint.

    Wrong where the last crossing jumps: at a t where another crossing becomes or ceases to be the last, the settling
    time is not continuous and no gradient says so. Where dh/dt is almost 0, a grazing crossing, the gradient is huge;
    clip it. dh/dtheta is a small difference, so it carries the adjoint's error over the band: rtol 1e-6 over a band of
    1e-3 leaves a permille. The energy is that of exact devices and ideal converters (`SupplyPower`).

    Args:
        core: the network; an `RCCore` where there is a circuit, whose tau and gain it must have.
        u: (batch, input) [1].
        circuit: for joules.
        options: of the settle; its band defines the settling time.
        gradient: of z*.
        adjoint: of the transient.

    Raises:
        InputError: for a circuit with another kind of core, or of another time constant.
    """
    options = options or SettleOptions()
    out = settle(
        core, u.detach(), method=options.method, rtol=options.rtol, atol=options.atol, band=options.band,
        dwell_tau=options.dwell_tau, max_time_tau=options.max_time_tau, max_steps=options.max_steps,
    )  # fmt: skip
    supply = _supply(core, circuit, u.detach())
    z_star = equilibrium(core, u, gradient=gradient or ImplicitGradient(tol=IMPLICIT_TOL), forward=_Known(out))
    ends = torch.where(out.is_settled, out.t_settle_s, out.t_end_s) / core.tau_s
    z, so_far = _at(core, u, ends.to(u), supply, adjoint or AdjointOptions())
    time = _crossing(core, u, out, z_star, z, ends.to(u))
    energy = None
    if supply is not None and circuit is not None:
        energy = _energy(u, circuit, supply, z_star, z, time, so_far)
    return Settling(z=z_star, time_s=time * core.tau_s, energy_J=energy, is_settled=out.is_settled)


@final
@dataclass(frozen=True)
class _Known:
    """A forward pass that has been made."""

    out: Settled

    def solve(self, core: Core, u: Tensor) -> FixedPoint:
        """What was found."""
        o = self.out
        return FixedPoint(z=o.z, residual=o.residual, is_found=o.is_settled, evaluations=o.evaluations)


@final
@dataclass(frozen=True)
class _Supply:
    """The drivers' power of a core, and a unit of power near 1 for it, so that tolerances fit.

    It holds the parameters themselves: asked for again on the way back, a parametrised W would be another tensor.
    """

    core: RCCore
    parameters: tuple[Tensor, ...]
    model: SupplyPower
    unit_W: float

    def __call__(self, z: Tensor, u: Tensor) -> Tensor:
        """(batch,) [W]."""
        p = self.core.preactivation_with(z, u, *self.parameters)
        return self.model.drivers_W(z, p, self.core.activation.function(p), u)


def _supply(core: DifferentiableCore, circuit: CrossbarCircuit | None, u: Tensor) -> _Supply | None:
    if circuit is None:
        return None
    if not isinstance(core, RCCore):
        raise InputError(f"the differentiable energy knows dense cores, not a {type(core).__name__}")
    if (
        abs(core.tau_s - circuit.tau_s) > 1e-6 * circuit.tau_s
        or abs(core.gain - circuit.gain) > 1e-6
        or core.rate is not None
    ):
        raise InputError(
            f"the core has tau = {core.tau_s:g} s and gain {core.gain:g}, the circuit makes {circuit.tau_s:g} s and "
            f"{circuit.gain:g}; give the core the circuit's tau_s and gain"
        )
    parameters = core.trainable()
    supply = _Supply(core, parameters, SupplyPower(circuit, *parameters), 1.0)
    with torch.no_grad():
        at_start = float(supply(core.initial_state(core.drive(u)), u).mean())
    return replace(supply, unit_W=at_start or 1.0)


def _at(
    core: DifferentiableCore, u: Tensor, ends: Tensor, supply: _Supply | None, adjoint: AdjointOptions
) -> tuple[Tensor, Tensor]:
    """The state (batch, node) at each sample's own end, and the energy until then [unit_W tau]; differentiable."""
    segments = max(1, math.ceil(float(ends.max()) / SEGMENT_TAU))
    times = torch.linspace(0, 1, segments + 1, dtype=torch.float64).to(u)
    start = core.initial_state(core.drive(u.detach()))
    start = torch.cat((start, torch.zeros_like(start[:, :1])), 1)
    motion, span = flow(core, u, [0]), ends.unsqueeze(1)

    def rhs(s: Tensor, state: Tensor) -> Tensor:
        z = state[:, :-1]
        watts = torch.zeros_like(z[:, 0]) if supply is None else supply(z, u) / supply.unit_W
        return span * torch.cat((motion(s, z), watts.unsqueeze(1)), 1)

    end = adjoint.integrate(rhs, start, times, (u, *core.trainable()))[-1]
    return end[:, :-1], end[:, -1]


def _crossing(core: DifferentiableCore, u: Tensor, out: Settled, z_star: Tensor, z: Tensor, ends: Tensor) -> Tensor:
    """(batch,) [tau]: the ends, with the gradient of the crossing."""
    with torch.no_grad():
        node = (z - z_star).abs().argmax(1, keepdim=True)
        motion = flow(core, u, [0])(ends, z).gather(1, node).squeeze(1)
    offset = (z - z_star).gather(1, node).squeeze(1)
    distance = offset.abs()
    slope = offset.detach().sign() * motion
    moves = out.is_settled & (ends > 0) & (slope != 0)
    change = (distance - distance.detach()) / torch.where(moves, slope, 1.0)
    return ends - torch.where(moves, change, 0.0)


def _energy(
    u: Tensor, circuit: CrossbarCircuit, supply: _Supply, z_star: Tensor, z: Tensor, time: Tensor, so_far: Tensor
) -> Tensor:
    """(batch,) [J]: drivers until the crossing and while the state is held for conversion, bias, conversions."""
    tau, hold_s = circuit.tau_s, circuit.adc.conversion_s
    drivers = so_far * (supply.unit_W * tau) + supply(z, u).detach() * (time - time.detach()) * tau
    held = supply(z_star, u) * hold_s
    awake_s = time * tau + hold_s + circuit.dac.conversion_s
    return drivers + held + supply.model.bias_W() * awake_s + supply.model.conversions_J()
