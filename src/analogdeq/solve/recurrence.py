"""Limit cycles, found by waiting for the trajectory to come back to a state it has left."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.solve.band import POINTS
from analogdeq.solve.perturbation import Flow, Perturbations
from analogdeq.solve.stepper import Segment, Stepper

ONSET_TAU = 10.0
"""No cycle is looked for before this time: most samples are at rest by then."""
RETURN = 0.1
"""A closest approach counts as a return if it is below this fraction of the largest distance since the anchor."""
SAME_PERIOD = 0.02
"""Two returns must agree in period to this fraction."""
NOISE = 1e-4
"""Returns that miss by less, relative to the cycle, do not miss: integration and interpolation are no better."""
LEVELS = 3
"""Nested grids for the closest approach."""
CLOSED = 1e-2
"""How far, relative to the cycle, the trajectory may be from where its returns converge to."""
CLOSED_IN_LOOPS = 2e-3
"""The same where the trajectory came nearer more than once before it returned: around a long unstable cycle of a
chaotic circuit all is folded finely, and seems to contract."""
CLOSING = 5e-2
"""The same, for a perturbation to be carried along: so that it has gone one turn when it is needed."""
FINEST = 1e-5
"""Relative to the cycle: no miss is taken for less, whatever it is multiplied by at every turn."""
STUCK = 0.97
"""Where misses contract no more than this, returns may be to another loop of the cycle, and only nearer ones count."""
PATIENCE = 4.0
"""In periods. After a return the next one is waited for so long."""

_TINY = 1e-300


@final
@dataclass(frozen=True, kw_only=True)
class Returns:
    """Closest approaches to their anchors.

    Attributes:
        rows: (row,) the lanes.
        theta: (row,) at which fraction of the step.
        time: (row,) [tau].
        miss: (row,) how near to the anchor.
        size: (row,) largest distance from the anchor since they were there.
    """

    rows: Tensor
    theta: Tensor
    time: Tensor
    miss: Tensor
    size: Tensor


@final
class Recurrence:
    """Watches each lane's distance from an anchor, a state it has been in, and moves the anchor to where it returns.

    On its way to a limit cycle a trajectory misses by less at every return, and so it does on its way to a rest. With
    misses m_k that contract by mu = m_k / m_(k-1) it has about m_k mu / (1 - mu) still to go (Aitken): that much of a
    spiral is all of its radius, and a third of it where the decay is cubic, but a vanishing part of a cycle. The larger
    of two successive mu counts, so three returns are needed, unless two do not miss at all.

    What is about to close is followed with a few perturbations, whose largest multiplier over a turn stands for mu:
    just below 1 for a spiral that loses too little in a turn for misses to tell, and above 1 for a chaotic trajectory
    that passes close to one of its unstable cycles.

    Anchors without a return are renewed at doubling intervals, so a cycle reached late is found late but is found (the
    idea is Brent's, BIT 20:176 (1980), for the cycles of iterated maps).
    """

    def __init__(self, z: Tensor, smallest: float = 0.0, turn: float | None = None) -> None:
        """Start watching lanes that are at z (lane, node) at time 0, for cycles wider than `smallest`.

        States that are angles repeat after `turn`.
        """

        def full(value: float) -> Tensor:
            return torch.full((z.shape[0],), value, dtype=torch.float64, device=z.device)

        self._anchor, self._smallest, self._turn = z.clone(), smallest**2, turn
        self._perturbations = Perturbations(z)
        self._turns = torch.zeros(z.shape[0], dtype=torch.int64, device=z.device)
        self._since, self._window, self._return_below = full(0.0), full(ONSET_TAU), full(RETURN)
        self._farthest, self._slope = full(0.0), full(0.0)
        self._period, self._miss, self._contraction = full(torch.nan), full(torch.nan), full(torch.nan)

    def keep(self, rows: Tensor) -> None:
        """Drop every other lane."""
        self._anchor = self._anchor[rows]
        self._perturbations.keep(rows)
        self._since, self._window, self._return_below = self._since[rows], self._window[rows], self._return_below[rows]
        self._farthest, self._slope, self._turns = self._farthest[rows], self._slope[rows], self._turns[rows]
        self._period, self._miss, self._contraction = self._period[rows], self._miss[rows], self._contraction[rows]

    def count_products(self, evaluations: Tensor) -> None:
        """Add to `evaluations` (lane,) int64 the products with Jacobians since it was last asked."""
        self._perturbations.count_products(evaluations)

    def observe(self, stepper: Stepper, time: Tensor, h: Tensor, accepted: Tensor, flow: Flow) -> Tensor:
        """Look at attempted steps of which one ends after `ONSET_TAU`.

        Args:
            stepper: after an attempt, before `accept`.
            time: (lane,) [tau]. Where the steps began.
            h: (lane,) [tau]. Their lengths.
            accepted: (lane,) bool.
            flow: the Jacobians of the lanes.

        Returns:
            (lane,) float64 [tau]: the period where a cycle is closed, else NaN.
        """
        found = torch.full_like(time, torch.nan)
        offset = _wrapped(stepper.z_new - self._anchor, self._turn)
        squared = (offset * offset).sum(1).to(torch.float64)
        slope = (offset * stepper.dz_new).sum(1).to(torch.float64)
        # The squared distance has a minimum inside the step where its slope turns from falling to rising.
        turned = torch.nonzero(accepted & (self._slope < 0) & (slope >= 0)).squeeze(1)
        self._turns[turned] += 1
        self._slope = torch.where(accepted, slope, self._slope)
        self._farthest = torch.where(accepted, torch.maximum(self._farthest, squared), self._farthest)
        carried = accepted & self._perturbations.is_carried
        if turned.numel():
            segment = stepper.segment(turned, h)
            theta, nearest = _closest(segment, self._anchor[turned], self._turn)
            at, miss = time[turned] + theta * h[turned], nearest.clamp_min(0).sqrt()
            size = self._farthest[turned].sqrt()
            is_return = (miss < self._return_below[turned] * size) & (self._farthest[turned] > self._smallest)
            rows = turned[is_return]
            if rows.numel():
                there = Returns(
                    rows=rows, theta=theta[is_return], time=at[is_return], miss=miss[is_return], size=size[is_return]
                )
                is_closed = self._is_closed(there, stepper, h, flow)
                found[rows[is_closed]] = self._period[rows[is_closed]]
                carried[rows] = False
        rows = torch.nonzero(carried).squeeze(1)
        if rows.numel():
            self._perturbations.carry(flow, rows, stepper.segment(rows, h), h[rows], begin=0.0, end=1.0)
        stale = accepted & (time + h - self._since > self._window)
        self._renew(torch.nonzero(stale).squeeze(1), stepper, time + h)
        return found

    def _is_closed(self, there: Returns, stepper: Stepper, h: Tensor, flow: Flow) -> Tensor:
        """Note the returns of some lanes; (row,) bool: whether they are, or are about to be, on a cycle."""
        rows, miss, size = there.rows, there.miss, there.size
        period, before, miss_before = there.time - self._since[rows], self._period[rows], self._miss[rows]
        # With the noise added, that of a slow spiral cannot seem small by chance.
        contraction = (miss + NOISE * size) / miss_before
        slowest = torch.maximum(contraction, self._contraction[rows])  # NaN until there are three
        converges = torch.maximum(_to_go(miss, slowest), miss) <= CLOSED * size
        does_not_miss = torch.maximum(miss, miss_before) <= NOISE * size
        nearer = (0.5 * miss / size).clamp_min(2 * NOISE)
        seems_closed = ((period - before).abs() < SAME_PERIOD * before) & (converges | does_not_miss)
        segment = stepper.segment(rows, h)
        state = segment.states(there.theta.unsqueeze(1)).squeeze(1)
        offset = _wrapped(state - self._anchor[rows], self._turn)
        growth = self._perturbations.growth(flow, rows, segment, h[rows], there.theta)
        closed = torch.where(self._turns[rows] > 1, CLOSED_IN_LOOPS, CLOSED)
        is_closed = seems_closed & (_to_go(miss.maximum(FINEST * size), growth) <= closed * size)
        is_wanted = (_to_go(miss, contraction) <= CLOSING * size) | (miss <= NOISE * size)
        self._perturbations.go_on(flow, rows, segment, h[rows], there.theta, offset, is_wanted)
        self._period[rows], self._miss[rows], self._contraction[rows] = period, miss, contraction
        self._return_below[rows] = torch.where(contraction > STUCK, nearer, self._return_below[rows])
        self._since[rows], self._window[rows] = there.time, PATIENCE * period
        self._farthest[rows], self._slope[rows], self._turns[rows] = 0.0, 0.0, 0
        self._anchor[rows] = state
        return is_closed

    def _renew(self, rows: Tensor, stepper: Stepper, time: Tensor) -> None:
        """Drop the anchor where the lane is now, and wait twice as long for it."""
        if rows.numel() == 0:
            return
        self._anchor[rows], self._perturbations.is_carried[rows] = stepper.z_new[rows], False
        self._since[rows], self._window[rows] = time[rows], 2 * (time[rows] - ONSET_TAU).clamp_min(ONSET_TAU)
        self._farthest[rows], self._slope[rows], self._turns[rows] = 0.0, 0.0, 0
        self._return_below[rows] = RETURN
        self._period[rows], self._miss[rows], self._contraction[rows] = torch.nan, torch.nan, torch.nan


def _to_go(miss: Tensor, contraction: Tensor) -> Tensor:
    """The sum of all misses to come, if each is that part of the one before; infinite where they do not contract."""
    rest = 1 - contraction
    return torch.where(rest > 0, miss * contraction / rest.clamp_min(_TINY), torch.inf)


def _wrapped(offset: Tensor, turn: float | None) -> Tensor:
    """The offset to the nearest of all repetitions: half a turn at the most."""
    return offset if turn is None else offset - turn * torch.round(offset / turn)


def _closest(segment: Segment, anchor: Tensor, turn: float | None) -> tuple[Tensor, Tensor]:
    """Fraction of the step at the closest approach, and the squared distance there; nested grids and a parabola."""
    fractions = torch.linspace(0, 1, POINTS + 1, dtype=torch.float64, device=anchor.device)
    low, width = torch.zeros(anchor.shape[0], dtype=torch.float64, device=anchor.device), 1.0
    for _ in range(LEVELS):
        theta = low.unsqueeze(1) + width * fractions
        offset = _wrapped(segment.states(theta) - anchor.unsqueeze(1), turn)
        squared = offset.double().square_().sum(2)
        best = squared.argmin(1).clamp(1, POINTS - 1).unsqueeze(1)
        low, width = theta.gather(1, best - 1).squeeze(1), 2 * width / POINTS
    left, middle, right = (squared.gather(1, best + k).squeeze(1) for k in (-1, 0, 1))
    spacing = width / 2
    curvature = (left - 2 * middle + right).clamp_min(1e-300)
    shift = (0.5 * (left - right) / curvature).clamp(-1, 1)
    return low + spacing * (1 + shift), middle - 0.25 * (left - right) * shift
