"""The settle loop: step, watch, aim, judge, until every sample has its verdict."""

from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive, turn_of
from analogdeq.solve.band import note_exits
from analogdeq.solve.controller import error_share, spread_share
from analogdeq.solve.lanes import Lanes
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.outcome import Outcome, empty_outcome
from analogdeq.solve.record import Recorder
from analogdeq.solve.recurrence import Recurrence
from analogdeq.solve.rest import find_rest, is_stable
from analogdeq.solve.stepper import Stepper
from analogdeq.solve.verdict import Verdict

SEARCH_BANDS = 8.0
"""An equilibrium is looked for once the motion is below this many bands: close enough for Newton, still outside the
band."""
URGENT = 0.25
"""Searches wait for company until one lane is below this fraction of its threshold: they cost less together."""
LONG_STEP = 5.0
"""Nor do searches wait before a step of more than this many of the fastest time constants: it may end inside the band.
Explicit steps, limited by stability, are shorter."""
LOST = 30.0
"""Farther from its equilibrium than this many times its motion, a lane may be heading for another one."""
DROP_FRACTION = 0.125
"""Decided lanes are dropped from the batch once they are this large a part of it."""
RUNAWAY = 1e6
"""Motion, in units of full scale plus drive, beyond which a sample has diverged."""
SMALLEST_STEP = 1e-12
"""[tau]. A step this small means the derivative is not finite nearby."""

_TINY = 1e-300


@final
class SettleLoop:
    """Integrates one batch; each sample has its own clock, step, rest and verdict, so batching changes no result.

    Settling time needs the equilibrium, which the trajectory only approaches. So once a sample's motion is small,
    Newton's method finds the fixed point ahead, and the loop integrates on and watches the trajectory enter the band
    around it. Should a sample already be inside the band when its equilibrium becomes known, it is integrated once
    more from the start.
    """

    def __init__(
        self, core: Core, drive: Drive, z: Tensor, options: SettleOptions, stepper: Stepper, recorder: Recorder | None
    ) -> None:
        self._core, self._drive, self._z_start, self._options = core, drive, z, options
        self._stepper, self._recorder = stepper, recorder
        stepper.begin(core, drive, z.clone())
        self._fastest = 1.0 if core.rate is None else float(core.rate.max())
        self._band = options.band * core.full_scale
        self._search_below = SEARCH_BANDS * self._band
        n_terms = len(core.power_terms)
        self._has_power = n_terms > 0
        self._h_start = 0.25 / self._fastest
        self._record_until = 0.0 if recorder is None else recorder.until_tau
        self._slowness = None if core.rate is None else core.rate.reciprocal()
        self._lanes = Lanes.begin(
            z,
            motion=self._motion(stepper.dz),
            n_terms=n_terms,
            h=self._h_start,
            search_below=self._search_below,
            until=options.max_time_tau,
            motion_limit=RUNAWAY * (core.full_scale + drive.current.abs().amax(1).to(torch.float64)),
        )
        self._recurrence = Recurrence(z, turn_of(core))
        self._outcome = empty_outcome(z, n_terms)
        self._is_contraction = core.contraction_gap() > 0

    def run(self) -> Outcome:
        """Integrate until every sample has its verdict."""
        if self._recorder is not None:
            self._recorder.start(self._slots(), self._stepper.z)
        period = torch.full_like(self._lanes.time, torch.nan)
        while True:
            self._aim()
            if self._may_end(period):
                self._judge(period)
                self._drop()
            if not len(self._lanes):
                return self._outcome
            period = self._step()

    def _step(self) -> Tensor:
        """One attempted step of every lane; returns the period of closed cycles."""
        lanes, stepper = self._lanes, self._stepper
        h = torch.minimum(lanes.h, (lanes.until - lanes.time).clamp_min_(SMALLEST_STEP))
        error = stepper.attempt(h)
        gained = stepper.energy_of_step(h) if self._has_power else lanes.energy
        motion = self._motion(stepper.dz_new)
        ratio = self._error_ratio(error, h, motion, gained)
        accepted = ratio <= 1
        if self._recorder is not None:
            self._recorder.observe(stepper, self._slots(), lanes.time, h, ratio, accepted)
        period = self._recurrence.observe(stepper, lanes.time, h, accepted)
        self._watch_band(h, accepted)
        lanes.h = stepper.next_step(h, ratio, lanes.ratio_before)
        lanes.attempts += 1
        if bool(accepted.all()):
            stepper.accept()
            lanes.time, lanes.motion, lanes.ratio_before = lanes.time + h, motion, ratio
            if self._has_power:
                lanes.energy = lanes.energy + gained
        else:
            self._accept_some(accepted, h, gained, motion, ratio)
        return period

    def _accept_some(self, accepted: Tensor, h: Tensor, gained: Tensor, motion: Tensor, ratio: Tensor) -> None:
        """Advance the lanes whose step is accurate enough; the others try again from where they are."""
        lanes = self._lanes
        self._stepper.accept(accepted)
        lanes.rejected += ~accepted
        lanes.time = torch.where(accepted, lanes.time + h, lanes.time)
        lanes.motion = torch.where(accepted, motion, lanes.motion)
        lanes.ratio_before = torch.where(accepted, ratio, lanes.ratio_before)
        if self._has_power:
            lanes.energy = torch.where(accepted.unsqueeze(1), lanes.energy + gained, lanes.energy)

    def _error_ratio(self, error: Tensor, h: Tensor, motion: Tensor, gained: Tensor) -> Tensor:
        """(lane,): local error over tolerance; at most 1 is accepted. Energies may err by rtol of their sum so far."""
        lanes, options = self._lanes, self._options
        elapsed = lanes.time + h
        rate = (lanes.motion_start / motion).log_().abs_().div_(elapsed).nan_to_num_(0.0)
        share = error_share(rate, h) if self._slowness is None else spread_share(rate, h, elapsed)
        allowed = lanes.motion * share * options.rtol
        ratio = error / allowed.add_(options.atol * self._core.full_scale)
        if not self._has_power:
            return ratio
        allowed = (options.rtol * (lanes.energy + gained)).clamp_min(_TINY)
        return torch.maximum(ratio, (self._stepper.energy_error(h) / allowed).amax(1))

    def _watch_band(self, h: Tensor, accepted: Tensor) -> None:
        """Note where lanes left the band for the last time so far, and their distance from rest."""
        lanes, stepper = self._lanes, self._stepper
        if not bool(lanes.is_aimed.any()):
            return
        distance = (stepper.z_new - lanes.rest).abs_().amax(1).to(torch.float64)
        # How far out the state can have been in between, if it was never half as fast again as at the faster end.
        speed = torch.maximum(stepper.dz.abs().amax(1), stepper.dz_new.abs().amax(1)).to(torch.float64)
        reach = 0.5 * (lanes.distance + distance) + 0.75 * speed * h
        look = accepted & lanes.is_aimed & ~lanes.is_decided & (distance <= self._band) & (reach > self._band)
        note_exits(lanes, stepper, torch.nonzero(look).squeeze(1), h, self._band)
        lanes.distance = torch.where(accepted & lanes.is_aimed, distance, lanes.distance)

    def _aim(self) -> None:
        """Find the equilibrium ahead of lanes that have become slow."""
        lanes = self._lanes
        is_fast = lanes.motion > self._search_below
        # Fast again: whatever the last search found or missed is behind this lane.
        lanes.search_below = torch.where(is_fast, self._search_below, lanes.search_below)
        if bool(is_fast.all()):
            return
        is_lost = lanes.is_aimed & (lanes.distance > torch.clamp(LOST * lanes.motion, min=self._band))
        waiting = (~lanes.is_aimed | is_lost) & ~lanes.is_decided & (lanes.motion < lanes.search_below)
        is_close = (lanes.motion < URGENT * lanes.search_below) | (lanes.h > LONG_STEP / self._fastest)
        is_urgent = bool((waiting & is_close).any())
        # A batch that waits as a whole gains nothing by waiting longer.
        is_complete = bool(waiting.any()) and bool((waiting | lanes.is_aimed | lanes.is_decided).all())
        if not is_urgent and not is_complete:
            return
        rows = torch.nonzero(waiting).squeeze(1)
        eps = torch.finfo(lanes.rest.dtype).eps
        found = find_rest(
            self._core,
            self._stepper_drive(rows),
            self._stepper.z[rows],
            tol=max(1e-6 * self._band, 4 * eps * self._core.full_scale),
            good_enough=max(5e-3 * self._band, 16 * eps * self._core.full_scale),
        )
        lanes.evaluations[rows] += found.evaluations
        lanes.search_below[rows] = 0.25 * lanes.motion[rows]
        hit = found.is_found
        rows, rest = rows[hit], found.z[hit]
        distance = (self._stepper.z[rows] - rest).abs_().amax(1).to(torch.float64)
        lanes.rest[rows], lanes.distance[rows], lanes.is_aimed[rows] = rest, distance, True
        self._begin_inside(rows[(distance <= self._band) & (lanes.time[rows] == 0)])
        self._begin_again(rows[(distance <= self._band) & (lanes.time[rows] > 0)])

    def _begin_inside(self, rows: Tensor) -> None:
        """Lanes at rest from the start: one on an unstable equilibrium never approached it, so it is not settled."""
        if rows.numel() == 0 or self._is_contraction:
            return
        lanes = self._lanes
        stable = is_stable(self._core, self._stepper_drive(rows), lanes.rest[rows])
        lanes.is_aimed[rows] = stable
        lanes.distance[rows[~stable]] = torch.inf

    def _begin_again(self, rows: Tensor) -> None:
        """Lanes whose crossing was missed: back to the start, now with their equilibrium known."""
        if rows.numel() == 0:
            return
        lanes, start = self._lanes, self._z_start[self._lanes.index[rows]]
        self._stepper.restart(rows, start)
        lanes.time[rows], lanes.h[rows], lanes.ratio_before[rows] = 0.0, self._h_start, 1.0
        lanes.energy[rows] = 0.0
        lanes.motion[rows] = self._motion(self._stepper.dz)[rows]
        lanes.distance[rows] = (start - lanes.rest[rows]).abs().amax(1).to(torch.float64)
        lanes.evaluations[rows] += 1
        if self._recorder is not None:
            self._recorder.forget(self._slots()[rows], start)

    def _may_end(self, period: Tensor) -> bool:
        """Whether some verdict may be due; most steps far from rest are spared the asking."""
        lanes = self._lanes
        goes_on = (lanes.motion <= lanes.motion_limit).logical_and_(lanes.time < lanes.until - 2 * SMALLEST_STEP)
        if bool(lanes.is_aimed.any()) or lanes.attempts >= self._options.max_steps or not bool(goes_on.all()):
            return True
        return bool((lanes.h < 0.1 * SMALLEST_STEP).any()) or not bool(torch.isnan(period).all())

    def _judge(self, period: Tensor) -> None:
        """Give verdicts, and save what was found."""
        lanes, options = self._lanes, self._options
        is_inside = lanes.is_aimed & (lanes.distance <= 0.5 * self._band)
        since = torch.minimum(lanes.inside_since, lanes.time)
        lanes.inside_since = torch.where(is_inside, since, torch.inf)
        timed_out = (lanes.time >= options.max_time_tau - 2 * SMALLEST_STEP) | (lanes.attempts >= options.max_steps)
        oscillating = torch.isfinite(period)
        has_dwelt = lanes.time - lanes.inside_since >= options.dwell_tau
        settled = is_inside & (has_dwelt | self._is_trapped(is_inside))
        is_bounded = lanes.motion <= lanes.motion_limit  # False for NaN
        diverged = ~is_bounded | (lanes.h < 0.1 * SMALLEST_STEP)
        decided = (timed_out | oscillating | settled | diverged) & ~lanes.is_decided
        if not bool(decided.any()):
            return
        verdict = torch.full_like(lanes.rejected, int(Verdict.TIMED_OUT))
        for mask, code in (
            (oscillating, Verdict.OSCILLATING),
            (settled, Verdict.SETTLED),
            (diverged, Verdict.DIVERGED),
        ):
            verdict[mask] = int(code)
        self._save(torch.nonzero(decided).squeeze(1), verdict, period)

    def _is_trapped(self, is_inside: Tensor) -> Tensor:
        """(lane,) bool: lanes that provably never leave the band again.

        For a contraction sum_i (z_i - z*_i)^2 / rate_i only falls, and it bounds every node's distance.
        """
        if not self._is_contraction or not bool(is_inside.any()):
            return torch.zeros_like(is_inside)
        offset = (self._stepper.z - self._lanes.rest).square_()
        if self._core.rate is not None:
            offset.mul_(self._fastest / self._core.rate)
        return offset.sum(1).to(torch.float64) <= self._band**2

    def _save(self, rows: Tensor, verdict: Tensor, period: Tensor) -> None:
        """Write the outcome of lanes whose verdict is in."""
        lanes, stepper, out = self._lanes, self._stepper, self._outcome
        at, code = lanes.index[rows], verdict[rows]
        settled = code == int(Verdict.SETTLED)
        column = settled.unsqueeze(1)
        out.z[at] = torch.where(column, lanes.rest[rows], stepper.z[rows])
        out.z_readout[at] = torch.where(column, lanes.exit_state[rows], stepper.z[rows]).to(torch.float64)
        out.energy[at] = torch.where(column, lanes.exit_energy[rows], lanes.energy[rows])
        out.time_settle[at] = torch.where(settled, lanes.exit_time[rows], torch.nan)
        out.time_end[at] = lanes.time[rows]
        out.power_W[at] = stepper.power_W[rows].to(torch.float64)
        out.verdict[at] = code.to(torch.uint8)
        out.period[at] = torch.where(code == int(Verdict.OSCILLATING), period[rows], torch.nan)
        rejected = lanes.rejected[rows]
        out.evaluations[at] = lanes.evaluations[rows] + stepper.evaluations[rows]
        out.steps[at], out.rejected[at] = lanes.attempts - rejected, rejected
        lanes.is_decided[rows] = True
        lanes.until[rows] = self._record_until

    def _drop(self) -> None:
        """Take finished lanes out of the batch, where that is worth the copying."""
        lanes = self._lanes
        finished = lanes.is_decided
        if self._recorder is not None:
            is_recorded = self._slots() >= 0
            is_bounded = lanes.motion <= lanes.motion_limit
            finished = finished & ~(is_recorded & is_bounded & (lanes.time < self._record_until - 2 * SMALLEST_STEP))
        n_finished = int(torch.count_nonzero(finished))
        if n_finished < max(1, DROP_FRACTION * len(lanes)) and n_finished < len(lanes):
            return
        if self._recorder is not None:
            self._recorder.retire(self._slots()[finished])
        rows = torch.nonzero(~finished).squeeze(1)
        self._recurrence.keep(rows)
        lanes.keep(rows)
        if len(lanes):
            self._stepper.keep(rows)

    def _motion(self, dz: Tensor) -> Tensor:
        """(lane,) float64: max |F(z) - z|, from dz/ds = rate (F(z) - z)."""
        difference = dz.abs() if self._slowness is None else (dz * self._slowness).abs_()
        return difference.amax(1).to(torch.float64)

    def _stepper_drive(self, rows: Tensor) -> Drive:
        return self._drive.rows(self._lanes.index[rows])

    def _slots(self) -> Tensor:
        """(lane,) which recorded sample each lane is, -1 for none."""
        if self._recorder is None:
            return torch.full_like(self._lanes.index, -1)
        return self._recorder.slots(self._lanes.index)
