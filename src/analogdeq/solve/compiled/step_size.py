"""How long a step may be, from the last coefficients of its series."""

import math

from analogdeq.solve.compiled.jit import in_place
from analogdeq.solve.compiled.series import PRODUCTS
from analogdeq.solve.controller import LEAST_SHARE

REST, EQUAL = 2.0, 3.0
"""What a series leaves out, over the next term as the first and last ones foretell it: a quarter in a single decay. So
much is allowed for that few networks tried had settling times that erred by more than a thousandth; and so many times
as much where all nodes are equally fast, since there a step may err by more."""
ROUNDS = 2
"""Of the iteration for the step, which converges by a factor of seven each."""
_TINY = 1e-300


@in_place
def step_size(control, lane, size, s, is_uniform):
    """The step [tau] whose series leaves out as much as it may.

    The next coefficient is foretold from the last two, each with the mean growth from the first one to it: one of them
    alone is small where a state turns.

    Args:
        control: what is asked for.
        lane: the sample.
        size: (slot, 4). Lengths of z_1 / rate, z_1, z_5 and z_6.
        s: the slot.
        is_uniform: whether all nodes are as fast.
    """
    motion, first = max(size[s, 0], _TINY), max(size[s, 1], _TINY)
    by_last = size[s, 3] * (size[s, 3] / first) ** (1 / (PRODUCTS - 1))
    by_other = size[s, 2] * (size[s, 2] / first) ** (2 / (PRODUCTS - 2))
    left_out = (REST * EQUAL if is_uniform else REST) * max(by_last, by_other, _TINY) / motion
    h = lane.h
    for _ in range(ROUNDS):
        h = (allowed(control, lane, h, is_uniform) / left_out) ** (1 / (PRODUCTS + 1))
    return min(h, lane.at_most)


@in_place
def allowed(control, lane, h, is_uniform):
    """What a step may err by, relative to the motion; as `analogdeq.solve.tolerance`."""
    elapsed, motion = lane.time + h, max(lane.motion, _TINY)
    rate = abs(math.log(lane.motion_start / motion)) / lane.time if lane.time > 0 else 1.0
    if is_uniform:
        return max((control.rtol + control.floor / motion) * _error_share(rate, h), control.finest / motion)
    share = max(_error_share(rate * min(elapsed, 1.0), h), min(2 * h / elapsed, 1.0))
    return share * control.rtol + control.floor / motion


@in_place
def _error_share(rate, h):
    """As `analogdeq.solve.controller`."""
    return min(max(2 * rate * h, LEAST_SHARE), 1.0) / max(rate, 1.0)
