"""What becomes of a small perturbation of a trajectory until it returns: whether the orbit that it follows attracts."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from analogdeq.linalg.arnoldi import arnoldi
from analogdeq.linalg.exponential import exponential
from analogdeq.linalg.system import MatVec
from analogdeq.solve.stepper import Segment

Flow = Callable[[Tensor, Tensor], MatVec]
"""The flow's Jacobians, v -> r (J - I) v, of lanes (row,) at states (row, node)."""

LARGEST_SPACE = 8
"""Of the Krylov spaces: steps are no longer than a few of the fastest time constants that matter."""
DIRECTIONS = 3
"""Perturbations per lane. Of up to four nodes they are all there are beside the motion, and the answer is exact."""
NEARBY = 0.01
"""In steps: over which the direction of the motion is taken."""
SEED = 20_499


@final
class Perturbations:
    """A few perturbations v per lane, of those that seem to be on a cycle, carried along by dv/ds = A(z(s)) v.

    From one return to the next they are multiplied by the orbit's Floquet multipliers, one direction each; the motion's
    own direction, whose multiplier is 1, is taken out. The largest multiplier in the space of the others is that of the
    orbit, the more so the more turns they are carried on (subspace iteration).

    Every step is an exponential of the Jacobian in its middle (Magnus' series cut after its first term), taken in a
    Krylov space. Of a linear spiral that is exact, however long the step: implicit midpoints turned a fast one so much
    too slowly that its radius seemed to contract.

    Source: S. Blanes, F. Casas, J. A. Oteo, J. Ros, Phys. Rep. 470:151 (2009), section 5, for the exponential midpoint.
    """

    def __init__(self, z: Tensor) -> None:
        """None yet, of lanes at z (lane, node)."""
        lanes, nodes = z.shape
        count = max(1, min(DIRECTIONS, nodes - 1))
        generator = torch.Generator().manual_seed(SEED)
        self._kicks = torch.randn(count - 1, nodes, generator=generator, dtype=torch.float64).to(z)
        self._first = self._now = z.new_zeros(0, count, nodes)  # most batches never need the room
        self.is_carried = torch.zeros(lanes, dtype=torch.bool, device=z.device)
        self._spent: list[tuple[Tensor, int]] = []

    def keep(self, rows: Tensor) -> None:
        """Drop every other lane."""
        if self._has_room:
            self._first, self._now = self._first[rows], self._now[rows]
        self.is_carried = self.is_carried[rows]

    @property
    def _has_room(self) -> bool:
        return len(self._now) > 0

    def count_products(self, evaluations: Tensor) -> None:
        """Add to `evaluations` (lane,) int64 the products with Jacobians since it was last asked."""
        for rows, products in self._spent:
            evaluations[rows] += products
        self._spent.clear()

    def carry(
        self, flow: Flow, rows: Tensor, segment: Segment, h: Tensor, *, begin: Tensor | float, end: Tensor | float
    ) -> None:
        """Carry the perturbations of some lanes on.

        Args:
            flow: the Jacobians of the lanes.
            rows: (row,) the lanes.
            segment: their steps.
            h: (row,) [tau]. The lengths of those.
            begin: (row,) or one number, the fraction of its step from which on.
            end: the fraction up to which.
        """
        count = self._now.shape[1]
        middle = segment.states((torch.zeros_like(h) + 0.5 * (begin + end)).unsqueeze(1))
        v = self._now[rows]
        each, at = rows.repeat_interleave(count), middle.expand_as(v).flatten(0, 1)
        space = arnoldi(flow(each, at), v.flatten(0, 1), min(LARGEST_SPACE, v.shape[2]))
        time = (h * (end - begin)).repeat_interleave(count)
        weights = exponential(space.H, time)[:, :, 0] * space.length.unsqueeze(1)
        self._now[rows] = torch.bmm(weights.to(v.dtype).unsqueeze(1), space.basis).view_as(v)
        self._spent.append((rows, count * space.products))

    def growth(self, flow: Flow, rows: Tensor, segment: Segment, h: Tensor, theta: Tensor) -> Tensor:
        """(row,) float64: by what factor those of some lanes grew from one return to the next; infinite if not known.

        Args:
            flow: the Jacobians of the lanes.
            rows: (row,) the lanes, which return in this step.
            segment: their steps.
            h: (row,) [tau]. The lengths of those.
            theta: (row,) the fractions of them at which they return.
        """
        growth = torch.full_like(theta, torch.inf)
        known = torch.nonzero(self.is_carried[rows]).squeeze(1)
        if known.numel():
            self.carry(flow, rows, segment, h, begin=0.0, end=theta)
            now = _across(self._now[rows], segment, theta)
            compressed = (now @ self._first[rows].transpose(1, 2))[known].to(torch.float64)
            is_sound = torch.isfinite(compressed).flatten(1).all(1)
            multipliers = torch.linalg.eigvals(compressed.nan_to_num(0.0, 0.0, 0.0)).abs().amax(1)
            growth[known] = multipliers.where(is_sound, torch.inf)
            self._now[rows] = now
        return growth

    def go_on(
        self, flow: Flow, rows: Tensor, segment: Segment, h: Tensor, theta: Tensor, offset: Tensor, is_wanted: Tensor
    ) -> None:
        """After a return as by `growth`: carry on where it is wanted (row,), and begin where nothing is carried yet.

        The way in which a trajectory misses its last return, `offset` (row, node), shows how a cycle attracts; only
        other directions show that it repels in one of them.
        """
        if not self._has_room:
            if not bool(is_wanted.any()):
                return
            self._first, self._now = (x.new_zeros(len(self.is_carried), *x.shape[1:]) for x in (self._first, self._now))
        size = torch.linalg.vector_norm(offset, dim=1, keepdim=True).clamp_min(torch.finfo(offset.dtype).tiny)
        fresh = torch.cat(((offset / size).unsqueeze(1), self._kicks.expand(rows.shape[0], -1, -1)), 1)
        v = torch.where(self.is_carried[rows].view(-1, 1, 1), self._now[rows], _across(fresh, segment, theta))
        v = torch.linalg.qr(v.nan_to_num(0.0, 0.0, 0.0).transpose(1, 2)).Q.transpose(1, 2)
        self._first[rows] = v
        self._now[rows] = v
        self.is_carried[rows] = is_wanted
        if bool(is_wanted.any()):
            self.carry(flow, rows, segment, h, begin=theta, end=1.0)


def _across(v: Tensor, segment: Segment, theta: Tensor) -> Tensor:
    """The perturbations v (row, direction, node) without their parts along the motion."""
    before, after = segment.states(torch.stack((theta - NEARBY, theta + NEARBY), 1)).split(1, 1)
    along = after - before
    along = along / torch.linalg.vector_norm(along, dim=2, keepdim=True).clamp_min(torch.finfo(v.dtype).tiny)
    return v - along * (along * v).sum(2, keepdim=True)
