"""The rest ahead of each sample, by iterating z <- F(z)."""

import numpy as np

from analogdeq.solve.compiled.arithmetic import copy_row, distance, from_bits, size_bits, tanh
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.lanes import LEFT, together
from analogdeq.solve.compiled.leap import CLOSE, near
from analogdeq.solve.compiled.product import product
from analogdeq.solve.rest import PICARD_ROUND

MOST, CONTRACTION = 2500, 0.995
"""Iterations of a sample, and by what factor each must bring it closer on average. In machine code many of them take
less time than the loop's few and its Newton steps."""


@compiled
def search(network, control, lanes, slots, rows):
    """Write where the samples `rows` will rest, and how far from it they are.

    Iterations begin where Newton's step ended; or else beside where the rest is expected, so that they end only at what
    attracts them. A sample that they do not bring to its rest is left to the loop; so is one that is inside the band
    already.
    """
    points, p, lane_of, of = slots.points, slots.p, slots.lane, lanes.of
    z, current, rest, squash = lanes.z, lanes.current, lanes.rest, network.squash
    before, spent = np.zeros(lane_of.shape[0]), np.zeros(lane_of.shape[0], np.int64)
    scratch = np.empty_like(network.rate)
    count, following = 0, 0
    while True:
        while following < rows.shape[0] and count < together(count + rows.shape[0] - following, slots):
            i = rows[following]
            lane_of[count], spent[count] = i, 0
            _begin(network, control, lanes, points, count, i)
            count, following = count + 1, following + 1
        if count == 0:
            return
        product(network.weights, points, p, count)
        s = 0
        while s < count:
            i = lane_of[s]
            residual = _image(squash, points, p, current, lanes.pre_rest, s, i)
            spent[s] += 1
            is_found = residual <= control.found
            if not is_found and _goes_on(residual, before, spent, s):
                copy_row(points, s, p, s)
                s += 1
                continue
            lane = of[i]
            if distance(rest[i], points[s], scratch) > CLOSE * near(network, control):
                lane.attracts = 0
            copy_row(rest, i, points, s)
            lane.evaluations += spent[s]
            lane.residual = residual
            lane.distance = distance(z[i], points[s], scratch)
            if residual > control.good_enough or lane.distance <= control.band:
                lane.fate = LEFT
            count -= 1
            lane_of[s], spent[s], before[s] = lane_of[count], spent[count], before[count]
            copy_row(points, s, points, count)
            copy_row(p, s, p, count)


@in_place
def _begin(network, control, lanes, points, s, lane):
    """Where the iterations of a sample begin."""
    rest, pre, squash = lanes.rest, lanes.pre_rest, network.squash
    if lanes.of[lane].attracts:
        copy_row(points, s, rest, lane)
        return
    a, c0, c1, c2 = squash[0], squash[1], squash[2], squash[3]
    by = rest.dtype.type(control.beside)
    for i in range(points.shape[1]):
        points[s, i] = a * (c0 + c1 * tanh(c2 * pre[lane, i])) + by * network.kick[i]


@in_place
def _image(squash, z, p, current, pre, s, lane):
    """p_s, which is W z_s, becomes F(z_s), pre_lane the pre-activation; the largest |F(z_s) - z_s|."""
    a, c0, c1, c2 = squash[0], squash[1], squash[2], squash[3]
    zero = p.dtype.type(0)
    most = size_bits(zero)
    for i in range(p.shape[1]):
        x = p[s, i] + current[lane, i]
        image = a * (c0 + c1 * tanh(c2 * x))
        pre[lane, i] = x
        most = max(most, size_bits(image - z[s, i]))
        p[s, i] = image
    return from_bits(most, zero)


@in_place
def _goes_on(residual, before, spent, s):
    """Whether iterations contract well enough; looked at once a round, as in `analogdeq.solve.rest`."""
    if spent[s] % PICARD_ROUND != 1:
        return True
    is_falling = spent[s] == 1 or residual < CONTRACTION**PICARD_ROUND * before[s]
    before[s] = residual
    return is_falling and spent[s] <= MOST
