"""Equilibrium propagation on phase oscillators: the network itself carries the error backwards, as an injection."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.errors import InputError, SettleError
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.settle import settle


@final
@dataclass(frozen=True, kw_only=True)
class PropagatedGradient:
    """Gradients of the mean loss of a batch, in the shape of the parameters.

    Attributes:
        W: (N, N), symmetric: for changes that keep the couplings symmetric.
        U: as the core's.
        b: (2 N,).
        detuning: (N,).
        loss: the mean loss of the free phases.
        z: (batch, N). The free phases.
    """

    W: Tensor
    U: Tensor
    b: Tensor
    detuning: Tensor
    loss: float
    z: Tensor


@torch.no_grad()
def phase_propagation(
    core: PhaseCore,
    u: Tensor,
    loss: Callable[[Tensor], Tensor],
    *,
    beta: float = 0.05,
    options: SettleOptions | None = None,
) -> PropagatedGradient:
    """Let the network settle freely, then twice with its error injected, and compare where it comes to rest.

    For a symmetric real W the flow is -dE/dphi with

        E = -1/2 sum_ij W_ij cos(phi_i - phi_j) - sum_i (p_i cos phi_i + q_i sin phi_i) - (K_s/2) sum cos 2 phi
            - sum_i delta_i phi_i

    A loss of the quadratures c = cos phi, s = sin phi with slopes g_c, g_s at the free rest adds beta (g_c c + g_s s)
    to E, which is an injection p - beta g_c, q - beta g_s: the hardware that injects inputs injects errors. With
    phi(+-beta) the two rests,

        dL/dtheta = [ dE/dtheta(phi(beta)) - dE/dtheta(phi(-beta)) ] / (2 beta) + O(beta^2)

    so each parameter needs only what its own oscillators do.

    Args:
        core: the network; W real, dense and symmetric.
        u: (batch, input) [1].
        loss: (batch, 2 N) quadratures, cosines first -> (batch,) losses; differentiable.
        beta: [rad per tau]. Strength of the nudge.
        options: how to settle; a band of 1e-5 of a radian if None, since differences of rests are taken.

    Raises:
        InputError: if W is not symmetric, or beta not positive.
        SettleError: if a sample does not settle, freely or nudged.

    Source: B. Scellier, Y. Bengio, Front. Comput. Neurosci. 11:24 (2017); the two-sided nudge: A. Laborieux et al.,
    Front. Neurosci. 15:633674 (2021).
    """
    _check(core, beta)
    o = options or SettleOptions(band=1e-5, atol=1e-8)
    free = _rest(core, u, torch.zeros(u.shape[0], core.n_oscillators), o)
    quadratures = torch.cat((free.cos(), free.sin()), 1)
    with torch.enable_grad():
        leaf = quadratures.clone().requires_grad_(True)
        value = loss(leaf).mean()
        (slope,) = torch.autograd.grad(value, leaf)
    # The mean makes slopes small by the size of the batch; the nudge acts on each sample's own loss.
    slope = slope * u.shape[0]
    plus, minus = (_rest(core, u, free, o, -sign * beta * slope) for sign in (1.0, -1.0))
    return _difference(core, u, plus, minus, 2 * beta, float(value), free)


def _check(core: PhaseCore, beta: float) -> None:
    if core.edges is not None or core.W.is_complex() or not bool(torch.allclose(core.W, core.W.T, atol=1e-6)):
        raise InputError("equilibrium propagation needs an energy: W must be real, dense and symmetric")
    if not 0 < beta < float("inf"):
        raise InputError(f"beta = {beta!r} must be positive and finite")


def _rest(core: PhaseCore, u: Tensor, start: Tensor, o: SettleOptions, nudge: Tensor | None = None) -> Tensor:
    """(batch, N): where the network rests with a nudge (batch, 2 N) injected besides; its lines are inputs like u."""
    n = core.n_oscillators
    network, given = core, u
    if nudge is not None:
        lines = torch.zeros(2 * n, 2 * n, dtype=core.dtype, device=core.device)
        lines[torch.arange(0, 2 * n, 2), torch.arange(n)] = 1.0
        lines[torch.arange(1, 2 * n, 2), torch.arange(n, 2 * n)] = 1.0
        inputs = core.U
        if inputs.shape[0] == n:
            inputs = torch.stack((torch.zeros_like(inputs), inputs), 1).flatten(0, 1)
        tuning = torch.cat((core.tuning, core.tuning.new_zeros(n, 2 * n)), 1)
        network = PhaseCore(
            core.W.detach(), torch.cat((inputs, lines), 1).detach(), core.b.detach(),
            detuning=core.detuning.detach(), tuning=tuning.detach(), shil=core.shil, tau_s=core.tau_s,
        )  # fmt: skip
        given = torch.cat((u, nudge), 1)
    out = settle(
        network, given, z0=start.to(core.dtype), method=o.method, rtol=o.rtol, atol=o.atol, band=o.band,
        dwell_tau=o.dwell_tau, max_time_tau=o.max_time_tau, max_steps=o.max_steps,
    )  # fmt: skip
    if not bool(out.is_settled.all()):
        missing = int(torch.count_nonzero(~out.is_settled))
        how = "freely" if nudge is None else "with the error injected; lower beta"
        raise SettleError(f"{missing} of {u.shape[0]} samples do not settle {how}")
    return out.z


def _difference(
    core: PhaseCore, u: Tensor, plus: Tensor, minus: Tensor, step: float, loss: float, free: Tensor
) -> PropagatedGradient:
    """Each dE/dtheta, at one rest minus the other, over the step, averaged over the batch."""
    batch, n = u.shape[0], core.n_oscillators
    phasors = [torch.stack((z.cos(), z.sin()), 2) for z in (plus, minus)]
    products = [torch.einsum("bik,bjk->ij", phasor, phasor) for phasor in phasors]
    along = -(phasors[0] - phasors[1]) / step  # dE/dp = -cos, dE/dq = -sin, per sample
    pairs = torch.einsum("bik,bm->ikm", along, u) / batch
    return PropagatedGradient(
        W=-0.5 * (products[0] - products[1]) / (step * batch),
        U=pairs[:, 1] if core.U.shape[0] == n else pairs.flatten(0, 1),
        b=along.mean(0).flatten(),
        detuning=-(plus - minus).mean(0) / step,
        loss=loss,
        z=free,
    )
