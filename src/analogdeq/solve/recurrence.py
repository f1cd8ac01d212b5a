"""Limit cycles, found by waiting for the trajectory to come back to a state it has left."""

from typing import final

import torch
from torch import Tensor

from analogdeq.solve.band import POINTS
from analogdeq.solve.stepper import Segment, Stepper

ONSET_TAU = 10.0
"""No cycle is looked for before this time: most samples are at rest by then."""
RETURN = 0.1
"""A closest approach counts as a return if it is below this fraction of the largest distance since the anchor."""
SAME_PERIOD = 0.02
"""Two returns must agree in period to this fraction."""
SLACK = 1e-4
"""How far, relative to the cycle, a second return may miss by on top of 1.5 times the first."""
LEVELS = 3
"""Nested grids: a return that misses by 1e-3 of the cycle must be told from one that misses by twice that."""
CLOSED = 1e-2
"""How far it may miss at all: further, and the trajectory is still on its way to the cycle."""


@final
class Recurrence:
    """Watches each lane's distance from an anchor, a state it has been in.

    On a limit cycle the trajectory returns to the anchor once a period and misses it no more the second time than the
    first. A decaying spiral misses it twice as far the second time, so it is not taken for a cycle unless it decays by
    less than about 2e-4 per turn. Anchors are renewed at doubling intervals, so a cycle reached late is found late but
    is found (the idea is Brent's, BIT 20:176 (1980), for the cycles of iterated maps).
    """

    def __init__(self, z: Tensor, smallest: float = 0.0, turn: float | None = None) -> None:
        """Start watching lanes that are at z (lane, node) at time 0, for cycles wider than `smallest`.

        States that are angles repeat after `turn`.
        """

        def full(value: float) -> Tensor:
            return torch.full((z.shape[0],), value, dtype=torch.float64, device=z.device)

        self._anchor, self._smallest, self._turn = z.clone(), smallest**2, turn
        self._since, self._last_return, self._window = full(0.0), full(0.0), full(ONSET_TAU)
        self._farthest, self._slope = full(0.0), full(0.0)
        self._period, self._miss = full(torch.nan), full(torch.nan)

    def keep(self, rows: Tensor) -> None:
        """Drop every other lane."""
        self._anchor = self._anchor[rows]
        self._since, self._last_return, self._window = self._since[rows], self._last_return[rows], self._window[rows]
        self._farthest, self._slope = self._farthest[rows], self._slope[rows]
        self._period, self._miss = self._period[rows], self._miss[rows]

    def observe(self, stepper: Stepper, time: Tensor, h: Tensor, accepted: Tensor) -> Tensor:
        """Look at the attempted steps; (lane,) float64: the period in units of tau where a cycle is closed, else NaN.

        Args:
            stepper: after an attempt, before `accept`.
            time: (lane,) [tau]. Where the steps began.
            h: (lane,) [tau]. Their lengths.
            accepted: (lane,) bool.
        """
        found = torch.full_like(time, torch.nan)
        if not bool((time + h > ONSET_TAU).any()):
            return found
        offset = _wrapped(stepper.z_new - self._anchor, self._turn)
        squared = (offset * offset).sum(1).to(torch.float64)
        slope = (offset * stepper.dz_new).sum(1).to(torch.float64)
        # The squared distance has a minimum inside the step where its slope turns from falling to rising.
        turned = torch.nonzero(accepted & (self._slope < 0) & (slope >= 0)).squeeze(1)
        self._slope = torch.where(accepted, slope, self._slope)
        self._farthest = torch.where(accepted, torch.maximum(self._farthest, squared), self._farthest)
        if turned.numel():
            theta, nearest = _closest(stepper.segment(turned, h), self._anchor[turned], self._turn)
            at = time[turned] + theta * h[turned]
            miss = (nearest / self._farthest[turned]).clamp_min(0).sqrt()
            is_return = (miss < RETURN) & (self._farthest[turned] > self._smallest)
            self._note_returns(turned[is_return], at[is_return], miss[is_return], found)
        stale = accepted & (time + h - self._since > self._window)
        self._renew(torch.nonzero(stale).squeeze(1), stepper, time + h)
        return found

    def _note_returns(self, rows: Tensor, at: Tensor, miss: Tensor, found: Tensor) -> None:
        """Compare with the return before; write closed cycles into `found`."""
        if rows.numel() == 0:
            return
        period = at - self._last_return[rows]
        before = self._period[rows]
        agrees = (period - before).abs() < SAME_PERIOD * before
        is_closed = agrees & (miss <= 1.5 * self._miss[rows] + SLACK) & (miss <= CLOSED)
        found[rows[is_closed]] = 0.5 * (at - self._since[rows])[is_closed]
        is_first = torch.isnan(before)
        self._last_return[rows], self._period[rows] = at, torch.where(is_first, period, before)
        self._miss[rows] = torch.where(is_first, miss, self._miss[rows])
        # A second return that does not close the cycle: start over from a fresher anchor.
        self._window[rows[~is_first & ~is_closed]] = 0.0

    def _renew(self, rows: Tensor, stepper: Stepper, time: Tensor) -> None:
        """Drop the anchor where the lane is now, and wait twice as long for it."""
        if rows.numel() == 0:
            return
        self._anchor[rows] = stepper.z_new[rows]
        age = 2 * (time[rows] - ONSET_TAU).clamp_min(ONSET_TAU)
        self._since[rows], self._last_return[rows], self._window[rows] = time[rows], time[rows], age
        self._farthest[rows], self._slope[rows] = 0.0, 0.0
        self._period[rows], self._miss[rows] = torch.nan, torch.nan


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
