"""Steps of each sample until it is slow enough to be aimed, or near enough to its rest to be judged."""

import math

from analogdeq.solve.band import POINTS
from analogdeq.solve.compiled.arithmetic import copy, copy_row, distance, largest
from analogdeq.solve.compiled.jit import compiled
from analogdeq.solve.compiled.lanes import LEFT, STAGES, TERMS
from analogdeq.solve.compiled.pair import ERROR, WHOLE, attempt, combine, energy_at, judge, weights
from analogdeq.solve.controller import BEFORE, FLOOR, GROW, LEAST_SHARE, NOW, SAFETY, SHRINK
from analogdeq.solve.tsit5 import TSIT5

ORDER = TSIT5.order
LOOK = 16
"""Attempts after which a sample must have come some way."""
LOST = 300.0
"""Farther from its rest than so many times its motion, a sample may be heading for another one: more than a slow mode
explains."""
NEAR_END = 0.02
"""Fraction of a step, at either end, in which the interpolant is as good as the step."""
BISECTIONS = 4
"""Of the subinterval that holds the exit: beside a peak, or where another node becomes the farthest, the distance is no
exponential."""
_TINY = 1e-300


@compiled
def march(network, control, lanes, slots, rows, is_aimed):
    """Step the samples `rows` until their motion, or if they are aimed their distance from rest, is small enough.

    Samples that do not get there are left to the loop. Whoever arrives makes room for the next one.
    """
    k, watts, points, lane_of = slots.k, slots.watts, slots.points, slots.lane
    of, z, dz, slowness = lanes.of, lanes.z, lanes.dz, network.slowness
    count, following = 0, 0
    while True:
        while count < lane_of.shape[0] and following < rows.shape[0]:
            i = rows[following]
            lane_of[count] = i
            copy_row(k[count], 0, dz, i)
            copy(watts[count, 0], of[i].watts)
            count, following = count + 1, following + 1
        if count == 0:
            return
        attempt(network, lanes, slots, count)
        s = 0
        while s < count:
            i = lane_of[s]
            lane, h = of[i], of[i].h
            error, motion = judge(k, s, h, slowness)
            is_accurate = _is_accurate(control, lane, watts[s], error, motion, network.has_power, network.is_uniform)
            if is_accurate and not (is_aimed and _ends_at_exit(control, lanes, slots, s, i, h)):
                _accept(lane, watts[s], h, motion, network.has_power)
                copy_row(z, i, points, s)
                copy_row(k[s], 0, k[s], STAGES - 1)
            if not _is_over(control, lane, is_aimed):
                s += 1
                continue
            copy_row(dz, i, k[s], 0)
            copy(lane.watts, watts[s, 0])
            count -= 1
            if s != count:  # the last one takes its place, and is judged next
                lane_of[s] = lane_of[count]
                copy_row(points, s, points, count)
                for stage in range(STAGES):
                    copy_row(k[s], stage, k[count], stage)
                    copy(watts[s, stage], watts[count, stage])


@compiled
def _is_over(control, lane, is_aimed):
    """Whether a sample has arrived, or is left to the loop."""
    is_astray = False
    if is_aimed:
        if lane.distance <= lane.goal:
            return True
        is_astray = lane.distance > max(LOST * lane.motion, control.band)
    elif lane.motion <= control.search_below:
        return True
    is_stuck = lane.attempts >= control.max_attempts or lane.time >= control.max_time
    is_slow = lane.attempts == LOOK and lane.time < control.least_time
    if is_astray or is_stuck or is_slow:
        lane.fate = LEFT
        return True
    return False


@compiled
def _is_accurate(control, lane, watts, error, motion, has_power, is_uniform):
    """Whether an attempted step can be accepted; the next one is chosen either way."""
    h = lane.h
    ratio = error / _allowed(control, lane, motion, is_uniform)
    if has_power:
        for term in range(TERMS):
            ratio = max(ratio, _energy_ratio(control, lane.energy[term], watts, term, h))
    factor = min(max(ratio, FLOOR), 1e10) ** (-NOW / ORDER) * max(lane.ratio_before, FLOOR) ** (BEFORE / ORDER)
    lane.h = h * min(max(SAFETY * factor, SHRINK), GROW)
    lane.attempts += 1
    lane.evaluations += STAGES - 1
    if ratio <= 1:
        lane.ratio_before = ratio
        return True
    lane.rejected += 1
    return False


@compiled
def _accept(lane, watts, h, motion, has_power):
    """Advance a sample's clock and its joules."""
    if has_power:
        for term in range(TERMS):
            lane.energy[term] += energy_at(watts, term, h, WHOLE)
        copy(watts[0], watts[STAGES - 1])
    lane.time += h
    lane.motion = motion


@compiled
def _allowed(control, lane, motion, is_uniform):
    """What the state may err by in a step; as `analogdeq.solve.tolerance`."""
    h, elapsed = lane.h, lane.time + lane.h
    rate = abs(math.log(lane.motion_start / max(motion, _TINY))) / elapsed
    if is_uniform:
        return max((lane.motion * control.rtol + control.floor) * _error_share(rate, h), control.finest)
    share = max(_error_share(rate * min(elapsed, 1.0), h), min(2 * h / elapsed, 1.0))
    return lane.motion * share * control.rtol + control.floor


@compiled
def _error_share(rate, h):
    """As `analogdeq.solve.controller`."""
    return min(max(2 * rate * h, LEAST_SHARE), 1.0) / max(rate, 1.0)


@compiled
def _energy_ratio(control, energy, watts, term, h):
    """Error of one energy over what it may err by."""
    error = 0.0
    for j in range(STAGES):
        error += ERROR[j] * watts[j, term]
    error = max(abs(error) - control.unseen * watts[STAGES - 1].max(), 0.0)
    return h * error / max(control.rtol * (energy + energy_at(watts, term, h, WHOLE)), _TINY)


@compiled
def _ends_at_exit(control, lanes, slots, s, i, h):
    """Note where an aimed sample was last outside the band in this step, and its distance at the end.

    Inside a step the interpolant may be a hundred times less exact than the step is at its end. So a step that holds
    the exit is taken again, to end there; the answer is whether it must be.
    """
    lane, k = lanes.of[i], slots.k[s]
    far = distance(slots.points[s], lanes.rest[i], slots.p[s])
    speed = max(largest(k[0]), largest(k[STAGES - 1]))
    reach = 0.5 * (lane.distance + far) + 0.75 * speed * h
    if far <= control.band < reach:
        theta = _last_exit(lanes, slots, s, i, h, control.band)
        if NEAR_END < theta < 1 - NEAR_END and not lane.is_located:
            lane.h, lane.is_located = theta * h, True
            lane.rejected += 1
            return True
        if theta >= 0:
            b = weights(theta)
            lane.exit_time = lane.time + theta * h
            combine(slots.p, lanes.z, slots.k, s, i, h, b)
            copy(lanes.exit_state[i], slots.p[s])
            for term in range(TERMS):
                lane.exit_energy[term] = lane.energy[term] + energy_at(slots.watts[s], term, h, b)
    lane.distance, lane.is_located = far, False
    return False


@compiled
def _last_exit(lanes, slots, s, i, h, band):
    """The largest fraction of the step at which it is outside the band, -1 if none; as `analogdeq.solve.band`.

    Two nested grids and bisections; what is left of the distance is taken to decay exponentially.
    """
    low, width, before, after = 0.0, 1.0, 0.0, 0.0
    for level in range(2):
        after = 0.0
        for point in range(POINTS, -1, -1):
            combine(slots.p, lanes.z, slots.k, s, i, h, weights(low + width * point / POINTS))
            before = distance(slots.p[s], lanes.rest[i], slots.p[s])
            if before > band:
                break
            after = before
        if before <= band and level == 0:
            return -1.0
        if point == POINTS:  # outside at the end; on the second grid that is rounding
            return low + width
        width /= POINTS
        low += point * width
    if before <= band:
        return low
    for _ in range(BISECTIONS):
        width /= 2
        combine(slots.p, lanes.z, slots.k, s, i, h, weights(low + width))
        far = distance(slots.p[s], lanes.rest[i], slots.p[s])
        if far > band:
            low, before = low + width, far
        else:
            after = far
    return low + width * min(math.log(before / band) / math.log(before / max(after, 1e-3 * band)), 1.0)
