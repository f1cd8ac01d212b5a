"""`equilibrium`: the differentiable fixed point of a core."""

from torch import Tensor

from analogdeq.errors import InputError
from analogdeq.gradient.forward import BySettling, Forward
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import DifferentiableCore, Gradient


def equilibrium(
    core: DifferentiableCore,
    u: Tensor,
    *,
    gradient: Gradient | None = None,
    forward: Forward | None = None,
    log: SolveLog | None = None,
    throw: bool = False,
) -> Tensor:
    """The equilibrium of every sample, differentiable in the core's parameters and in u.

    Args:
        core: the network.
        u: (batch, input) [1].
        gradient: how to differentiate; `ImplicitGradient()` if None. docs/gradients.md compares them.
        forward: how to find the equilibrium; `BySettling()` if None. Gradients that run a forward pass of their own,
            `UnrolledGradient` and `TransientGradient`, do not use it.
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
    return (gradient or ImplicitGradient()).attach(core, u, forward or BySettling(), log, throw)


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
