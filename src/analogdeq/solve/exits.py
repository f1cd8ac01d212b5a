"""When the linearised circuit is last outside a band, in a Krylov space of its state."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import pad

from analogdeq.linalg.exponential import exponential
from analogdeq.linalg.short_arnoldi import ShortSpace
from analogdeq.solve.decay import POINTS_LOG2, Decay, norms, orbit

GRIDS, PARTS = 2, 8
"""In the interval that holds the exit: as many grids, each in one of so many parts of the one before."""
LEVELS = 6
"""What may hold the exit is looked at in 2^6 equal parts again, so many times at the most."""
AT_ONCE = 4
"""Points whose states are looked at together."""
TURN = 0.3
"""How far, in radians or e-folds, the state may go from one point to the next where an exit is looked for."""
FINE = 0.03
"""How far it may go where a later peak is so near the edge of the band that it may be outside between two points."""
JUMP = 1e-3
"""Of the time until the exit: by how much that may change within the margin of the band."""


@final
@dataclass(frozen=True, kw_only=True)
class Exits:
    """When decaying states are last outside the band.

    Attributes:
        after: (lane,) float64 [tau]. 0 where they never are.
        offset: (lane, node). Where they are then, relative to rest.
        is_resolved: (lane,) bool. Whether the points were close enough to see every excursion, and none but the last
            is the last in every band within the margin.
    """

    after: Tensor
    offset: Tensor
    is_resolved: Tensor

    @classmethod
    def of(cls, space: ShortSpace, decay: Decay, band: float, margin: Tensor) -> "Exits":
        """Look at equally spaced points, and again at what may hold the exit, until the state hardly turns in between.

        The norm of a state bounds its largest entry, and decays more evenly, so it says where no exit can be any more.

        Args:
            space: of the linearised circuit.
            decay: of the states in it.
            band: half width of the band, in the maximum norm.
            margin: (lane,) by what fraction the states may be off.
        """
        lanes = decay.step.shape[0]
        after, offset = torch.zeros_like(decay.step), space.basis.new_empty(lanes, space.basis.shape[2])
        is_resolved = torch.zeros(lanes, dtype=torch.bool, device=after.device)
        rows, begin, step, points = torch.arange(lanes, device=after.device), after.clone(), decay.step, decay.points
        for _ in range(LEVELS):
            norm = norms(space, points)
            until = _last(norm > 0.99 * band) + 1
            surely = int(_last(norm > band * space.basis.shape[2] ** 0.5).min())
            far = _largest(space.basis, points[:, :, surely : int(until.max()) + 1])
            far = pad(far, (surely, points.shape[2] - surely - far.shape[1]), value=0.0)
            last = _last(far > band)
            bracket = Bracket.of(space, points, step, last)
            turn = bracket.turn
            is_fine = (turn <= TURN) & ((turn <= FINE) | ~_grazes(far, last, band * (1 - turn.square() / 8)))
            share, at_exit = bracket.exit(space.basis, far, band)
            done, at = torch.nonzero(is_fine).squeeze(1), rows[is_fine]
            after[at], offset[at] = (begin + (last + share) * step)[done], at_exit[done]
            inner, outer = (band * (1 + sign * margin[rows]) for sign in (-1, 1))
            first = _last(far > outer.unsqueeze(1))
            jump = _return(far, first, inner) * step
            is_resolved[at] = (jump <= JUMP * (begin + last * step))[done]
            again = torch.nonzero(~is_fine & decay.is_over[rows]).squeeze(1)
            if again.numel() == 0:
                break
            rows, space = rows[again], space.rows(again)
            start = points[again].gather(2, first[again].view(-1, 1, 1).expand(-1, points.shape[1], 1)).squeeze(2)
            begin = (begin + first * step)[again]
            step = ((until - first).clamp_min(1) * step)[again] / 2**POINTS_LOG2
            points = orbit(exponential(space.H, step), start, POINTS_LOG2)
        return cls(after=after, offset=offset, is_resolved=is_resolved)


@final
@dataclass(frozen=True, kw_only=True)
class Bracket:
    """The interval that holds the exit, and Hermite's cubic through its ends.

    Attributes:
        ends: (lane, m, 2). Weights at its ends.
        slopes: (lane, m, 2). Their changes over its length, by their derivatives there.
        index: (lane,) int64. Of its first point.
    """

    ends: Tensor
    slopes: Tensor
    index: Tensor

    @classmethod
    def of(cls, space: ShortSpace, points: Tensor, step: Tensor, last: Tensor) -> "Bracket":
        """The interval after `last` (lane,), of `points` (lane, m, point) that are `step` (lane,) apart."""
        index = last.clamp_max(points.shape[2] - 2)
        at = torch.stack((index, index + 1), 1).unsqueeze(1).expand(-1, points.shape[1], 2)
        ends = points.gather(2, at)
        return cls(ends=ends, slopes=space.H @ ends * step.view(-1, 1, 1), index=index)

    @property
    def turn(self) -> Tensor:
        """(lane,) how far the state goes, in radians or e-folds."""
        size = torch.linalg.vector_norm(self.ends[:, :, 0], dim=1)
        return torch.linalg.vector_norm(self.slopes[:, :, 0], dim=1) / size.clamp_min(1e-300)

    def weights(self, share: Tensor) -> Tensor:
        """(lane, m, point) at fractions (lane, point) of the interval."""
        s = share.unsqueeze(1)
        begin, end = self.ends.split(1, 2)
        leave, arrive = self.slopes.split(1, 2)
        change = end - begin
        return begin + s * (leave + s * (3 * change - 2 * leave - arrive + s * (leave + arrive - 2 * change)))

    def exit(self, basis: Tensor, far: Tensor, band: float) -> tuple[Tensor, Tensor]:
        """(lane,) fraction at which the state leaves, 0 if it was always inside, and (lane, node) the state there.

        Nested grids, not false position: where another node becomes the farthest, the distance has a corner, and an end
        of the bracket that never moves holds up the other one.
        """
        is_outside = far.gather(1, self.index.unsqueeze(1)) > band
        share, width = torch.zeros_like(is_outside, dtype=torch.float64), 1.0
        fractions = torch.linspace(0, 1, PARTS + 1, dtype=torch.float64, device=far.device)
        for _ in range(GRIDS):
            points = share + width * fractions
            distance = (_largest(basis, self.weights(points)) / band).clamp_min(1e-6).log()
            last = _last(distance > 0).clamp_max(PARTS - 1).unsqueeze(1)
            share, width = points.gather(1, last), width / PARTS
        high, low = distance.gather(1, last), distance.gather(1, last + 1)
        share = torch.where(is_outside, share + width * (high / (high - low)).nan_to_num(0.0).clamp(0, 1), 0.0)
        state = torch.bmm(self.weights(share).transpose(1, 2).to(basis.dtype), basis).squeeze(1)
        return share.squeeze(1), state


def _largest(basis: Tensor, weights: Tensor) -> Tensor:
    """(lane, point) float64: the largest entry of each state; a few points at a time, which are as many states."""
    parts = weights.to(basis.dtype).transpose(1, 2).split(AT_ONCE, 1)
    return torch.cat([torch.bmm(part, basis).abs_().amax(2) for part in parts], 1).to(torch.float64)


def _grazes(far: Tensor, last: Tensor, inner: Tensor) -> Tensor:
    """(lane,) bool: whether a state after the point `last` and the next is farther than `inner`, both (lane,)."""
    index = torch.arange(far.shape[1], device=far.device)
    return ((far > inner.unsqueeze(1)) & (index > last.unsqueeze(1) + 1)).any(1)


def _return(far: Tensor, first: Tensor, inner: Tensor) -> Tensor:
    """(lane,) int64: by how many points after the point `first` a state is last farther than `inner`, both (lane,).

    0 where none in between is nearer, so that it is all one excursion.
    """
    index, begin = torch.arange(far.shape[1], device=far.device), first.unsqueeze(1)
    is_far = far > inner.unsqueeze(1)
    end = _last(is_far)
    is_back = (~is_far & (index > begin) & (index < end.unsqueeze(1))).any(1)
    return torch.where(is_back, end - first, 0)


def _last(is_so: Tensor) -> Tensor:
    """(lane,) int64: the last point at which it is so; 0 where it never is."""
    index = torch.arange(is_so.shape[1], device=is_so.device)
    return torch.where(is_so, index, 0).amax(1)
