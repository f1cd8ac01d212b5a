"""The rest ahead of each sample, by iterating z <- F(z)."""

import numpy as np

from analogdeq.solve.compiled.arithmetic import add_scaled, copy, distance, product, tanh
from analogdeq.solve.compiled.jit import compiled
from analogdeq.solve.compiled.lanes import LEFT
from analogdeq.solve.rest import PICARD_CONTRACTION, PICARD_ROUND

MOST = 100
"""Iterations of a sample."""


@compiled
def search(network, control, lanes, slots, rows):
    """Write where the samples `rows` will rest, and how far from it they are.

    Iterations begin beside the trajectory, so that they end only at what attracts them. A sample that they do not bring
    to its rest is left to the loop, which knows Newton's method; so is one that is inside the band already.
    """
    before, spent = np.zeros(slots.lane.shape[0]), np.zeros(slots.lane.shape[0], np.int64)
    scratch = np.empty_like(network.rate)
    count, following = 0, 0
    while True:
        while count < slots.lane.shape[0] and following < rows.shape[0]:
            lane = rows[following]
            slots.lane[count], spent[count] = lane, 0
            copy(slots.points[count], lanes.z[lane])
            add_scaled(slots.points[count], control.beside, network.kick)
            count, following = count + 1, following + 1
        if count == 0:
            return
        product(network.blocks, slots.points, slots.block, slots.part, slots.p, count)
        s = 0
        while s < count:
            lane, y = slots.lane[s], slots.points[s]
            _image(network.squash, slots.p[s], lanes.current[lane])
            residual = distance(slots.p[s], y, scratch)
            spent[s] += 1
            is_found = residual <= control.found
            if not is_found and _goes_on(residual, before, spent, s):
                copy(y, slots.p[s])
                s += 1
                continue
            copy(lanes.rest[lane], y)
            lanes.of[lane].evaluations += spent[s]
            lanes.of[lane].distance = distance(lanes.z[lane], y, scratch)
            if residual > control.good_enough or lanes.of[lane].distance <= control.band:
                lanes.of[lane].fate = LEFT
            count -= 1
            slots.lane[s], spent[s], before[s] = slots.lane[count], spent[count], before[count]
            copy(slots.points[s], slots.points[count])
            copy(slots.p[s], slots.p[count])


@compiled
def _image(squash, p, current):
    """p, which is W z, becomes F(z)."""
    a, c0, c1, c2 = squash[0], squash[1], squash[2], squash[3]
    for i in range(p.shape[0]):
        p[i] = a * (c0 + c1 * tanh(c2 * (p[i] + current[i])))


@compiled
def _goes_on(residual, before, spent, s):
    """Whether iterations contract well enough; looked at once a round, as in `analogdeq.solve.rest`."""
    if spent[s] % PICARD_ROUND != 1:
        return True
    is_falling = spent[s] == 1 or residual < PICARD_CONTRACTION**PICARD_ROUND * before[s]
    before[s] = residual
    return is_falling and spent[s] <= MOST
