"""When samples arrive that the linearised circuit can take to their rest: `analogdeq.solve.finish`, compiled."""

import math

import numpy as np

from analogdeq.solve.compiled.arithmetic import add_scaled, copy, copy_row, dot, largest, scale, tanh
from analogdeq.solve.compiled.excursion import MOST, last_exit, weights_at
from analogdeq.solve.compiled.jit import compiled
from analogdeq.solve.compiled.lanes import SETTLED, TERMS
from analogdeq.solve.compiled.product import product
from analogdeq.solve.compiled.quadrature import rule
from analogdeq.solve.compiled.space import build, flow, linearise, unfold
from analogdeq.solve.compiled.watts import draw
from analogdeq.solve.finish import CLOSER, ENERGY, NEAR, NONLINEARITY, SLACK

NODES, FINE, COARSE = rule(8)
"""Of the way to the exit."""
SIZE = 12
"""Of the Krylov space."""
OFFSET, SHIFT, EXIT, SCRATCH = SIZE, SIZE + 1, SIZE + 2, SIZE + 3
"""Rows of a slot besides the basis; W times its first vector takes the place of the offset."""
ROWS = SIZE + 5
"""With the slopes."""
CAUTION = 0.5
"""Of the bend that the loop allows. That asks later, since its lanes wait for company, and bends less then."""
SHARES = (0.2, 1.0)
"""Of the time to the exit: where it is checked that the circuit is linear. At the start alone bends of second and third
order may cancel by chance."""
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
    for first in range(0, rows.shape[0], n_slots):
        count = min(n_slots, rows.shape[0] - first)
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
        _check(network, control, lanes, slots, rows, first, count, allowed, after, way, step)
        if network.has_power:
            _charge(network, control, lanes, slots, rows, first, count, way, after, step)
        for s in range(count):
            i = rows[first + s]
            lane = lanes.of[i]
            if after[s] >= 0 and lane.time + after[s] < control.max_time:
                lane.exit_time, lane.fate = lane.time + after[s], SETTLED
                copy(lanes.exit_state[i], lanes.rest[i])
                add_scaled(lanes.exit_state[i], 1.0, slots.k[s, EXIT])


@compiled
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


@compiled
def _bend(out, dz, linear, blur):
    """Write dz/ds - A e to `out`, what the linearised circuit does not tell; 0 where that may be rounding."""
    least = out.dtype.type(blur)
    for i in range(out.shape[0]):
        gap = dz[i] - linear[i]
        out[i] = max(gap - least, out.dtype.type(0)) + min(gap + least, out.dtype.type(0))


@compiled
def _check(network, control, lanes, slots, rows, first, count, allowed, after, way, step):
    """Make exits negative where the circuit is not linear on the way or there, or its bend large in what is left."""
    for share in SHARES:
        is_exit = share == 1.0
        for s in range(count):
            if is_exit:
                copy_row(slots.points, s, slots.k[s], EXIT)
            else:
                weights = weights_at(way[s], max(after[s], 0.0) * share, step[s])
                unfold(slots.k[s, : weights.shape[0]], weights, slots.points[s])
        product(network.panels, slots.points, slots.p, count)
        for s in range(count):
            if after[s] < 0:
                continue
            i, e, dz = rows[first + s], slots.points[s], slots.k[s, SCRATCH]
            lanes.of[i].evaluations += 1
            _motion(network, slots.p, lanes.pre_rest, lanes.rest, e, dz, s, i)
            flow(network.rate, slots.k, slots.p, slots.points, s)
            squared, speed = dot(e, e), dot(e, dz)
            decay = -speed / squared
            _bend(dz, dz, slots.p[s], control.blur)
            if not largest(dz) <= allowed[s] * decay * largest(e):
                after[s] = -1.0
            elif is_exit:
                at_first = squared * math.exp(min(decay * after[s], 700.0))
                if not abs(dot(slots.k[s, SHIFT], e)) <= SLACK * allowed[s] * at_first:
                    after[s] = -1.0


@compiled
def _motion(network, We, pre, rest, e, dz, s, lane):
    """dz/ds at rest + e."""
    a, c0, c1, c2 = network.squash[0], network.squash[1], network.squash[2], network.squash[3]
    for n in range(e.shape[0]):
        image = a * (c0 + c1 * tanh(c2 * (pre[lane, n] + We[s, n])))
        dz[n] = network.rate[n] * (image - (rest[lane, n] + e[n]))


@compiled
def _charge(network, control, lanes, slots, rows, first, count, way, after, step):
    """Joules until the exits; these become negative where the rule with half the intervals gives something else."""
    fine, coarse, watts = np.zeros((count, TERMS)), np.zeros((count, TERMS)), np.zeros(TERMS)
    for node in range(NODES.shape[0]):
        for s in range(count):
            weights = weights_at(way[s], max(after[s], 0.0) * NODES[node], step[s])
            unfold(slots.k[s, : weights.shape[0]], weights, slots.points[s])
        product(network.panels, slots.points, slots.p, count)
        for s in range(count):
            i = rows[first + s]
            z = slots.points[s]
            add_scaled(z, 1.0, lanes.rest[i])
            add_scaled(slots.p[s], 1.0, lanes.pre_rest[i])
            draw(network.watts, network.squash, z, slots.p[s], lanes.of[i].standing, watts)
            for term in range(TERMS):
                fine[s, term] += FINE[node] * watts[term]
                coarse[s, term] += COARSE[node] * watts[term]
    for s in range(count):
        lane = lanes.of[rows[first + s]]
        if after[s] < 0:
            continue
        lane.evaluations += NODES.shape[0]
        gap, total = 0.0, 0.0
        for term in range(TERMS):
            lane.exit_energy[term] = lane.energy[term] + after[s] * fine[s, term]
            gap, total = gap + abs(fine[s, term] - coarse[s, term]), total + abs(fine[s, term])
        if gap > ENERGY * control.rtol * total:
            after[s] = -1.0
