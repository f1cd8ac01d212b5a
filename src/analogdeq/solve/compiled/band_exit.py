"""When an aimed sample is last outside the band in a step."""

import math

import numpy as np

from analogdeq.solve.band import POINTS
from analogdeq.solve.compiled.arithmetic import copy, distance
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.joules import charge
from analogdeq.solve.compiled.lanes import TERMS
from analogdeq.solve.compiled.pulled import place_between
from analogdeq.solve.compiled.series import state_at

BISECTIONS = 4
"""Of the subinterval that holds the exit: beside a peak, or where another node becomes the farthest, the distance is no
exponential."""


@in_place
def note_exit(network, control, lanes, slots, s, speed, state, scratch):
    """Note where an aimed sample was last outside the band in this step, and its distance at the end.

    The path is as exact inside a step as at its end.

    Args:
        network: the circuit.
        control: what is asked for.
        lanes: the samples, at the beginning of the step.
        slots: with the step, whose end is in `points`.
        s: the slot.
        speed: the largest |dz/ds| in the step; infinite where it is not known.
        state: (1, node). Scratch.
        scratch: five (node,).
    """
    i = slots.lane[s]
    lane, rest = lanes.of[i], lanes.rest[i]
    far = distance(slots.points[s], rest, scratch[0])
    reach = max(lane.distance, far) + speed * lane.h
    if reach > control.band:
        theta = 1.0 if far > control.band else _last_exit(network, lanes, slots, s, control.band, state, scratch)
        if theta >= 0:
            lane.exit_time = lane.time + theta * lane.h
            _path(network, lanes, slots, s, theta, state, scratch)
            copy(lanes.exit_state[i], state[0])
            if network.has_power:
                _note_energy(network, lanes, slots, s, theta, state, scratch[0])
    lane.distance = far


@compiled
def _note_energy(network, lanes, slots, s, theta, state, push):
    """The joules until the fraction theta of the step."""
    lane = lanes.of[slots.lane[s]]
    gained, error, watts = np.zeros(TERMS), np.zeros(TERMS), np.zeros(TERMS)
    charge(network, lanes, slots, s, theta, gained, error, state, push, watts)
    for term in range(TERMS):
        lane.exit_energy[term] = lane.energy[term] + gained[term]


@in_place
def _last_exit(network, lanes, slots, s, band, state, scratch):
    """The largest fraction of the step at which it is outside the band, -1 if none; as `analogdeq.solve.band`.

    Two nested grids and bisections; what is left of the distance is taken to decay exponentially.
    """
    low, width, before, after = 0.0, 1.0, 0.0, 0.0
    for level in range(2):
        after = 0.0
        for point in range(POINTS, -1, -1):
            before = _distance_at(network, lanes, slots, s, low + width * point / POINTS, state, scratch)
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
        far = _distance_at(network, lanes, slots, s, low + width, state, scratch)
        if far > band:
            low, before = low + width, far
        else:
            after = far
    return low + width * min(math.log(before / band) / math.log(before / max(after, 1e-3 * band)), 1.0)


@in_place
def _distance_at(network, lanes, slots, s, theta, state, scratch):
    """How far from its rest it is at the fraction theta of the step."""
    _path(network, lanes, slots, s, theta, state, scratch)
    return distance(state[0], lanes.rest[slots.lane[s]], scratch[0])


@in_place
def _path(network, lanes, slots, s, theta, state, scratch):
    """Write the state at the fraction theta of the step to state_0."""
    i = slots.lane[s]
    h = lanes.of[i].h
    if network.is_stiff:
        place_between(state[0], network.rate, lanes.z, slots.k, s, i, h, theta, scratch)
    else:
        state_at(state, 0, lanes.z, slots.k, network.rate, network.squash, s, i, theta * h)
