"""Steps of samples of stiff networks, until they are slow enough to be aimed, or near enough to be judged."""

import numpy as np

from analogdeq.solve.compiled.arithmetic import copy_row, from_bits, size_bits, tanh
from analogdeq.solve.compiled.band_exit import note_exit
from analogdeq.solve.compiled.foresight import stand
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.lanes import together
from analogdeq.solve.compiled.march import is_aimed, is_over
from analogdeq.solve.compiled.product import product
from analogdeq.solve.compiled.pulled import POINTS, PULL, ROWS, bend, guess, hold, place, prepare, pull
from analogdeq.solve.compiled.step_size import allowed

CONVERGED = 0.1
"""By how much F may still change in the last sweep, over what the step may err by."""
SWEEPS = 40
"""Of a step at the most; a shorter one converges faster."""
SHARE = 0.2
"""Of the cubic's last coefficient: what it errs by."""
SAFETY, SHRINK, GROW, LONGEST_GUESS = 0.85, 0.2, 4.0, 3.0
"""Of step sizes; no step begins from a cubic continued for more than so many of the steps before."""


@compiled
def wave(network, control, lanes, slots, rows):
    """Step the samples `rows` as `march` does, each with sweeps until its own waveform stands still."""
    points, p, k, lane_of, size = slots.points, slots.p, slots.k, slots.lane, slots.size
    of, z, pre, current, rate, squash = lanes.of, lanes.z, lanes.pre, lanes.current, network.rate, network.squash
    scratch = (np.empty_like(rate), np.empty_like(rate), np.empty_like(rate), np.empty_like(rate), np.empty_like(rate))
    state = np.empty((1, rate.shape[0]), rate.dtype)
    count, following = 0, 0
    while True:
        while following < rows.shape[0] and count < together(count + rows.shape[0] - following, slots):
            i = lane_of[count] = rows[following]
            _enter(squash, pre, k, count, i)
            prepare(rate, of[i].h, k, count, scratch)
            size[count, 1] = 0
            count, following = count + 1, following + 1
        if count == 0:
            return
        for j in range(1, POINTS):
            for s in range(count):
                place(points, z, k, s, lane_of[s], j)
            product(network.weights, points, p, count)
            for s in range(count):
                change = pull(squash, p, current, k, s, lane_of[s], j)
                size[s, 0] = change if j == 1 else max(size[s, 0], change)
        for s in range(count - 1, -1, -1):
            i = lane_of[s]
            lane = of[i]
            lane.evaluations += POINTS - 1
            size[s, 1] += 1
            may_err = allowed(control, lane, lane.h, network.is_uniform) * lane.motion
            is_still = size[s, 0] <= max(CONVERGED * may_err, control.rounding / 2)
            if not is_still and size[s, 1] < SWEEPS:
                continue
            error = SHARE * bend(rate, lane.h, k, s) if is_still else np.inf
            by = min(max(SAFETY * (may_err / max(error, 1e-300)) ** (1 / POINTS), SHRINK), GROW)
            lane.attempts += 1
            if error <= may_err:
                place(points, z, k, s, i, POINTS - 1)
                if is_aimed(lane):
                    note_exit(network, control, lanes, slots, s, np.inf, state, scratch)
                copy_row(z, i, points, s)
                lane.motion = _motion(points, k, s)
                lane.time += lane.h
                if by <= LONGEST_GUESS:
                    guess(k, s, 1.0, by)
                else:
                    copy_row(k[s], PULL, k[s], PULL + POINTS - 1)
                    hold(k, s)
            else:
                lane.rejected += 1
                guess(k, s, 0.0, by)
            lane.h *= by
            size[s, 1] = 0
            if not is_over(control, lane):
                prepare(rate, lane.h, k, s, scratch)
                continue
            copy_row(pre, i, p, s)
            if not is_aimed(lane):
                stand(lanes, i)
            count -= 1
            if s != count:  # the last one, which was judged before, takes its place
                lane_of[s] = lane_of[count]
                size[s, 1] = size[count, 1]
                for row in range(ROWS):
                    copy_row(k[s], row, k[count], row)


@in_place
def _enter(squash, pre, k, s, lane):
    """F at all points is what it is at the beginning."""
    a, c0, c1, c2 = squash[0], squash[1], squash[2], squash[3]
    for i in range(pre.shape[1]):
        k[s, PULL, i] = a * (c0 + c1 * tanh(c2 * pre[lane, i]))
    hold(k, s)


@in_place
def _motion(points, k, s):
    """The largest |F - z| at the end of a step."""
    zero, last = points.dtype.type(0), PULL + POINTS - 1
    most = size_bits(zero)
    for i in range(points.shape[1]):
        most = max(most, size_bits(k[s, last, i] - points[s, i]))
    return from_bits(most, zero)
