"""What the settle loop asks of a one-step method."""

from typing import Protocol

from torch import Tensor

from analogdeq.cores.core import Core, Drive


class Segment(Protocol):
    """Dense output: what happens inside one attempted step of some lanes."""

    def states(self, theta: Tensor) -> Tensor:
        """(row, point, node) at fractions `theta` (row, point) of the steps."""
        ...

    def energies(self, theta: Tensor) -> Tensor:
        """(row, point, term) float64 [W tau]: power integrated from the start of the steps."""
        ...


class Stepper(Protocol):
    """A one-step method at work on a batch; all tensors hold one row per active sample ("lane")."""

    @property
    def evaluations(self) -> Tensor:
        """(lane,) int64. Spent on all attempts so far."""
        ...

    @property
    def z(self) -> Tensor:
        """(lane, node). State at the start of the step."""
        ...

    @property
    def z_new(self) -> Tensor:
        """(lane, node). State at its end; valid after `attempt`."""
        ...

    @property
    def dz(self) -> Tensor:
        """(lane, node). dz/ds at `z`."""
        ...

    @property
    def dz_new(self) -> Tensor:
        """(lane, node). dz/ds at `z_new`."""
        ...

    def begin(self, core: Core, drive: Drive, z: Tensor) -> None:
        """Take a batch on."""
        ...

    def attempt(self, h: Tensor) -> Tensor:
        """Try steps of h (lane,); (lane,) float64: the largest local error of the state."""
        ...

    def accept(self, accepted: Tensor | None = None) -> None:
        """Advance the lanes marked in `accepted` (lane,) bool; all of them if None."""
        ...

    def next_step(self, h: Tensor, ratio: Tensor, before: Tensor) -> Tensor:
        """(lane,) the steps to try after steps h (lane,); asked for before `accept`, see `solve.controller`."""
        ...

    def energy_of_step(self, h: Tensor) -> Tensor:
        """(lane, term) float64 [W tau]: power integrated over the whole attempted steps h (lane,)."""
        ...

    def energy_error(self, h: Tensor) -> Tensor:
        """(lane, term) float64 [W tau]: the error of `energy_of_step`."""
        ...

    def segment(self, rows: Tensor, h: Tensor) -> Segment:
        """The attempted steps h (lane,) of some lanes (row,) as continuous functions of time."""
        ...

    def restart(self, rows: Tensor, z: Tensor) -> None:
        """Put some lanes back to the states `z` (row, node)."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Drop every other lane."""
        ...
