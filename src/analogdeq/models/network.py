"""What training, counting and comparing ask of a model, and the one place where a model reaches an equilibrium."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from analogdeq.cores.analog import AnalogCore
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import Forward
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import Gradient
from analogdeq.stability.reached import Reached


class Realise(Protocol):
    """What becomes of a core in hardware, differentiable in the core's parameters."""

    def __call__(self, core: AnalogCore, index: int) -> AnalogCore:
        """The network that core number `index` of a model is there."""
        ...


class Model(Protocol):
    """A network that classifies, whatever is inside; every one is an `nn.Module` besides."""

    realise: Realise | None
    """Where its cores settle: None for the ideal ones; training sets it to a chip for the time of a minibatch."""

    reached: list[Reached]
    """The equilibria of the last forward pass, one per core; empty where there are none."""

    @property
    def log(self) -> SolveLog:
        """What the solves of the last forward and backward pass cost."""
        ...

    @property
    def cores(self) -> list[AnalogCore]:
        """The cores, in the order they are passed; empty for a feedforward network."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """What images must be converted to."""
        ...

    def digital_layers(self) -> list[nn.Module]:
        """The layers before each core and after the last, in order."""
        ...

    def analog_parameters(self) -> list[nn.Parameter]:
        """What crossbars store."""
        ...

    def digital_parameters(self) -> list[nn.Parameter]:
        """Everything else."""
        ...


def reach(
    core: AnalogCore,
    u: Tensor,
    *,
    forward: Forward | None,
    gradient: Gradient | None,
    log: SolveLog,
    realise: Realise | None = None,
    index: int = 0,
) -> Reached:
    """The differentiable equilibrium of a core, in the core's own precision whatever autocast says.

    Args:
        core: the network.
        u: (batch, input) [1].
        forward: how equilibria are found.
        gradient: how they are differentiated.
        log: filled with residuals and counts.
        realise: what becomes of the core before it settles; None for nothing.
        index: which core of the model it is.
    """
    with torch.autocast(u.device.type, enabled=False), parametrize.cached():
        # Computed here, with their graph, and not first inside a solve, which has none.
        parameters = core.trainable()
        if realise is not None:
            core = realise(core, index)
            parameters = core.trainable()
        u = u.to(core.dtype)
        z = equilibrium(core, u, forward=forward, gradient=gradient, log=log)
    return Reached(core=core, u=u, z=z, parameters=parameters)
