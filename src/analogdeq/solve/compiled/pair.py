"""One attempted step of Tsitouras 5(4) for the samples in the slots: stages, error, dense output."""

import numpy as np

from analogdeq.solve.compiled.arithmetic import copy, from_bits, largest, multiply, product, size_bits, tanh
from analogdeq.solve.compiled.jit import compiled
from analogdeq.solve.compiled.lanes import STAGES
from analogdeq.solve.tsit5 import TSIT5

A = np.zeros((STAGES, STAGES))
for _i, _row in enumerate(TSIT5.a, start=1):
    A[_i, : len(_row)] = _row
ERROR = np.array(TSIT5.error)
DENSE = np.array(TSIT5.dense)
"""(stage, power) of the polynomials b_i(theta), from theta^1 on."""
WHOLE = DENSE.sum(1)
"""b_i(1)."""


@compiled
def attempt(network, lanes, slots, count):
    """Stages 2 to 7 of the first `count` slots, each with its own step; stage 1 is there already.

    The last one is evaluated at the end of the step, which stays in `points`.
    """
    points, p, k, watts, lane_of = slots.points, slots.p, slots.k, slots.watts, slots.lane
    z, of, current, rate, squash = lanes.z, lanes.of, lanes.current, network.rate, network.squash
    for stage in range(1, STAGES):
        for s in range(count):
            combine(points, z, k, s, lane_of[s], of[lane_of[s]].h, A[stage])
        product(network.blocks, points, slots.block, slots.part, p, count)
        for s in range(count):
            respond(rate, squash, points, p, current, k, s, lane_of[s], stage)
        if network.has_power:
            for s in range(count):
                draw(network.watts, squash, points[s], p[s], of[lane_of[s]].standing, watts[s, stage])


@compiled
def begin(network, lanes, slots, rows):
    """Derivative, motion and watts of samples where they are."""
    for first in range(0, rows.shape[0], slots.lane.shape[0]):
        count = min(slots.lane.shape[0], rows.shape[0] - first)
        for s in range(count):
            copy(slots.points[s], lanes.z[rows[first + s]])
        product(network.blocks, slots.points, slots.block, slots.part, slots.p, count)
        for s in range(count):
            i = rows[first + s]
            lane = lanes.of[i]
            respond(network.rate, network.squash, slots.points, slots.p, lanes.current, slots.k, s, i, 0)
            copy(lanes.dz[i], slots.k[s, 0])
            if network.has_power:
                draw(network.watts, network.squash, slots.points[s], slots.p[s], lane.standing, lane.watts)
            multiply(slots.points[s], slots.k[s, 0], network.slowness)
            lane.motion = lane.motion_start = largest(slots.points[s])
            lane.evaluations += 1


# Rows are picked inside the next three, and arrays taken out of their tuples before a loop: for few nodes, a view of an
# array costs more than the arithmetic done with it.


@compiled
def combine(out, z, k, s, lane, h, a):
    """Write z_lane + h sum_j a_j k_sj to out_s, over all stages, the later of which may have a_j = 0; in one pass."""
    of = out.dtype.type
    c0, c1, c2, c3 = of(h * a[0]), of(h * a[1]), of(h * a[2]), of(h * a[3])
    c4, c5, c6 = of(h * a[4]), of(h * a[5]), of(h * a[6])
    for i in range(out.shape[1]):
        early = c0 * k[s, 0, i] + c1 * k[s, 1, i] + c2 * k[s, 2, i]
        out[s, i] = z[lane, i] + early + (c3 * k[s, 3, i] + c4 * k[s, 4, i] + c5 * k[s, 5, i] + c6 * k[s, 6, i])


@compiled
def respond(rate, squash, z, p, current, k, s, lane, stage):
    """Write rate (a phi(p + current) - z) to k_s,stage; p becomes the whole pre-activation."""
    a, c0, c1, c2 = squash[0], squash[1], squash[2], squash[3]
    for i in range(rate.shape[0]):
        x = p[s, i] + current[lane, i]
        p[s, i] = x
        k[s, stage, i] = rate[i] * (a * (c0 + c1 * tanh(c2 * x)) - z[s, i])


@compiled
def judge(k, s, h, slowness):
    """The largest error of a step, and the motion max |F(z) - z| at its end."""
    of = k.dtype.type
    e0, e1, e2, e3 = of(h * ERROR[0]), of(h * ERROR[1]), of(h * ERROR[2]), of(h * ERROR[3])
    e4, e5, e6 = of(h * ERROR[4]), of(h * ERROR[5]), of(h * ERROR[6])
    error = motion = size_bits(of(0))
    for i in range(k.shape[2]):
        last = k[s, 6, i]
        early = e0 * k[s, 0, i] + e1 * k[s, 1, i] + e2 * k[s, 2, i]
        error = max(error, size_bits(early + (e3 * k[s, 3, i] + e4 * k[s, 4, i] + e5 * k[s, 5, i] + e6 * last)))
        motion = max(motion, size_bits(last * slowness[i]))
    return from_bits(error, of(0)), from_bits(motion, of(0))


@compiled
def draw(watts, squash, z, p, standing, out):
    """(term,) watts, from the pre-activation p; as `analogdeq.circuits.power`."""
    c0, c1, c2 = squash[1], squash[2], squash[3]
    crossbar = feedback = node = drivers = z.dtype.type(0)
    for i in range(z.shape[0]):
        x, y = z[i], p[i]
        e = c0 + c1 * tanh(c2 * y) - x
        crossbar += watts[0, i] * x * x
        feedback += watts[3, i] * y * y
        node += watts[1, i] * x * x + watts[5, i] * e * e
        drivers += watts[2, i] * abs(x) + watts[4, i] * abs(y) + watts[6, i] * abs(e)
    out[0] = standing[0] + crossbar
    out[1] = standing[1] + feedback
    out[2] = standing[2] + node
    out[3] = standing[3] + drivers


@compiled
def weights(theta):
    """(stage,) b_j(theta)."""
    out = np.empty(STAGES)
    for j in range(STAGES):
        d = DENSE[j]
        out[j] = theta * (d[0] + theta * (d[1] + theta * (d[2] + theta * d[3])))
    return out


@compiled
def energy_at(watts, term, h, b):
    """Joules over tau of one term from the start of the step to where the weights (stage,) are b."""
    total = 0.0
    for j in range(STAGES):
        total += b[j] * watts[j, term]
    return h * total
