"""What a settle needs to know of a network: the core protocol."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True)
class Drive:
    """What stays constant during one settle, computed once.

    Attributes:
        current: (batch, node) [1]. U u + b, the part of the pre-activation that the state does not change.
        standing_power_W: (batch, term) [W]. The part of each power term that the state does not change.
    """

    current: Tensor
    standing_power_W: Tensor

    def rows(self, index: Tensor) -> "Drive":
        """The drive of some samples."""
        return Drive(self.current[index], self.standing_power_W[index])


class Linearisation(Protocol):
    """The Jacobian J = dF/dz of the fixed-point map at one state per sample."""

    def matvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J v."""
        ...

    def rmatvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J^T v."""
        ...

    def dense(self) -> Tensor:
        """(batch, node, node): J itself."""
        ...


class Core(Protocol):
    """A network with a state, as the solvers see it.

    Time is dimensionless, in units of `tau_s`, everywhere but in `tau_s` itself and in watts.
    """

    power_terms: tuple[str, ...]
    """The names along the last axis of a power; empty for a core without a circuit."""
    work_buffers: int
    """How many state-sized buffers `evaluate` needs, so that the solver allocates them once and not per evaluation."""

    @property
    def n_nodes(self) -> int:
        """How many states there are."""
        ...

    @property
    def n_inputs(self) -> int:
        """How many inputs drive them."""
        ...

    @property
    def full_scale(self) -> float:
        """The largest |z| of a saturated node; 1 where nothing saturates."""
        ...

    @property
    def tau_s(self) -> float:
        """The unit of time [s]: the slowest node's time constant."""
        ...

    @property
    def rate(self) -> Tensor | None:
        """(node,) [1]. `tau_s` over each node's time constant, at least 1; None where all are equal."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the state."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the state lives."""
        ...

    def drive(self, u: Tensor) -> Drive:
        """(batch, input) -> the constant part of the dynamics."""
        ...

    def initial_state(self, drive: Drive) -> Tensor:
        """(batch, node): the state at power-on."""
        ...

    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dz/ds (batch, node) and the power of each term (batch, term) into the given buffers.

        `work` is (work_buffers, batch, node); its content is lost.
        """
        ...

    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, node): F(z); the equilibria are its fixed points."""
        ...

    def linearise(self, z: Tensor, drive: Drive) -> Linearisation:
        """The Jacobian of F at z."""
        ...

    def contraction_gap(self) -> float:
        """1 - Lipschitz constant of F in the Euclidean norm, certified; 0 where F is no contraction in that norm."""
        ...

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        ...


@runtime_checkable
class Angular(Protocol):
    """A core whose states are angles: a state and one that is whole turns away are the same oscillation."""

    @property
    def turn(self) -> float | None:
        """Length after which every state repeats; None where states are no angles after all."""
        ...


def turn_of(core: Core) -> float | None:
    """Length after which every state of a core repeats; None for states that are no angles."""
    return core.turn if isinstance(core, Angular) else None
