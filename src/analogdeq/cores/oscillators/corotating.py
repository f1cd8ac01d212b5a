"""Oscillators without a reference, seen from one of them: the rotating wave becomes an ordinary equilibrium."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.around import AroundCore
from analogdeq.cores.core import Drive, Linearisation
from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.errors import InputError


@final
@dataclass(frozen=True)
class CorotatingDrive(Drive):
    """The drive of the whole network; `current` only has the shape of the state.

    Attributes:
        inner: what the network's own equations take.
    """

    inner: Drive

    def rows(self, index: Tensor) -> "CorotatingDrive":
        """The drive of some samples."""
        return CorotatingDrive(self.current[index], self.standing_power_W[index], self.inner.rows(index))


@final
class Corotating(AroundCore[OscillatorCore]):
    """A network whose common phase nothing fixes, in the frame that turns with one of its oscillators.

    Without a reference, a rotation of all oscillators changes nothing, and what they lock into turns as a whole at a
    collective frequency Omega. With t(z) how z moves under a rotation and g the state that says the phase of the
    pinned oscillator, held at phase 0,

        dx/ds = [ f(z) - Omega t(z) ] without its entry g,     Omega(z) = f_g(z) / t_g(z),     z = x with 0 put in at g

    has the locked states as plain equilibria, a regular Jacobian, and Omega follows from the state. Whatever is
    computed from x does not change when all oscillators are turned together: x is what the symmetry leaves.

    Args:
        core: the network; without injection and sub-harmonic injection.
        pinned: the oscillator to turn with.

    Raises:
        InputError: if a reference fixes the common phase, or there is no such oscillator.

    Source: docs/oscillators.md, the quotient by the rotation.
    """

    power_terms: tuple[str, ...] = ()

    def __init__(self, core: OscillatorCore, pinned: int = 0) -> None:
        if core.has_reference:
            raise InputError(
                "this network has a reference (an injection U, b or shil): its locked state is an equilibrium already; "
                "use the core itself"
            )
        if not 0 <= pinned < core.n_oscillators:
            raise InputError(f"there is no oscillator {pinned}; the core has {core.n_oscillators}, counted from 0")
        if core.n_oscillators < 2:
            raise InputError("one oscillator alone has no phase but that of the frame; want at least two")
        self._core, self.pinned = core, pinned
        self.node = core.pinned_node(pinned)
        self.work_buffers = 0

    @property
    def core(self) -> OscillatorCore:
        """The whole network."""
        return self._core

    @property
    def turn(self) -> float | None:
        """Length after which every state repeats; None where states are no angles."""
        turn: float | None = getattr(self.core, "turn", None)
        return turn

    @property
    def n_nodes(self) -> int:
        """How many states there are: one less than the network has."""
        return self.core.n_nodes - 1

    def contraction_gap(self) -> float:
        """0: no bound holds everywhere."""
        return 0.0

    def trainable(self) -> tuple[Tensor, ...]:
        """The network's."""
        return self.core.trainable()

    def embed(self, x: Tensor) -> Tensor:
        """(batch, node) -> (batch, node + 1): the network's state, with the pinned oscillator at phase 0."""
        return torch.cat((x[:, : self.node], torch.zeros_like(x[:, :1]), x[:, self.node :]), 1)

    def without_pinned(self, z: Tensor) -> Tensor:
        """(batch, node + 1) -> (batch, node): leave the pinned state out."""
        return torch.cat((z[:, : self.node], z[:, self.node + 1 :]), 1)

    def drive(self, u: Tensor) -> CorotatingDrive:
        """(batch, input) -> the drive, computed once per settle."""
        inner = self.core.drive(u)
        return CorotatingDrive(u.new_zeros(u.shape[0], self.n_nodes), u.new_zeros(u.shape[0], 0), inner)

    def initial_state(self, drive: Drive) -> Tensor:
        """(batch, node): oscillators released together."""
        return self.without_pinned(self.core.initial_state(_inner(drive)))

    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dx/ds into `dz`."""
        dz.copy_(self._motion(*self._flow(z, _inner(drive))))

    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, node): x + dx/ds."""
        return z + self._motion(*self._flow(z, _inner(drive)))

    def map_with(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """X + dx/ds with every tensor of `trainable` handed in, for automatic differentiation."""
        full = self.embed(z)
        return z + self._motion(full, self.core.flow(full, u, *parameters))

    def collective_frequency(self, x: Tensor, drive: Drive) -> Tensor:
        """(batch,) [rad per tau]: Omega, how fast the whole network turns, once x is at rest."""
        full, flow = self._flow(x, _inner(drive))
        return flow[:, self.node] / self.core.rotation(full)[:, self.node]

    def linearise(self, z: Tensor, drive: Drive) -> "CorotatingLinearisation":
        """The Jacobian of x + dx/ds."""
        inner = _inner(drive)
        full, flow = self._flow(z, inner)
        rotation = self.core.rotation(full)
        omega = (flow[:, self.node] / rotation[:, self.node]).unsqueeze(1)
        return CorotatingLinearisation(self, self.core.linearise(full, inner), rotation, omega)

    def _flow(self, x: Tensor, inner: Drive) -> tuple[Tensor, Tensor]:
        full = self.embed(x)
        return full, self.core.fixed_point_map(full, inner) - full

    def _motion(self, full: Tensor, flow: Tensor) -> Tensor:
        rotation, g = self.core.rotation(full), self.node
        return self.without_pinned(flow - (flow[:, g] / rotation[:, g]).unsqueeze(1) * rotation)


@final
@dataclass(frozen=True)
class CorotatingLinearisation:
    """J = 1 + S (Jf - Omega T - t dOmega) S^T, with S what leaves the pinned state out."""

    frame: Corotating
    inner: Linearisation
    rotation: Tensor
    omega: Tensor

    def matvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J v."""
        full, frame = self.frame.embed(v), self.frame
        turned = frame.core.rotation_part(full)
        change = self.inner.matvec(full) - full - self.omega * turned
        slip = (change[:, frame.node] / self.rotation[:, frame.node]).unsqueeze(1)
        return v + frame.without_pinned(change - slip * self.rotation)

    def rmatvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J^T v."""
        full, frame = self.frame.embed(v), self.frame
        weight = -(full * self.rotation).sum(1) / self.rotation[:, frame.node]
        full = full.index_copy(1, torch.tensor([frame.node], device=v.device), weight.unsqueeze(1))
        back = self.inner.rmatvec(full) - full - self.omega * frame.core.rotation_part_transposed(full)
        return v + frame.without_pinned(back)

    def dense(self) -> Tensor:
        """(batch, node, node): J, one column of every sample per product."""
        n, like = self.rotation.shape[1] - 1, self.rotation
        units = torch.eye(n, dtype=like.dtype, device=like.device)
        return torch.stack([self.matvec(unit.expand(like.shape[0], n)) for unit in units], 2)


def _inner(drive: Drive) -> Drive:
    if not isinstance(drive, CorotatingDrive):
        raise TypeError(f"a Corotating takes the drive it made itself, not a {type(drive).__name__}")
    return drive.inner
