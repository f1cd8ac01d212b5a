"""Rests of a network whose nudging current is a complex number."""

import math

import torch
from torch import Tensor

from analogdeq.cores.core import Drive
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.errors import GradientError, InputError
from analogdeq.gradient.log import SolveLog
from analogdeq.linalg.gmres import solve_gmres

ANALYTIC = ("tanh", "sigmoid", "identity")
MAX_STEPS = 30


def complex_rests(
    core: SaturatingNetwork, drive: Drive, z: Tensor, g: Tensor, beta: float, points: int, log: SolveLog
) -> list[tuple[float, float, Tensor, Tensor]]:
    """The rests under nudges -beta exp(i t) g, t = 2 pi k / points, by Newton steps with the Jacobian of the real rest.

    Rests at conjugate nudges are conjugate, so those with 0 <= t <= pi are enough.

    Args:
        core: with an analytic activation.
        drive: its constant drive.
        z: (batch, node). The rest without a nudge.
        g: (batch, node). What to nudge along.
        beta: radius of the circle.
        points: how many rests the whole circle has, even.
        log: gets the evaluations spent.

    Returns:
        Weight of the mean over the circle, t, and real and imaginary part (batch, node), of each.

    Raises:
        InputError: for an activation with kinks.
        GradientError: if a rest is not found.
    """
    if core.activation.name not in ANALYTIC:
        raise InputError(
            f"holomorphic equilibrium propagation needs an analytic activation, one of {', '.join(ANALYTIC)}; "
            f"{core.activation.name!r} has kinks: use the centred variant"
        )
    half = points // 2
    turns = [2 * math.pi * k / points for k in range(half + 1)]
    batch = z.shape[0]
    angle = torch.tensor(turns, dtype=torch.float64).repeat_interleave(batch).unsqueeze(1)
    nudge = beta * g.repeat(half + 1, 1)
    real_c = drive.current.repeat(half + 1, 1) - torch.cos(angle).to(g) * nudge
    imaginary_c = -torch.sin(angle).to(g) * nudge
    x, y = _solve(core, drive, z, real_c, imaginary_c, half + 1, log)
    weights = [1 / points if k in (0, half) else 2 / points for k in range(half + 1)]
    return [
        (weight, turn, xs, ys)
        for weight, turn, xs, ys in zip(weights, turns, x.split(batch), y.split(batch), strict=True)
    ]


def _solve(
    core: SaturatingNetwork, drive: Drive, z: Tensor, real_c: Tensor, imaginary_c: Tensor, copies: int, log: SolveLog
) -> tuple[Tensor, Tensor]:
    """(copies * batch, node) twice: z = a phi(W z + c) for complex c, from the real rest."""
    batch = z.shape[0]
    rows = torch.arange(batch, device=z.device).repeat(2 * copies)
    linear = core.linearise(z[rows], drive.rows(rows))
    x, y = z.repeat(copies, 1), torch.zeros_like(real_c)
    tol = 16 * torch.finfo(z.dtype).eps * core.full_scale
    spent, residual = 0.0, math.inf
    for _ in range(MAX_STEPS):
        p = torch.complex(core.preactivation(x, real_c), core.preactivation(y, imaginary_c))
        motion = core.gain * core.activation.function(p)
        left = torch.cat((motion.real - x, motion.imag - y))
        before, residual = residual, float(left.abs().max())
        spent += 2 * copies
        # Rounding stops the search where a step no longer helps.
        if residual <= tol or (residual <= 64 * tol and residual > 0.5 * before):
            log.backward_iterations = spent
            return x, y
        step = solve_gmres(linear.matvec, left, tol=1e-3, max_iter=100)
        spent += float(step.iterations.double().mean()) * 2 * copies
        dx, dy = step.x.split(copies * batch)
        x, y = x + dx, y + dy
    raise GradientError(
        f"no complex rest within {MAX_STEPS} Newton steps (residual {residual:.1e}); lower beta: the circle must stay "
        "inside the region where the rest is an analytic function of the nudge"
    )
