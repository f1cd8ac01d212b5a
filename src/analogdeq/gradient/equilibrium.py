"""`equilibrium`: the differentiable fixed point of a core."""

from typing import Any, Protocol, final

import torch
from torch import Tensor

from analogdeq.cores.core import Core
from analogdeq.errors import GradientError, InputError, SettleError
from analogdeq.gradient.forward import BySettling, FixedPoint, Forward
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.log import SolveLog


class DifferentiableCore(Core, Protocol):
    """A core whose fixed-point map automatic differentiation can follow."""

    def trainable(self) -> tuple[Tensor, ...]:
        """The tensors F depends on besides z and u, in the order `map_with` takes them."""
        ...

    def map_with(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """F(z; u) from explicit parameters."""
        ...


def equilibrium(
    core: DifferentiableCore,
    u: Tensor,
    *,
    gradient: ImplicitGradient | None = None,
    forward: Forward | None = None,
    log: SolveLog | None = None,
    throw: bool = False,
) -> Tensor:
    """The equilibrium of every sample, differentiable in the core's parameters and in u.

    Args:
        core: the network.
        u: (batch, input) [1].
        gradient: how to differentiate; `ImplicitGradient()` if None.
        forward: how to find the equilibrium; `BySettling()` if None.
        log: filled with residuals and counts.
        throw: raise if a sample has no equilibrium, instead of counting it in `log.unsettled`. Without it the gradient
            of such a sample is that of a point which is no equilibrium.

    Returns:
        (batch, node) [1]. z*.

    Raises:
        InputError: for unusable input.
        SettleError: with `throw`.
        GradientError: in the backward pass, if the linear solve fails or a second derivative is asked for.
    """
    _check_input(core, u)
    log = SolveLog() if log is None else log
    with torch.no_grad():
        found = (forward or BySettling()).solve(core, u.detach())
    _note(found, log, throw)
    z: Tensor = _Equilibrium.apply(core, gradient or ImplicitGradient(), log, found.z, u, *core.trainable())
    return z


def _check_input(core: DifferentiableCore, u: Tensor) -> None:
    if not isinstance(u, Tensor):
        raise InputError(f"u must be a torch tensor of shape (batch, {core.n_inputs}), not {type(u).__name__}")
    if u.ndim != 2 or u.shape[1] != core.n_inputs:
        raise InputError(f"u must have shape (batch, {core.n_inputs}), got {tuple(u.shape)}")
    if u.shape[0] == 0:
        raise InputError("u is an empty batch; there is no equilibrium to find")
    if u.dtype != core.dtype:
        raise InputError(f"u is {u.dtype} but the core computes in {core.dtype}; convert one of them")
    if not core.is_finite():
        raise InputError("the core's weights hold NaN or infinity; no equilibrium is defined")


def _note(found: FixedPoint, log: SolveLog, throw: bool) -> None:
    log.forward_residual = float(found.residual.max())
    log.forward_evaluations = float(found.evaluations.double().mean())
    log.unsettled = int(torch.count_nonzero(~found.is_found))
    if throw and log.unsettled:
        raise SettleError(
            f"{log.unsettled} of {found.is_found.numel()} samples have no equilibrium within reach (largest residual "
            f"{log.forward_residual:.2e}); lower the gain of W, or settle them to see their verdicts"
        )


@final
class _Equilibrium(torch.autograd.Function):
    """z* forward, v^T dF/d(u, parameters) backward; every tensor is handed in, none captured."""

    @staticmethod
    def forward(
        ctx: Any,
        core: DifferentiableCore,
        gradient: ImplicitGradient,
        log: SolveLog,
        z: Tensor,
        u: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.core, ctx.gradient, ctx.log = core, gradient, log
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
        leaves = [
            t.detach().requires_grad_(needed)
            for t, needed in zip((u, *parameters), ctx.needs_input_grad[4:], strict=True)
        ]
        z = z.detach().requires_grad_(True)
        with torch.enable_grad():
            image = ctx.core.map_with(z, *leaves)
        solution = ctx.gradient.solve(_Tape(image, z), g)
        ctx.log.backward_residual = float(solution.relative_residual.max())
        ctx.log.backward_iterations = float(solution.iterations.double().mean())
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        found = iter(torch.autograd.grad(image, wanted, solution.x, allow_unused=True))
        return (None, None, None, None, *(next(found) if leaf.requires_grad else None for leaf in leaves))


@final
class _Tape:
    """The Jacobian of an evaluated map, by automatic differentiation through the one recorded evaluation."""

    def __init__(self, image: Tensor, z: Tensor) -> None:
        self._image, self._z = image, z

    def rmatvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J^T v."""
        (product,) = torch.autograd.grad(self._image, self._z, v, retain_graph=True)
        return product

    def matvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J v, by differentiating the product J^T w in w."""
        w = torch.zeros_like(v, requires_grad=True)
        (product,) = torch.autograd.grad(self._image, self._z, w, retain_graph=True, create_graph=True)
        (image,) = torch.autograd.grad(product, w, v)
        return image

    def dense(self) -> Tensor:
        """(batch, node, node): J, one row of every sample per product."""
        n = self._z.shape[1]
        rows = [
            self.rmatvec(unit.expand_as(self._z)) for unit in torch.eye(n, dtype=self._z.dtype, device=self._z.device)
        ]
        return torch.stack(rows, 1)
