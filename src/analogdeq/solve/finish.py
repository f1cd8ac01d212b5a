"""Which lanes the linearised circuit may take to their rest, and when."""

from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.certificate import Certificates
from analogdeq.solve.kinks import WAY, Kinks
from analogdeq.solve.lanes import Lanes
from analogdeq.solve.linear_regime import Arrival, bend, decay_rate, finish_linearly, straightened
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.stepper import Stepper

NONLINEARITY = 1.5
"""Times rtol and the e-folds of the whole decay: how much of the decay the linearised circuit may not tell. As a
quarter of that remains at the most, in time constants of the decay, a settling time errs by 0.4 rtol."""
NEAR = 8.0
"""Times the bend: how near to the edge of the band a later peak makes an exit uncertain. Ringing states bend by more
than their mean, up to seven times that on networks tried."""
SLACK = 2.0
"""By how much more the bend may move the mode that is left at the exit."""
CLOSE = 3.0
"""In bands. Lanes that are ready wait for company until one is as close as this: they cost less together."""
LARGEST, FEWEST = 2**14, 24
"""Lanes are taken so many numbers at a time, but at least so many lanes: a Krylov space is as large as many states."""
ENERGY = 0.1
"""Times rtol: to what the energy of the linear part is integrated."""
LEAST = 1e-3
"""Of the motion. Whatever the bend, a lane asks again when it has become so much slower."""
CLOSER = 0.8
"""A lane that was too nonlinear asks again when it should be linear enough by this factor."""

_TINY = 1e-12


@final
class LinearFinish:
    """Decides lanes that are aimed at a rest that attracts, once the circuit is as good as linear around them."""

    def __init__(self, core: Core, options: SettleOptions, certificates: Certificates) -> None:
        self._core, self._options, self._certificates = core, options, certificates
        self._band = options.band * core.full_scale
        self._kinks = Kinks.of(core)

    def candidates(self, lanes: Lanes, is_fresh: bool) -> Tensor:
        """(row,) the lanes to ask about now; none while it pays to wait for others.

        Args:
            lanes: all of them.
            is_fresh: whether some have just been given a rest to aim at.
        """
        is_ready = lanes.is_aimed & ~lanes.is_decided & (lanes.motion < lanes.linear_below)
        is_ready &= lanes.distance > self._band
        is_close = is_ready & (lanes.distance < CLOSE * self._band)
        if is_fresh or bool(is_close.any() | (is_ready | lanes.is_decided).all()):
            return torch.nonzero(is_ready).squeeze(1)
        return lanes.index.new_empty(0)

    def finish(self, lanes: Lanes, stepper: Stepper, rows: Tensor, drive: Drive) -> Tensor:
        """(row,) those of the lanes `rows` that settle.

        Their exits are written into `lanes`. `drive` has a row for every sample of the batch.
        """
        at_a_time = max(FEWEST, LARGEST // self._core.n_nodes)
        if len(rows) > at_a_time:  # what is asked of few lanes costs less for all slabs together
            for part in rows[~self._certificates.is_known(rows)].split(at_a_time):
                offset = stepper.z[part] - lanes.rest[part]
                self._do_attract(lanes, part, drive.rows(lanes.index[part]), lanes.rest[part], offset)
        slabs = rows.split(at_a_time)
        return torch.cat([self._finish_slab(lanes, stepper, slab, drive.rows(lanes.index[slab])) for slab in slabs])

    def _finish_slab(self, lanes: Lanes, stepper: Stepper, rows: Tensor, drive: Drive) -> Tensor:
        """The same for some of them, with their drive."""
        rest = lanes.rest[rows]
        offset = stepper.z[rows] - rest
        dz = stepper.dz[rows]
        gap, decay = bend(self._core, drive, rest, offset, dz), decay_rate(offset, dz)
        bent = _largest(gap) / (decay.clamp_min(_TINY) * _largest(offset))
        e_folds = (lanes.motion_start / lanes.motion)[rows].log() + (lanes.distance[rows] / self._band).log()
        allowed = NONLINEARITY * self._options.rtol * e_folds.clamp_min(1.0)
        lanes.evaluations[rows] += 1
        lanes.linear_below[rows] = lanes.motion[rows] * (CLOSER * allowed / bent).clamp(LEAST, 0.25)
        part = torch.nonzero(bent <= allowed).squeeze(1)
        part = part[self._do_attract(lanes, rows[part], drive.rows(part), rest[part], offset[part])]
        if part.numel() == 0:
            return part
        at, drive, rest, gap, decay = rows[part], drive.rows(part), rest[part], gap[part], decay[part]
        start = straightened(offset[part], gap, decay)
        tol = max(ENERGY * self._options.rtol, 64 * torch.finfo(start.dtype).eps)
        points = 0 if self._kinks is None else WAY
        end = finish_linearly(self._core, drive, rest, start, NEAR * bent[part], self._band, tol, points)
        lanes.evaluations[at] += end.evaluations + 2
        time = lanes.time[at] + end.exit_after
        is_done = end.is_certain & (time < self._options.max_time_tau)
        is_done &= self._is_straight(drive, rest, end, gap / decay.unsqueeze(1).to(gap.dtype), allowed[part])
        if self._kinks is not None:
            lanes.evaluations[at] += WAY
            is_done &= (self._kinks.bend(drive, rest, end.way) <= (allowed[part] * decay).unsqueeze(1)).all(1)
        done = at[is_done]
        lanes.exit_time[done], lanes.exit_state[done] = time[is_done], (rest + end.exit_offset)[is_done]
        lanes.exit_energy[done] = (lanes.energy[at] + end.energy)[is_done]
        return done

    def _is_straight(self, drive: Drive, rest: Tensor, end: Arrival, shift: Tensor, allowed: Tensor) -> Tensor:
        """(row,) bool: whether the circuit is linear at the exit too, and the bend small in what is left there.

        A slow mode may be small at first beside fast ones that bend it.

        Args:
            drive: one row each.
            rest: (row, node).
            end: what the linearised circuit says.
            shift: (row, node). What the bend was made up for by.
            allowed: (row,) how much of the motion may be bent.
        """
        e = end.exit_offset
        dz = self._motion(rest + e, drive)
        decay, gap = decay_rate(e, dz), bend(self._core, drive, rest, e, dz)
        is_linear = _largest(gap) <= allowed * decay * _largest(e)
        squared = e.square().sum(1).to(torch.float64)
        at_first = squared * (decay * end.exit_after).exp()
        return is_linear & ((shift * e).sum(1).abs() <= SLACK * allowed * at_first)

    def _do_attract(self, lanes: Lanes, rows: Tensor, drive: Drive, rest: Tensor, offset: Tensor) -> Tensor:
        """(row,) bool: whether these rests are known to attract, or can be shown to."""
        attracts, evaluations = self._certificates.attract(rows, drive, rest, offset)
        lanes.evaluations[rows] += evaluations
        return attracts

    def _motion(self, z: Tensor, drive: Drive) -> Tensor:
        """(lane, node): dz/ds."""
        motion = self._core.fixed_point_map(z, drive).sub_(z)
        return motion if self._core.rate is None else motion.mul_(self._core.rate)


def _largest(x: Tensor) -> Tensor:
    return x.abs().amax(1).to(torch.float64)
