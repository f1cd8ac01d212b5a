"""One training step in several ways, for `bench train`: each gives the gradients of W, U and b."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, final

import torch
from torch import Tensor, nn

from analogdeq.cores.rc import RCCore
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import ByRootFinding, BySettling, Forward
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.method import Gradient
from analogdeq.gradient.trajectory import AdjointOptions, TransientGradient
from analogdeq.solve.options import SettleOptions

HORIZON_TAU = 30.0
MAX_ITER = 300
COARSE = (1e-3, 1e-4, 1e-5)
"""Tolerances of the way that takes seconds."""


@final
@dataclass(frozen=True)
class Job:
    """What is trained: tanh core, inputs, and targets of the loss sum |z* - t|^2 / (2 batch).

    Attributes:
        core: with W, U and b to be trained.
        u: (batch, input).
        target: (batch, node).
    """

    core: RCCore
    u: Tensor
    target: Tensor

    def loss(self, z: Tensor) -> Tensor:
        """() of the states reached."""
        return 0.5 * (z - self.target).square().sum() / z.shape[0]

    def gradient(self) -> Tensor:
        """All gradients in a row, float64."""
        return torch.cat(
            [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in self.parameters()]
        ).double()

    def parameters(self) -> list[nn.Parameter]:
        """W, U and b."""
        return list(self.core.parameters())

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters():
            parameter.grad = None


Step = Callable[[Job, float], None]
"""(job, tolerance): forward, loss and backward."""


@final
@dataclass(frozen=True)
class Way:
    """One way to take a training step.

    Attributes:
        name: as the table shows it.
        step: takes it.
        package: what must be importable besides; "" for nothing.
        tolerances: tried from the loosest.
    """

    name: str
    step: Step
    package: str = ""
    tolerances: tuple[float, ...] = tuple(10 ** (-2 - k / 6) for k in range(31))

    def is_installed(self) -> bool:
        """Whether its package can be found."""
        return not self.package or find_spec(self.package) is not None


def _plain(job: Job, tol: float) -> None:
    """Picard to `tol`, then the Neumann series to `tol`: what one writes by hand, with one stopping rule per batch."""
    W, U, b = job.core.W, job.core.U, job.core.b
    with torch.no_grad():
        current, z = torch.addmm(b, job.u, U.T), torch.zeros_like(job.target)
        for _ in range(MAX_ITER):
            new = torch.tanh(torch.addmm(current, z, W.T))
            change, z = float((new - z).abs().max()), new
            if change < tol:
                break
    image = torch.tanh(z @ W.T + job.u @ U.T + b)
    at_rest = image.detach().requires_grad_(True)
    (g,) = torch.autograd.grad(job.loss(at_rest), at_rest)
    with torch.no_grad():
        slope, v, size = 1 - image.square(), g, float(g.norm())
        for _ in range(MAX_ITER):
            new = g + (slope * v) @ W
            change, v = float((new - v).norm()), new
            if change < tol * size:
                break
    image.backward(v)


def _ours(forward: Callable[[float], Forward], gradient: Callable[[float], Gradient]) -> Step:
    def step(job: Job, tol: float) -> None:
        job.loss(equilibrium(job.core, job.u, forward=forward(tol), gradient=gradient(tol))).backward()

    return step


def _implicit(tol: float) -> Gradient:
    return ImplicitGradient(tol=tol, max_iter=MAX_ITER)


def _root(tol: float) -> Forward:
    return ByRootFinding(tol=tol)


def _settle(tol: float) -> Forward:
    # The state returned is the rest itself, found to rounding, so only the gradient's tolerance matters.
    return BySettling(SettleOptions())


def _transient(tol: float) -> Gradient:
    return TransientGradient(horizon_tau=HORIZON_TAU, options=AdjointOptions(rtol=tol, atol=tol))


def _torchdeq(job: Job, tol: float) -> None:
    from torchdeq import get_deq

    W, U, b = job.core.W, job.core.U, job.core.b
    current = torch.addmm(b, job.u, U.T)
    options: dict[str, Any] = {"f_max_iter": MAX_ITER, "b_max_iter": MAX_ITER, "f_tol": tol, "b_tol": tol, "ift": True}
    deq = get_deq(f_solver="anderson", b_solver="anderson", f_stop_mode="rel", b_stop_mode="rel", **options)
    z, _ = deq(lambda z: torch.tanh(torch.addmm(current, z, W.T)), torch.zeros_like(job.target))
    job.loss(z[-1]).backward()


PLAIN = "plain fixed point, implicit"
ROOT = "ours, root finder"
SETTLE = "ours, settled as an ODE"
WAYS = (
    Way(PLAIN, _plain),
    Way(ROOT, _ours(_root, _implicit)),
    Way(SETTLE, _ours(_settle, _implicit)),
    Way("torchdeq, Anderson both ways", _torchdeq, "torchdeq"),
    Way(
        f"torchdiffeq adjoint, {HORIZON_TAU:g} tau",
        _ours(lambda tol: ByRootFinding(), _transient),
        "torchdiffeq",
        COARSE,
    ),
)
