"""Trajectories that can be differentiated, by torchdiffeq's adjoint."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torchdiffeq import odeint_adjoint

from analogdeq.errors import InputError, SettleError
from analogdeq.gradient.forward import FixedPoint, Forward
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import DifferentiableCore, note_forward

ADAPTIVE = ("dopri8", "dopri5", "bosh3", "fehlberg2", "adaptive_heun")
"""Methods of torchdiffeq that choose their steps."""
Rhs = Callable[[Tensor, Tensor], Tensor]
"""(s, state) -> d state / ds."""


@final
@dataclass(frozen=True, kw_only=True)
class AdjointOptions:
    """How torchdiffeq integrates, forward and backward.

    Attributes:
        method: of torchdiffeq.
        rtol: relative tolerance, of the batch as a whole: torchdiffeq shares one step between the samples.
        atol: absolute tolerance.
        max_steps: bound on the steps between two output times.
    """

    method: str = "dopri5"
    rtol: float = 1e-6
    atol: float = 1e-8
    max_steps: int = 100_000

    def __post_init__(self) -> None:
        """Refuse tolerances that no integration can use.

        Raises:
            InputError: naming them.
        """
        if not (0 < self.rtol < 1 and 0 < self.atol < 1) or self.max_steps < 1:
            raise InputError(
                f"adjoint rtol = {self.rtol} and atol = {self.atol} must lie between 0 and 1, max_steps = "
                f"{self.max_steps} be at least 1"
            )

    def integrate(self, rhs: Rhs, start: Tensor, times: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
        """(time, *state), differentiable in `start` and in `parameters`.

        Args:
            rhs: the derivative; uses the parameters.
            start: the state at `times[0]`.
            times: increasing, dimensionless.
            parameters: what to differentiate in besides.

        Raises:
            SettleError: if the integration breaks off.
        """
        options = {"max_num_steps": self.max_steps} if self.method in ADAPTIVE else None
        try:
            path: Tensor = odeint_adjoint(
                rhs, start, times, rtol=self.rtol, atol=self.atol, method=self.method, options=options,
                adjoint_params=tuple(p for p in parameters if p.requires_grad),
            )  # fmt: skip
        except AssertionError as error:  # how torchdiffeq says "max_num_steps exceeded" and "underflow in dt"
            raise SettleError(f"torchdiffeq broke off: {error}; loosen rtol, or shorten the horizon") from None
        return path


def flow(core: DifferentiableCore, u: Tensor, count: list[int]) -> Rhs:
    """dz/ds = rate (F(z; u) - z), from the core's own parameters; counts its evaluations in `count[0]`."""
    parameters, rate = core.trainable(), core.rate

    def rhs(_s: Tensor, z: Tensor) -> Tensor:
        count[0] += 1
        motion = core.map_with(z, u, *parameters) - z
        return motion if rate is None else rate * motion

    return rhs


def trajectory(
    core: DifferentiableCore, u: Tensor, times_tau: Tensor, *, options: AdjointOptions | None = None
) -> Tensor:
    """(time, batch, node): z at the given times, differentiable in the core's parameters and u.

    tau dz/dt = -z + F(z; u) forward; backward the adjoint da/ds = a^T (I - J(z(s))) and the integrals of a^T dF/dtheta,
    with z integrated backwards beside it. Memory does not grow with the number of steps.

    Cost: some 6 evaluations per step forward, and per step backward as many with a vector-Jacobian product each.

    Wrong where z cannot be integrated backwards: a settle contracts, so running it back expands errors by exp(t / tau)
    or more. Between two output times a few tau apart nothing is lost; over tens of tau ask for times in between, where
    z is stored and taken up again.

    Args:
        core: the network.
        u: (batch, input) [1].
        times_tau: (time,) increasing from 0, in time constants.
        options: how to integrate.

    Source: R. T. Q. Chen et al., NeurIPS 2018 (the adjoint); torchdiffeq for the code.
    """
    if times_tau.ndim != 1 or times_tau.numel() < 2 or float(times_tau[0]) != 0:
        raise InputError("times_tau must be a row of at least two times, the first of them 0")
    start = core.initial_state(core.drive(u.detach()))
    rhs = flow(core, u, [0])
    return (options or AdjointOptions()).integrate(rhs, start, times_tau.to(u), (u, *core.trainable()))


@final
@dataclass(frozen=True, kw_only=True)
class TransientGradient:
    """z(T) of the transient itself, differentiated through it by torchdiffeq's adjoint.

    The gradient of where the circuit is after `horizon_tau`, which for a long horizon is the gradient of the
    equilibrium that it reaches, with no linear solve and no assumption that it has arrived. See `trajectory` for the
    equation.

    Cost: the dearest of all: the whole transient twice, with a vector-Jacobian product per backward evaluation. Memory:
    one state per `segment_tau`.

    Wrong where the horizon is too short to rest (the log's forward residual says so), or `segment_tau` too long to
    integrate back over: errors grow by exp(segment_tau (1 - min Re eig J)).

    Attributes:
        horizon_tau: T, in time constants.
        segment_tau: z is stored this often and taken up again on the way back.
        rest_tol: max |F(z) - z| at the end, in units of full scale, above which a sample counts as unsettled.
        options: how to integrate.
    """

    horizon_tau: float = 30.0
    segment_tau: float = 1.0
    rest_tol: float = 1e-2
    options: AdjointOptions = AdjointOptions()

    def __post_init__(self) -> None:
        """Refuse times that are none.

        Raises:
            InputError: naming them.
        """
        if not (0 < self.horizon_tau < float("inf")) or not self.segment_tau > 0:
            raise InputError(
                f"horizon_tau = {self.horizon_tau} and segment_tau = {self.segment_tau} must be positive and finite"
            )

    def attach(self, core: DifferentiableCore, u: Tensor, forward: Forward, log: SolveLog, throw: bool) -> Tensor:
        """(batch, input) -> (batch, node): z(T); `forward` is not used."""
        count, segments = [0], max(1, round(self.horizon_tau / self.segment_tau))
        times = torch.linspace(0, self.horizon_tau, segments + 1, dtype=torch.float64).to(u)
        start = core.initial_state(core.drive(u.detach()))
        path = self.options.integrate(flow(core, u, count), start, times, (u, *core.trainable()))
        z, spent = path[-1], count[0]
        with torch.no_grad():
            residual = (core.map_with(z, u, *core.trainable()) - z).abs().amax(1).to(torch.float64)
        is_found = residual <= self.rest_tol * core.full_scale
        evaluations = torch.full(residual.shape, spent, dtype=torch.int64, device=u.device)
        note_forward(
            FixedPoint(z=z.detach(), residual=residual, is_found=is_found, evaluations=evaluations), log, throw
        )
        if z.requires_grad:
            # torchdiffeq's backward pass has run by the time the gradient of its start would be known.
            _when_done(path, lambda: setattr(log, "backward_iterations", float(count[0] - spent)))
        return z


def _when_done(path: Tensor, action: Callable[[], None]) -> None:
    if path.grad_fn is not None:
        path.grad_fn.register_hook(lambda *_: action())
