"""When samples arrive that the linearised circuit can take to their rest: `analogdeq.solve.finish`, compiled."""

import math

import numpy as np

from analogdeq.solve.compiled.arithmetic import add_scaled, clear, copy, dot, largest, scale, tanh
from analogdeq.solve.compiled.excursion import MOST, last_exit, weights_at
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.lanes import SETTLED, TERMS, together
from analogdeq.solve.compiled.matrices import apply
from analogdeq.solve.compiled.quadrature import rule
from analogdeq.solve.compiled.space import build, linearise, unfold
from analogdeq.solve.compiled.watts import draw
from analogdeq.solve.finish import CLOSER, ENERGY, NEAR, NONLINEARITY, SLACK

NODES, FINE, COARSE = rule(8)
"""Of the way to the exit."""
SIZE = 10
"""Of the Krylov space."""
OFFSET, SHIFT, EXIT, SCRATCH, LINEAR = SIZE, SIZE + 1, SIZE + 2, SIZE + 3, SIZE + 4
"""Rows of a slot besides the basis; W times its first vector takes the place of the offset."""
ROWS = SIZE + 6
"""With the slopes."""
CAUTION = 0.5
"""Of the bend that the loop allows. That asks later, since its lanes wait for company, and bends less then."""
SHARES = (0.2, 1.0)
"""Of the time to the exit: where it is checked that the circuit is linear. At the start alone bends of second and third
order may cancel by chance."""
SATURATED = 1e-5
"""A slope below which nothing is seen of the pre-activation."""
SLOWER = 0.7
"""A sample asks again when it is nearer by this factor at least, and by this one at the most:"""
LEAST = 0.03


@compiled
def arrive(network, control, lanes, slots, rows):
    """Give the fate SETTLED to those of the samples `rows` whose arrival the linearised circuit tells.

    Others get a goal nearer to their rest.
    """
    follow(network, control, lanes, slots, rows[is_straight(network, control, lanes, slots, rows)])


@compiled
def is_straight(network, control, lanes, slots, rows):
    """(row,) bool: which samples bend little enough; the others get a goal at which they should."""
    answer = np.zeros(rows.shape[0], np.bool_)
    for row in range(rows.shape[0]):
        lane = lanes.of[rows[row]]
        linearise(network, lanes, slots.k, rows, row, 1)
        _, bent, allowed = _bent(network, control, lanes, slots.k[0], rows[row])
        answer[row] = bent <= allowed
        lane.goal = lane.distance * min(max(CLOSER * allowed / max(bent, 1e-300), LEAST), SLOWER)
    return answer


@compiled
def follow(network, control, lanes, slots, rows):
    """Follow the linearised circuits of the samples `rows` to where they are last outside the band."""
    n_slots, n_nodes = slots.p.shape
    size = min(SIZE, n_nodes)
    H, way = np.zeros((n_slots, size + 1, size)), np.zeros((n_slots, MOST, size))
    length, margin, allowed = np.zeros(n_slots), np.zeros(n_slots), np.zeros(n_slots)
    after, step = np.zeros(n_slots), np.zeros(n_slots)
    first = 0
    while first < rows.shape[0]:
        count = together(rows.shape[0] - first, slots)
        linearise(network, lanes, slots.k, rows, first, count)
        for s in range(count):
            decay, bent, allowed[s] = _bent(network, control, lanes, slots.k[s], rows[first + s])
            margin[s] = NEAR * bent
            scale(slots.k[s, SHIFT], 1 / decay)
            copy(slots.k[s, 0], slots.k[s, OFFSET])
            add_scaled(slots.k[s, 0], 0.75, slots.k[s, SHIFT])
            length[s] = math.sqrt(dot(slots.k[s, 0], slots.k[s, 0]))
            scale(slots.k[s, 0], 1 / length[s])
        build(network, slots, H, size, count)
        for s in range(count):
            lanes.of[rows[first + s]].evaluations += size
            exit = last_exit(slots.k[s], H[s], length[s], margin[s], control.band, way[s], slots.k[s, EXIT])
            after[s], step[s] = exit.after, exit.step
        _check(network, control, lanes, slots, rows, first, count, allowed, after, way, step, H, length)
        if network.has_power:
            _charge(network, control, lanes, slots, rows, first, count, way, after, step, H, length)
        for s in range(count):
            i = rows[first + s]
            lane = lanes.of[i]
            if after[s] >= 0 and lane.time + after[s] < control.max_time:
                lane.exit_time, lane.fate = lane.time + after[s], SETTLED
                copy(lanes.exit_state[i], lanes.rest[i])
                add_scaled(lanes.exit_state[i], 1.0, slots.k[s, EXIT])
        first += count


@in_place
def _bent(network, control, lanes, basis, i):
    """Decay rate, how much the linearised circuit does not tell of the motion, and how much it may not tell.

    The offset e from rest is written to `OFFSET`, the bend itself, dz/ds - A e, to `SHIFT`.
    """
    lane, offset, dz, bend, slope = lanes.of[i], basis[OFFSET], basis[SCRATCH], basis[SHIFT], basis[-1]
    z, pre, rest, pre_rest, rate = lanes.z, lanes.pre, lanes.rest, lanes.pre_rest, network.rate
    a, c0, c1, c2 = network.squash[0], network.squash[1], network.squash[2], network.squash[3]
    for n in range(rate.shape[0]):
        offset[n] = z[i, n] - rest[i, n]
    for n in range(rate.shape[0]):
        dz[n] = rate[n] * (a * (c0 + c1 * tanh(c2 * pre[i, n])) - z[i, n])
    for n in range(rate.shape[0]):
        bend[n] = rate[n] * (slope[n] * (pre[i, n] - pre_rest[i, n]) - offset[n])
    _bend(bend, dz, bend, control.blur)
    decay = max(-dot(offset, dz) / dot(offset, offset), 1e-12)
    e_folds = math.log(lane.motion_start / lane.motion) + math.log(lane.distance / control.band)
    allowed = CAUTION * NONLINEARITY * control.rtol * max(e_folds, 1.0)
    return decay, largest(bend) / (decay * largest(offset)), allowed


@in_place
def _bend(out, dz, linear, blur):
    """Write dz/ds - A e to `out`, what the linearised circuit does not tell; 0 where that may be rounding."""
    least = out.dtype.type(blur)
    for i in range(out.shape[0]):
        gap = dz[i] - linear[i]
        out[i] = max(gap - least, out.dtype.type(0)) + min(gap + least, out.dtype.type(0))


@in_place
def _check(network, control, lanes, slots, rows, first, count, allowed, after, way, step, H, length):
    """Make exits negative where the circuit is not linear on the way or there, or its bend large in what is left."""
    for s in range(count):
        i, e, motion, dz = rows[first + s], slots.points[s], slots.k[s, LINEAR], slots.k[s, SCRATCH]
        for share in SHARES:
            if after[s] < 0:
                continue
            _state(network, lanes, slots, H[s], length[s], way[s], share * after[s], step[s], s, i)
            _motion(network, lanes.pre_rest, lanes.rest, e, dz, dz, i)
            squared, speed = dot(e, e), dot(e, dz)
            decay = -speed / squared
            _bend(dz, dz, motion, control.blur)
            if not largest(dz) <= allowed[s] * decay * largest(e):
                after[s] = -1.0
            elif share == 1.0:
                at_first = squared * math.exp(min(decay * after[s], 700.0))
                if not abs(dot(slots.k[s, SHIFT], e)) <= SLACK * allowed[s] * at_first:
                    after[s] = -1.0


@compiled
def _state(network, lanes, slots, H, length, way, after, step, s, lane):
    """Write the offset e from rest after some time to `points`, its motion A e to `LINEAR` and W e to `SCRATCH`.

    W e follows from A e = rate (slope W e - e), without a product; of nodes so saturated that it does not, and is not
    seen either, it is taken to fade as the whole offset does.
    """
    basis, e, motion, image = slots.k[s], slots.points[s], slots.k[s, LINEAR], slots.k[s, SCRATCH]
    pre, pre_rest, slowness, last = lanes.pre, lanes.pre_rest, network.slowness, slots.k.shape[1] - 1
    w = weights_at(way, after, step)
    size = w.shape[0]
    along = np.empty(size)
    apply(H[:size], w, along)
    unfold(basis[:size], w, e)
    unfold(basis[:size], along, motion)
    add_scaled(motion, w[size - 1], slots.p[s])  # what leads out of the space, as `build` left it there
    of = e.dtype.type
    fade, saturated = of(math.sqrt(dot(w, w)) / length), of(SATURATED)
    for n in range(e.shape[0]):
        slope = basis[last, n]
        seen = (slowness[n] * motion[n] + e[n]) / max(slope, saturated)
        image[n] = seen if slope > saturated else fade * (pre[lane, n] - pre_rest[lane, n])


@in_place
def _motion(network, pre, rest, e, image, out, lane):
    """Write dz/ds at rest + e, where W e is `image`, to `out`."""
    a, c0, c1, c2 = network.squash[0], network.squash[1], network.squash[2], network.squash[3]
    for n in range(e.shape[0]):
        F = a * (c0 + c1 * tanh(c2 * (pre[lane, n] + image[n])))
        out[n] = network.rate[n] * (F - (rest[lane, n] + e[n]))


@compiled
def _charge(network, control, lanes, slots, rows, first, count, way, after, step, H, length):
    """Joules until the exits; these become negative where the rule with half the intervals gives something else."""
    fine, coarse, watts = np.zeros(TERMS), np.zeros(TERMS), np.zeros(TERMS)
    for s in range(count):
        if after[s] < 0:
            continue
        i, z, p = rows[first + s], slots.points[s], slots.k[s, SCRATCH]
        lane = lanes.of[i]
        clear(fine)
        clear(coarse)
        for node in range(NODES.shape[0]):
            _state(network, lanes, slots, H[s], length[s], way[s], after[s] * NODES[node], step[s], s, i)
            add_scaled(z, 1.0, lanes.rest[i])
            add_scaled(p, 1.0, lanes.pre_rest[i])
            draw(network.watts, network.squash, z, p, lane.standing, watts)
            for term in range(TERMS):
                fine[term] += FINE[node] * watts[term]
                coarse[term] += COARSE[node] * watts[term]
        gap, total = 0.0, 0.0
        for term in range(TERMS):
            lane.exit_energy[term] = lane.energy[term] + after[s] * fine[term]
            gap, total = gap + abs(fine[term] - coarse[term]), total + abs(fine[term])
        if gap > ENERGY * control.rtol * total:
            after[s] = -1.0
