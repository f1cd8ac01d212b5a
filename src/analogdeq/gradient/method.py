"""How an equilibrium is differentiated: what every method has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive, Linearisation
from analogdeq.errors import GradientError, SettleError
from analogdeq.gradient.forward import FixedPoint, Forward
from analogdeq.gradient.log import SolveLog
from analogdeq.linalg.broyden import LowRankInverse
from analogdeq.linalg.system import LinearSolution


class DifferentiableCore(Core, Protocol):
    """A core whose fixed-point map automatic differentiation can follow."""

    def trainable(self) -> tuple[Tensor, ...]:
        """The tensors F depends on besides z and u, in the order `map_with` takes them."""
        ...

    def map_with(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """F(z; u) from explicit parameters."""
        ...


class Gradient(Protocol):
    """A way to differentiate an equilibrium; `equilibrium` has checked the input."""

    def attach(self, core: DifferentiableCore, u: Tensor, forward: Forward, log: SolveLog, throw: bool) -> Tensor:
        """(batch, input) -> (batch, node): the equilibrium, with a graph that leads back to the parameters and to u."""
        ...


@final
@dataclass(frozen=True)
class RestPoint:
    """An equilibrium that a gradient has reached on its way back; nothing in it is differentiated.

    Attributes:
        core: the network.
        u: (batch, input).
        parameters: as `core.trainable` gives them.
        z: (batch, node). Where it is.
        inverse: what the forward pass learnt of (J - I)^-1, if it did.
    """

    core: DifferentiableCore
    u: Tensor
    parameters: tuple[Tensor, ...]
    z: Tensor
    inverse: LowRankInverse | None

    def drive(self) -> Drive:
        """U u + b."""
        with torch.no_grad():
            return self.core.drive(self.u)

    def linearise(self) -> Linearisation:
        """J = dF/dz at the equilibrium."""
        with torch.no_grad():
            return self.core.linearise(self.z, self.drive())


class GradientAtRest(ABC):
    """Find the equilibrium first, by any means; come back to it alone when gradients are asked for.

    Memory is that of the equilibrium, however long the way to it was.
    """

    def attach(self, core: DifferentiableCore, u: Tensor, forward: Forward, log: SolveLog, throw: bool) -> Tensor:
        """(batch, input) -> (batch, node): z*."""
        with torch.no_grad():
            found = forward.solve(core, u.detach())
        note_forward(found, log, throw)
        z: Tensor = _AtRest.apply(core, self, log, found, found.z, u, *core.trainable())
        return z

    @abstractmethod
    def pull_back(self, point: RestPoint, g: Tensor, wanted: Sequence[bool], log: SolveLog) -> list[Tensor | None]:
        """The gradients of u and of each parameter, given that of z*.

        Args:
            point: the equilibrium.
            g: (batch, node). dL/dz*.
            wanted: which of u and the parameters need one.
            log: to be filled.
        """


class AdjointGradient(GradientAtRest):
    """Gradients of the form v^T dF/d(u, parameters), v an exact or approximate solution of (I - J^T) v = g."""

    @abstractmethod
    def adjoint(self, point: RestPoint, g: Tensor, log: SolveLog) -> LinearSolution:
        """(batch, node) -> v."""

    def pull_back(self, point: RestPoint, g: Tensor, wanted: Sequence[bool], log: SolveLog) -> list[Tensor | None]:
        """Solve for v, then one vector-Jacobian product through one evaluation of F."""
        with torch.no_grad():
            solution = self.adjoint(point, g, log)
        log.backward_residual = float(solution.relative_residual.max())
        log.backward_iterations = float(solution.iterations.double().mean())
        values = (point.u, *point.parameters)
        leaves = [value.detach().requires_grad_(needed) for value, needed in zip(values, wanted, strict=True)]
        with torch.enable_grad():
            image = point.core.map_with(point.z, *leaves)
        open_leaves = [leaf for leaf in leaves if leaf.requires_grad]
        found = iter(torch.autograd.grad(image, open_leaves, solution.x, allow_unused=True))
        return [next(found) if leaf.requires_grad else None for leaf in leaves]


def note_forward(found: FixedPoint, log: SolveLog, throw: bool) -> None:
    """Write the forward part of the log.

    Raises:
        SettleError: with `throw`, if a sample has no equilibrium.
    """
    log.forward_residual = float(found.residual.max())
    log.forward_evaluations = float(found.evaluations.double().mean())
    log.unsettled = int(torch.count_nonzero(~found.is_found))
    if throw and log.unsettled:
        raise SettleError(
            f"{log.unsettled} of {found.is_found.numel()} samples have no equilibrium within reach (largest residual "
            f"{log.forward_residual:.2e}); lower the gain of W, or settle them to see their verdicts"
        )


def unit_size(g: Tensor) -> tuple[Tensor, Tensor]:
    """(batch, node) -> g with a peak of 1 in each row, and the peaks (batch, 1), 1 where a row is 0.

    Squares of a small gradient's entries would be lost below the smallest number, and an analog array has a range.

    Raises:
        GradientError: if g is not finite.
    """
    size = g.abs().amax(1, keepdim=True)
    if not bool(torch.isfinite(size).all()):
        bad = int((~torch.isfinite(size)).sum())
        raise GradientError(
            f"the gradient that reaches the equilibrium is NaN or infinite for {bad} of {g.shape[0]} samples; look "
            "for the cause behind the equilibrium, in the readout or the loss"
        )
    size = torch.where(size > 0, size, 1)
    return g / size, size


@final
class _AtRest(torch.autograd.Function):
    """z* forward, `pull_back` backward; every tensor is handed in, none captured."""

    @staticmethod
    def forward(
        ctx: Any,
        core: DifferentiableCore,
        gradient: GradientAtRest,
        log: SolveLog,
        found: FixedPoint,
        z: Tensor,
        u: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.core, ctx.gradient, ctx.log = core, gradient, log
        ctx.inverse = found.inverse
        ctx.save_for_backward(z, u, *parameters)
        return z.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # `once_differentiable` would say nothing where g is a constant
            raise GradientError(
                "an equilibrium can be differentiated once: a second derivative would silently lack the change of the "
                "equilibrium; take the gradient without create_graph"
            )
        z, u, *parameters = ctx.saved_tensors
        point = RestPoint(ctx.core, u, tuple(parameters), z, ctx.inverse)
        return (None,) * 5 + tuple(ctx.gradient.pull_back(point, g, ctx.needs_input_grad[5:], ctx.log))
