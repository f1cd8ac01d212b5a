"""What a loss term needs to know of an equilibrium."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from analogdeq.gradient.equilibrium import DifferentiableCore


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Reached:
    """Where one core came to rest in a forward pass, with the graph that leads there.

    Attributes:
        core: the network.
        u: (batch, input) [1]. Its input.
        z: (batch, node) [1]. Its equilibrium, differentiable as `equilibrium` returns it.
        parameters: the tensors `core.map_with` takes.
    """

    core: DifferentiableCore
    u: Tensor
    z: Tensor
    parameters: tuple[Tensor, ...]
