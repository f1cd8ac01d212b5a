"""Steps of each sample until it is slow enough to be aimed, or near enough to its rest to be judged."""

import numpy as np

from analogdeq.solve.compiled.arithmetic import copy, copy_row, largest
from analogdeq.solve.compiled.band_exit import note_exit
from analogdeq.solve.compiled.foresight import SOON, foresee, remember, stand
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.joules import charge
from analogdeq.solve.compiled.lanes import LEFT, TERMS, together
from analogdeq.solve.compiled.product import product
from analogdeq.solve.compiled.series import (
    PRODUCTS,
    PUSH,
    RISE,
    TANH,
    add_current,
    enter,
    expand,
    motion_at,
    respond,
    state_at,
)
from analogdeq.solve.compiled.step_size import step_size
from analogdeq.solve.controller import GROW

LOOK = 16
"""Attempts after which a sample must have come some way."""
LOST = 300.0
"""Farther from its rest than so many times its motion, a sample may be heading for another one: more than a slow mode
explains."""
SHORTER = 0.5
"""How much of a step is tried again where its joules were not exact enough."""


@compiled
def march(network, control, lanes, slots, rows):
    """Step the samples `rows` until their motion, or if their rests are known their distance from it, is small enough.

    Samples that do not get there are left to the loop. Whoever arrives makes room for the next one.
    """
    points, p, k, lane_of, size = slots.points, slots.p, slots.k, slots.lane, slots.size
    of, z, pre, current, rate, squash = lanes.of, lanes.z, lanes.pre, lanes.current, network.rate, network.squash
    scratch = (np.empty_like(rate), np.empty_like(rate), np.empty_like(rate), np.empty_like(rate), np.empty_like(rate))
    state, has_power = np.empty((1, rate.shape[0]), rate.dtype), network.has_power
    gained, error, watts = np.zeros(TERMS), np.zeros(TERMS), np.zeros(TERMS)
    count, following = 0, 0
    while True:
        while following < rows.shape[0] and count < together(count + rows.shape[0] - following, slots):
            lane_of[count] = rows[following]
            enter(network, lanes, slots, count)
            count, following = count + 1, following + 1
        if count == 0:
            return
        expand(network, slots, scratch, count)
        for s in range(count):
            i = lane_of[s]
            h = of[i].h = step_size(control, of[i], size, s, network.is_uniform)
            state_at(points, s, z, k, rate, squash, s, i, h)
        product(network.weights, points, p, count)
        for s in range(count - 1, -1, -1):
            i = lane_of[s]
            lane = of[i]
            lane.attempts += 1
            lane.evaluations += PRODUCTS
            add_current(p, current, s, i)
            if has_power:
                charge(network, lanes, slots, s, 1.0, gained, error, state, scratch[0], watts)
            is_near = False
            if has_power and not _is_exact(control, lane, gained, error, watts):
                lane.rejected += 1
                lane.at_most = SHORTER * lane.h
                copy_row(points, s, z, i)
                respond(rate, squash, points, k, s)
            else:
                if is_aimed(lane):
                    note_exit(network, control, lanes, slots, s, size[s, 1], state, scratch)
                is_near = not is_aimed(lane) and lane.motion <= SOON * control.search_below
                if is_near:
                    remember(rate, squash, z, points, p, k, scratch, s, i)
                _accept(lane, gained, watts, has_power)
                copy_row(z, i, points, s)
                copy_row(k[s], PUSH, p, s)
                respond(rate, squash, points, k, s)
                lane.motion = motion_at(points, network.slowness, s)
            if not is_over(control, lane):
                continue
            copy_row(pre, i, k[s], PUSH)
            if is_near:
                foresee(network, lanes, slots, scratch, s, i)
            elif not is_aimed(lane):
                stand(lanes, i)
            count -= 1
            if s != count:  # the last one, which was judged before, takes its place
                lane_of[s] = lane_of[count]
                copy_row(points, s, points, count)
                for row in (TANH, RISE, PUSH):
                    copy_row(k[s], row, k[count], row)


@in_place
def is_aimed(lane):
    """Whether a sample's rest is known, and so how far it is from there."""
    return lane.distance < np.inf


@in_place
def is_over(control, lane):
    """Whether a sample has arrived, or is left to the loop."""
    is_astray = False
    if is_aimed(lane):
        if lane.distance <= lane.goal:
            return True
        is_astray = lane.distance > max(LOST * lane.motion, control.band)
    elif lane.motion <= control.search_below:
        return True
    is_stuck = lane.attempts >= control.max_attempts or lane.time >= control.max_time
    is_slow = lane.attempts == LOOK and lane.time < control.least_time
    if is_astray or is_stuck or is_slow or not lane.h > 0:
        lane.fate = LEFT
        return True
    return False


@in_place
def _accept(lane, gained, watts, has_power):
    """Advance a sample's clock and its joules."""
    if has_power:
        for term in range(TERMS):
            lane.energy[term] += gained[term]
        copy(lane.watts, watts)
    lane.time += lane.h
    lane.at_most = GROW * lane.h


@in_place
def _is_exact(control, lane, gained, error, watts):
    """Whether no energy errs by more than it may."""
    unseen = control.unseen * largest(watts) * lane.h
    over = 0
    for term in range(TERMS):
        over += error[term] - unseen > control.rtol * (lane.energy[term] + gained[term])
    return over == 0
