"""The settle loop: step, watch, aim, judge, until every sample has its verdict."""

from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive, turn_of
from analogdeq.solve.attraction import beside
from analogdeq.solve.band import note_exits
from analogdeq.solve.certificate import Certificates
from analogdeq.solve.finish import LinearFinish
from analogdeq.solve.jacobian import FlowJacobian
from analogdeq.solve.lanes import Lanes
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.recurrence import Recurrence
from analogdeq.solve.rest import find_rest_for_band, tolerance
from analogdeq.solve.save import save
from analogdeq.solve.signs import SMALLEST_STEP, Signs, is_remote
from analogdeq.solve.slabs import Batch
from analogdeq.solve.stepper import Stepper
from analogdeq.solve.tolerance import Tolerance
from analogdeq.solve.verdict import Verdict

SEARCH_BANDS = 20.0
"""An equilibrium is looked for once the motion is below this many bands: close, but still outside the band."""
URGENT = 0.125
"""Searches wait for company until one lane is below this fraction of its threshold: they cost less together."""
LONG_STEP = 5.0
"""Nor do searches wait before a step of more than this many of the fastest time constants: it may end inside."""
REGAINED = 1 / 16
"""Slow again by this factor, a lane that had grown faster is searched for anew."""
LOST = 30.0
"""Farther from its equilibrium than this many times its motion, a lane may be heading for another one."""
SAME = 1e-2
"""In bands. Two equilibria nearer to each other are one, found twice."""
DROP_FRACTION = 0.125
"""Decided lanes are dropped from the batch once they are this large a part of it."""
RUNAWAY = 1e6
"""Motion, in units of full scale plus drive, beyond which a sample has diverged."""
STRIDE = 4
"""Steps that lanes on an accelerator take before they are looked at again, where nothing can come in between."""


@final
class SettleLoop:
    """Integrates some samples of a batch; each has its own clock, step, rest and verdict, whatever its company.

    Settling time needs the equilibrium, which the trajectory only approaches. So once a sample's motion is small, the
    fixed point ahead is searched for. Where the circuit is as good as linear around it, its linearisation tells when
    the band is entered; else the loop integrates on and watches. A sample that is inside the band when its
    equilibrium becomes known is integrated once more from the start.
    """

    def __init__(self, core: Core, batch: Batch, index: Tensor, options: SettleOptions, stepper: Stepper) -> None:
        self._core, self._drive, self._z_start, self._options = core, batch.drive, batch.start, options
        self._stepper, self._recorder, self._outcome = stepper, batch.recorder, batch.outcome
        drive, z = batch.drive.rows(index), batch.start[index]
        stepper.begin(core, drive, z)
        self._fastest = 1.0 if core.rate is None else float(core.rate.max())
        self._band = options.band * core.full_scale
        self._search_below = SEARCH_BANDS * self._band
        n_terms = len(core.power_terms)
        self._has_power = n_terms > 0
        self._h_start = 0.25 / self._fastest
        self._record_until = 0.0 if batch.recorder is None else batch.recorder.until_tau
        self._slowness = None if core.rate is None else core.rate.reciprocal()
        self._lanes = Lanes.begin(
            z,
            index=index,
            motion=self._motion(stepper.dz),
            n_terms=n_terms,
            h=self._h_start,
            search_below=self._search_below,
            until=options.max_time_tau,
            motion_limit=RUNAWAY * (core.full_scale + drive.current.abs().amax(1).to(torch.float64)),
        )
        self._recurrence = Recurrence(z, 0.1 * self._band, turn_of(core))
        self._has_goal = False  # whether a lane may be aimed
        self._is_remote = is_remote(core.device)
        self._certificates = Certificates(core, z, self._band)
        self._linear = LinearFinish(core, options, self._certificates)
        self._tolerance = Tolerance(core, options, batch.drive)

    def run(self) -> None:
        """Integrate until every sample has its verdict, and write those into the outcome of the batch."""
        if self._recorder is not None:
            self._recorder.start(self._slots(), self._stepper.z)
        period = torch.full_like(self._lanes.time, torch.nan)
        while len(self._lanes):
            signs = Signs.of(self._lanes, period, self._search_below)
            self._finish(is_fresh=self._aim(signs))
            if signs.may_end or self._has_goal or self._lanes.attempts >= self._options.max_steps:
                self._judge(period)
                self._drop()
            for _ in range(self._stride(signs) if len(self._lanes) else 0):
                period = self._step(signs)

    def _stride(self, signs: Signs) -> int:
        """How many steps to take before the lanes are looked at again."""
        may_run = self._is_remote and signs.is_far and not self._has_goal and self._recorder is None
        return max(1, min(STRIDE, self._options.max_steps - self._lanes.attempts)) if may_run else 1

    def _step(self, signs: Signs) -> Tensor:
        """One attempted step of every lane; returns the period of closed cycles."""
        lanes, stepper = self._lanes, self._stepper
        h = torch.minimum(lanes.h, (lanes.until - lanes.time).clamp_min_(SMALLEST_STEP))
        error = stepper.attempt(h)
        gained = stepper.energy_of_step(h) if self._has_power else lanes.energy
        motion = self._motion(stepper.dz_new)
        assessment = self._tolerance.assess(lanes, stepper, error, h, motion, gained)
        ratio, accepted = assessment.ratio, assessment.is_accurate
        if self._recorder is not None:
            self._recorder.observe(stepper, self._slots(), lanes.time, h, ratio, accepted)
        period = torch.full_like(lanes.time, torch.nan)
        if signs.may_return:
            period = self._recurrence.observe(stepper, lanes.time, h, accepted, self._flow)
            self._recurrence.count_products(lanes.evaluations)
        self._watch_band(h, accepted)
        lanes.h = assessment.limited(stepper.next_step(h, ratio, lanes.ratio_before))
        lanes.attempts += 1
        some = accepted if self._is_remote or not bool(accepted.all()) else None
        stepper.accept(some)
        lanes.advance(some, h, motion, ratio, gained)
        return period

    def _watch_band(self, h: Tensor, accepted: Tensor) -> None:
        """Note where lanes left the band for the last time so far, and their distance from rest."""
        if not self._has_goal:
            return
        lanes, stepper = self._lanes, self._stepper
        distance = (stepper.z_new - lanes.rest).abs_().amax(1).to(torch.float64)
        # How far out the state can have been in between, if it was never half as fast again as at the faster end.
        speed = torch.maximum(stepper.dz.abs().amax(1), stepper.dz_new.abs().amax(1)).to(torch.float64)
        reach = 0.5 * (lanes.distance + distance) + 0.75 * speed * h
        look = accepted & lanes.is_aimed & ~lanes.is_decided & (distance <= self._band) & (reach > self._band)
        note_exits(lanes, stepper, torch.nonzero(look).squeeze(1), h, self._band)
        lanes.distance = torch.where(accepted & lanes.is_aimed, distance, lanes.distance)

    def _aim(self, signs: Signs) -> bool:
        """Find the equilibrium ahead of lanes that have become slow; whether it did for some."""
        lanes = self._lanes
        is_fast = lanes.motion > self._search_below
        # Faster again: whatever the last search found or missed is behind it.
        regained = (REGAINED * lanes.motion).masked_fill(is_fast, self._search_below)
        lanes.search_below = torch.maximum(lanes.search_below, regained)
        if not signs.may_aim:
            return False
        is_astray = lanes.distance > torch.clamp(LOST * lanes.motion, min=self._band)
        is_lost = lanes.is_aimed & (is_astray | (lanes.motion < self._certificates.residual))
        waiting = (~lanes.is_aimed | is_lost) & ~lanes.is_decided & (lanes.motion < lanes.search_below)
        is_close = (lanes.motion < URGENT * lanes.search_below) | (lanes.h > LONG_STEP / self._fastest)
        is_urgent = (waiting & is_close).any()
        is_complete = waiting.any() & (waiting | lanes.is_aimed | lanes.is_decided).all()
        if not bool(is_urgent | is_complete):
            return False
        rows = torch.nonzero(waiting).squeeze(1)
        is_moving = lanes.motion[rows] > tolerance(self._core, self._band)
        start = beside(self._core, self._stepper.z[rows], self._band, is_moving)
        found = find_rest_for_band(self._core, self._stepper_drive(rows), start, self._band)
        lanes.evaluations[rows] += found.evaluations
        lanes.search_below[rows] = 0.25 * lanes.motion[rows]
        # A lane that has a goal gives it up only for another one, and only for one that attracts.
        is_other = (found.z - lanes.rest[rows]).abs().amax(1) > SAME * self._band
        hit = found.is_found & (~lanes.is_aimed[rows] | is_other)
        rival = torch.nonzero(hit & lanes.is_aimed[rows]).squeeze(1)
        hit[rival] = ~self._do_repel(rows[rival], found.z[rival], found.approach[rival])
        rows, rest = rows[hit], found.z[hit]
        distance = (self._stepper.z[rows] - rest).abs_().amax(1).to(torch.float64)
        lanes.rest[rows], lanes.distance[rows], lanes.is_aimed[rows] = rest, distance, True
        self._certificates.aimed(rows, lanes.time[rows], found, hit, distance > self._band)
        lanes.linear_below[rows] = torch.inf
        self._has_goal |= rows.numel() > 0
        self._begin_inside(rows[distance <= self._band])
        return rows.numel() > 0

    def _finish(self, is_fresh: bool) -> None:
        """Decide lanes for which the linearised circuit tells when they arrive."""
        if not self._has_goal:
            return
        rows = self._linear.candidates(self._lanes, is_fresh)
        if rows.numel():
            settled = self._linear.finish(self._lanes, self._stepper, rows, self._drive)
            self._decide(settled, torch.full_like(settled, int(Verdict.SETTLED)), self._lanes.time[settled])

    def _begin_inside(self, rows: Tensor) -> None:
        """Lanes inside the band of a rest that they may not have approached: it must attract."""
        repelled = self._do_repel(rows, self._lanes.rest[rows])
        self._reject(rows[repelled])
        self._begin_again(rows[~repelled & (self._lanes.time[rows] > 0)])

    def _do_repel(self, rows: Tensor, rest: Tensor, approach: Tensor | None = None) -> Tensor:
        """(row,) bool: whether these rests repel."""
        if rows.numel() == 0:
            return torch.zeros_like(rows, dtype=torch.bool)
        offset = self._stepper.z[rows] - rest
        answer = self._certificates.ask(rows, self._stepper_drive(rows), rest, offset, approach)
        self._lanes.evaluations[rows] += answer.evaluations
        return answer.repels

    def _reject(self, rows: Tensor) -> None:
        """A rest that repels is no goal."""
        self._lanes.is_aimed[rows], self._lanes.distance[rows] = False, torch.inf
        self._lanes.search_below[rows] = 0.25 * self._lanes.motion[rows]

    def _begin_again(self, rows: Tensor) -> None:
        """Lanes whose crossing was missed: back to the start, now with their equilibrium known."""
        if rows.numel() == 0:
            return
        lanes, start = self._lanes, self._z_start[self._lanes.index[rows]]
        self._certificates.restarted(rows)
        self._stepper.restart(rows, start)
        lanes.time[rows], lanes.h[rows], lanes.ratio_before[rows] = 0.0, self._h_start, 1.0
        lanes.energy[rows] = 0.0
        lanes.motion[rows] = self._motion(self._stepper.dz)[rows]
        lanes.distance[rows] = (start - lanes.rest[rows]).abs().amax(1).to(torch.float64)
        lanes.evaluations[rows] += 1
        if self._recorder is not None:
            self._recorder.forget(self._slots()[rows], start)

    def _judge(self, period: Tensor) -> None:
        """Give verdicts, and save what was found."""
        lanes, options = self._lanes, self._options
        is_inside = lanes.is_aimed & (lanes.distance <= 0.5 * self._band)
        since = torch.minimum(lanes.inside_since, lanes.time)
        lanes.inside_since = torch.where(is_inside, since, torch.inf)
        timed_out = (lanes.time >= options.max_time_tau - 2 * SMALLEST_STEP) | (lanes.attempts >= options.max_steps)
        oscillating = torch.isfinite(period)
        has_dwelt = lanes.time - lanes.inside_since >= options.dwell_tau
        settled = self._stay(is_inside & ~lanes.is_decided, has_dwelt)
        is_bounded = lanes.motion <= lanes.motion_limit  # False for NaN
        diverged = ~is_bounded | (lanes.h < 0.1 * SMALLEST_STEP)
        decided = (timed_out | oscillating | settled | diverged) & ~lanes.is_decided
        if not bool(decided.any()):
            return
        verdict = torch.full_like(lanes.rejected, int(Verdict.TIMED_OUT))
        verdict[oscillating], verdict[settled] = int(Verdict.OSCILLATING), int(Verdict.SETTLED)
        verdict[diverged] = int(Verdict.DIVERGED)
        rows = torch.nonzero(decided).squeeze(1)
        self._decide(rows, verdict[rows], period[rows])

    def _decide(self, rows: Tensor, verdict: Tensor, period: Tensor) -> None:
        """Save what was found; from now on these lanes only wait to be dropped or recorded."""
        save(self._outcome, self._lanes, self._stepper, rows, verdict, period)
        self._lanes.is_decided[rows] = True
        # A recording goes on to the end of the settle, also where the linearised circuit has told it.
        self._lanes.until[rows] = self._outcome.time_end[self._lanes.index[rows]].clamp_min(self._record_until)

    def _stay(self, is_inside: Tensor, has_dwelt: Tensor) -> Tensor:
        """(lane,) bool: those certified never to leave the band again; one that its rest repels loses its goal."""
        settled = torch.zeros_like(is_inside)
        rows = torch.nonzero(is_inside).squeeze(1)
        if rows.numel() == 0:
            return settled
        lanes, drive, rest = self._lanes, self._stepper_drive(rows), self._lanes.rest[rows]
        offset = self._stepper.z[rows] - rest
        answer = self._certificates.stay(rows, drive, lanes.time[rows], rest, offset, has_dwelt[rows])
        settled[rows], lanes.evaluations[rows] = answer.stays, lanes.evaluations[rows] + answer.evaluations
        self._reject(rows[answer.repels])
        return settled

    def _drop(self) -> None:
        """Take finished lanes out of the batch, where that is worth the copying."""
        lanes = self._lanes
        finished = lanes.is_decided
        if self._recorder is not None:
            is_recorded = self._slots() >= 0
            is_bounded = lanes.motion <= lanes.motion_limit
            finished = finished & ~(is_recorded & is_bounded & (lanes.time < lanes.until - 2 * SMALLEST_STEP))
        n_finished = int(torch.count_nonzero(finished))
        if n_finished < max(1, DROP_FRACTION * len(lanes)) and n_finished < len(lanes):
            return
        if self._recorder is not None:
            self._recorder.retire(self._slots()[finished])
        rows = torch.nonzero(~finished).squeeze(1)
        for kept in (self._recurrence, self._certificates, lanes):
            kept.keep(rows)
        if len(lanes):
            self._stepper.keep(rows)
            self._has_goal = bool(lanes.is_aimed.any())

    def _motion(self, dz: Tensor) -> Tensor:
        """(lane,) float64: max |F(z) - z|, from dz/ds = rate (F(z) - z)."""
        difference = dz.abs() if self._slowness is None else (dz * self._slowness).abs_()
        return difference.amax(1).to(torch.float64)

    def _stepper_drive(self, rows: Tensor) -> Drive:
        return self._drive.rows(self._lanes.index[rows])

    def _flow(self, rows: Tensor, z: Tensor) -> FlowJacobian:
        """The flow's Jacobians of some lanes at states z (row, node)."""
        return FlowJacobian(self._core, self._stepper_drive(rows), z)

    def _slots(self) -> Tensor:
        """(lane,) which recorded sample each lane is, -1 for none."""
        if self._recorder is None:
            return torch.full_like(self._lanes.index, -1)
        return self._recorder.slots(self._lanes.index)
