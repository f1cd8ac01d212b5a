"""The locked state of oscillators without a reference, with its collective frequency, differentiable."""

from typing import Any, final

import torch
from torch import Tensor

from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.cores.oscillators.corotating import Corotating
from analogdeq.errors import GradientError, SettleError
from analogdeq.gradient.forward import BySettling, Forward
from analogdeq.linalg.one_thread import one_thread

GAUGE_TOL = 1e-3
"""Largest cosine between a loss's gradient and the common rotation that rounding is allowed to leave (float32)."""


def rotating_wave(
    core: OscillatorCore, u: Tensor, *, forward: Forward | None = None, pinned: int = 0
) -> tuple[Tensor, Tensor]:
    """Where a network without a reference locks: its state in the frame that turns with it, and how fast that turns.

    The state a(s) = a* e^{i Omega s} is no equilibrium; Omega is an extra unknown. With f(z; theta) the flow, t(z) how
    z moves under a rotation, T its linear part, and the phase condition t(z*) . dz = 0, the derivative is that of the
    bordered system

        [ J - Omega T   -t ] [ dz     ]     [ df ]
        [ t^T            0 ] [ dOmega ] = - [ 0  ]

    A loss whose value changes under a rotation of all oscillators has no derivative here, since nothing says where
    the common phase stands; its backward pass is refused. The Moore-Penrose inverse of J - Omega T in place of the
    bordered system leaves dOmega out and is wrong wherever the left null vector differs from t.

    Args:
        core: the network; without injection and sub-harmonic injection.
        u: (batch, input) [1].
        forward: how the locked state is found in the frame of the pinned oscillator; `BySettling()` if None.
        pinned: which oscillator stands at phase 0 in the answer.

    Returns:
        (batch, node) the state with the pinned oscillator at phase 0, and (batch,) Omega [rad per tau].

    Raises:
        InputError: if a reference fixes the common phase.
        SettleError: if a sample does not lock.
        GradientError: in the backward pass, if the loss is not gauge-invariant, or the bordered system is singular.

    Source: docs/oscillators.md; bordered systems for relative equilibria, textbook (bifurcation theory).
    """
    frame = Corotating(core, pinned)
    with torch.no_grad():
        found = (forward or BySettling()).solve(frame, u.detach())
        if not bool(found.is_found.all()):
            missing = int(torch.count_nonzero(~found.is_found))
            raise SettleError(
                f"{missing} of {u.shape[0]} samples do not lock: there is no rotating wave to differentiate; couple "
                "more strongly than the detunings differ"
            )
        omega = frame.collective_frequency(found.z, frame.drive(u))
    z, omega = _RotatingWave.apply(core, frame.embed(found.z), omega, u, *core.trainable())
    return z, omega


@final
class _RotatingWave(torch.autograd.Function):
    """(z*, Omega) forward; backward by the transposed bordered system."""

    @staticmethod
    def forward(
        ctx: Any, core: OscillatorCore, z: Tensor, omega: Tensor, u: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.core = core
        ctx.save_for_backward(z, omega, u, *parameters)
        return z.clone(), omega.clone()

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise GradientError("a rotating wave can be differentiated once; take the gradient without create_graph")
        z, omega, u, *parameters = ctx.saved_tensors
        _refuse_gauge(ctx.core.rotation(z), grad[0])
        weight = _solve_bordered(ctx.core, z, omega, u, *grad)
        leaves = [
            t.detach().requires_grad_(needed)
            for t, needed in zip((u, *parameters), ctx.needs_input_grad[3:], strict=True)
        ]
        with torch.enable_grad():
            flow = ctx.core.flow(z.detach(), *leaves)
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        found = iter(torch.autograd.grad(flow, wanted, -weight, allow_unused=True))
        return (None, None, None, *(next(found) if leaf.requires_grad else None for leaf in leaves))


def _refuse_gauge(rotation: Tensor, g: Tensor) -> None:
    """Refuse a gradient with a part along the common rotation."""
    along = (rotation * g).sum(1).abs()
    size = torch.linalg.vector_norm(rotation, dim=1) * torch.linalg.vector_norm(g, dim=1)
    bad = ~(along <= GAUGE_TOL * size)
    if bool(bad.any()):
        worst = float(along.max())
        raise GradientError(
            f"the loss is not gauge-invariant: turning all oscillators by one radian changes it by {worst:.3g} "
            f"(in {int(bad.sum())} of {g.shape[0]} samples), and without a reference nothing says where their common "
            "phase stands. Use phase differences, amplitudes or an order parameter, or inject a reference"
        )


def _solve_bordered(core: OscillatorCore, z: Tensor, omega: Tensor, u: Tensor, g_z: Tensor, g_omega: Tensor) -> Tensor:
    """(batch, node): the first block of the transposed bordered system's solution, by LU."""
    n = z.shape[1]
    rotation = core.rotation(z)
    identity = torch.eye(n, dtype=z.dtype, device=z.device)
    jacobian = core.linearise(z, core.drive(u)).dense() - identity
    jacobian = jacobian - omega.view(-1, 1, 1) * core.rotation_part(identity).T
    top = torch.cat((jacobian, -rotation.unsqueeze(2)), 2)
    bottom = torch.cat((rotation, torch.zeros_like(rotation[:, :1])), 1).unsqueeze(1)
    matrix = torch.cat((top, bottom), 1)
    right = torch.cat((g_z, g_omega.unsqueeze(1)), 1)
    with one_thread(matrix):
        solution, info = torch.linalg.solve_ex(matrix.mT, right.unsqueeze(2))
    if bool((info != 0).any()) or not bool(torch.isfinite(solution).all()):
        raise GradientError("the bordered system of a rotating wave is singular: the lock is at the edge of its range")
    return solution[:, :n, 0]
