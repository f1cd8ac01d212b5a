"""Taylor series of the trajectories in the slots.

With p(t) = W z(t) + U u + b and T(t) = tanh(c_2 p), the circuit is z' = rate (a (c_0 + c_1 T) - z), and
T' = (1 - T^2) c_2 p'. Matching powers of t gives each coefficient from the ones before it and one product with W, where
a Runge-Kutta method of order six needs seven products at least:

    y_k = W (k z_k),    k T_k = sum_{j<k} u_j y_{k-j},    u_k = -c_2 sum_{j<=k} T_j T_{k-j},
    (k + 1) z_{k+1} = rate (a c_1 T_k - z_k)    for k >= 1,    and u_0 = c_2 (1 - T_0^2).

Source: A. Jorba, M. Zou, Experimental Mathematics 14:99 (2005), for the method; E. Hairer, S. P. Norsett, G. Wanner,
Solving Ordinary Differential Equations I, 2nd ed., section I.8, for the recurrences of elementary functions.
"""

import math
from typing import Any

import numpy as np

from analogdeq.solve.compiled.arithmetic import (
    add_scaled,
    clear,
    copy,
    copy_row,
    from_bits,
    largest,
    row_length,
    size_bits,
    tanh,
)
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.lanes import together
from analogdeq.solve.compiled.product import product
from analogdeq.solve.compiled.watts import draw

PRODUCTS = 6
"""With W in a step; the last one is at its end. Of the series as many terms are known before that one."""
TANH, RISE, PUSH = 0, PRODUCTS, 2 * PRODUCTS - 1
"""Where a slot keeps T_0 ... T_5, u_0 ... u_4, and p_0, y_1 ... y_5."""
ROWS = 3 * PRODUCTS - 1


@in_place
def begin(network, lanes, slots, rows):
    """Pre-activation, motion and watts of samples where they are."""
    first = 0
    while first < rows.shape[0]:
        count = together(rows.shape[0] - first, slots)
        far = 0.0
        for s in range(count):
            copy(slots.points[s], lanes.z[rows[first + s]])
            clear(slots.p[s])
            far = max(far, largest(slots.points[s]))
        if far > 0:  # as a rule they begin at 0
            product(network.weights, slots.points, slots.p, count)
        for s in range(count):
            i = slots.lane[s] = rows[first + s]
            lane = lanes.of[i]
            copy(lanes.pre[i], lanes.current[i])
            add_scaled(lanes.pre[i], 1.0, slots.p[s])
            enter(network, lanes, slots, s)
            if network.has_power:
                draw(network.watts, network.squash, lanes.z[i], lanes.pre[i], lane.standing, lane.watts)
            lane.motion = lane.motion_start = motion_at(slots.points, network.slowness, s)
            lane.evaluations += largest(lanes.z[i]) > 0
        first += count


@in_place
def enter(network, lanes, slots, s):
    """What the series of a slot begins with, from the pre-activation of its sample; z_1 in `points`."""
    copy_row(slots.k[s], PUSH, lanes.pre, slots.lane[s])
    copy_row(slots.points, s, lanes.z, slots.lane[s])
    respond(network.rate, network.squash, slots.points, slots.k, s)


@in_place
def expand(network, slots, scratch, count):
    """Coefficients of the first `count` slots, whose z_1 is in `points`.

    Leaves in `slots.size` the lengths of z_1 / rate, z_1, z_5 and z_6.
    """
    rate, gain, by = network.rate, network.squash[0] * network.squash[2], network.squash[3]
    weights, points, k, t, u = network.weights, slots.points, slots.k, scratch[0], scratch[1]
    for s in range(count):
        slots.size[s, 0], slots.size[s, 1] = _lengths(points, network.slowness, s)
    product(weights, points, k[:, PUSH + 1], count)
    for s in range(count):
        derive_1(rate, gain, by, points, k, t, u, s)
    product(weights, points, k[:, PUSH + 2], count)
    for s in range(count):
        derive_2(rate, gain, by, points, k, t, u, s)
    product(weights, points, k[:, PUSH + 3], count)
    for s in range(count):
        derive_3(rate, gain, by, points, k, t, u, s)
    product(weights, points, k[:, PUSH + 4], count)
    for s in range(count):
        derive_4(rate, gain, by, points, k, t, u, s)
        slots.size[s, 2] = row_length(points, s) / (PRODUCTS - 1)
    product(weights, points, k[:, PUSH + 5], count)
    for s in range(count):
        derive_5(rate, gain, by, points, k, t, u, s)
        slots.size[s, 3] = row_length(points, s) / PRODUCTS


def _derivation(order: int) -> Any:
    """The function that goes from k z_k, k being `order`, to the next one; its sums have as many terms as k says."""

    @in_place
    def derive(rate, gain, by, points, k, t_out, u_out, s):
        over = points.dtype.type(1 / order)
        for i in range(rate.shape[0]):
            t = k[s, RISE, i] * k[s, PUSH + order, i]
            for j in range(1, order):
                t += k[s, RISE + j, i] * k[s, PUSH + order - j, i]
            t *= over
            u = k[s, TANH, i] * t
            for j in range(1, (order + 1) // 2):
                u += k[s, TANH + j, i] * k[s, TANH + order - j, i]
            u += u
            if order % 2 == 0:
                u += k[s, TANH + order // 2, i] * k[s, TANH + order // 2, i]
            t_out[i], u_out[i] = t, -by * u
            points[s, i] = rate[i] * (gain * t - over * points[s, i])
        # Through scratch, since rows of one array that are written and read in one loop keep it from being vectorised.
        for i in range(rate.shape[0]):
            k[s, TANH + order, i] = t_out[i]
        if order < PRODUCTS - 1:
            for i in range(rate.shape[0]):
                k[s, RISE + order, i] = u_out[i]

    return derive


derive_1, derive_2, derive_3, derive_4, derive_5 = (_derivation(order) for order in range(1, PRODUCTS))


# Rows are picked inside the next ones, and arrays taken out of their tuples before a loop: for few nodes, a view of an
# array costs more than the arithmetic done with it.


@in_place
def _lengths(x, by, s):
    """||by x_s||_2 and ||x_s||_2."""
    weighted = total = x.dtype.type(0)
    for i in range(x.shape[1]):
        square = x[s, i] * x[s, i]
        total += square
        weighted += by[i] * by[i] * square
    return math.sqrt(weighted), math.sqrt(total)


@in_place
def state_at(out, row, z, k, rate, squash, s, lane, h):
    """Write the state h after the beginning of the step, to out_row.

    What each term adds, d_j = h^j z_j, follows from T and the term before it.
    """
    of, a, c0 = out.dtype.type, squash[0], squash[1]
    gain = float(a * squash[2])
    h1, h2, h3, h4, h5, h6 = of(h), of(h / 2), of(h / 3), of(h / 4), of(h / 5), of(h / 6)
    g0, g1, g2, g3, g4, g5 = of(gain), of(gain * h), of(gain * h**2), of(gain * h**3), of(gain * h**4), of(gain * h**5)
    for i in range(rate.shape[0]):
        r, z0 = rate[i], z[lane, i]
        d1 = r * h1 * (a * c0 + g0 * k[s, TANH, i] - z0)
        d2 = r * h2 * (g1 * k[s, TANH + 1, i] - d1)
        d3 = r * h3 * (g2 * k[s, TANH + 2, i] - d2)
        d4 = r * h4 * (g3 * k[s, TANH + 3, i] - d3)
        d5 = r * h5 * (g4 * k[s, TANH + 4, i] - d4)
        d6 = r * h6 * (g5 * k[s, TANH + 5, i] - d5)
        out[row, i] = z0 + (d1 + (d2 + (d3 + (d4 + (d5 + d6)))))


@in_place
def add_current(p, current, s, lane):
    """W z_s in p becomes the whole pre-activation."""
    for i in range(p.shape[1]):
        p[s, i] += current[lane, i]


@compiled
def drive_at(out, k, p, s, h, theta):
    """Write the pre-activation at the fraction theta of a step h to `out`.

    Its term of order six is what is missing to the pre-activation p_s at the end of the step.
    """
    of, last = out.dtype.type, theta**PRODUCTS
    w = np.empty(PRODUCTS, out.dtype)
    for j in range(1, PRODUCTS):
        w[j] = (theta**j - last) * h**j / j
    w1, w2, w3, w4, w5, w6 = w[1], w[2], w[3], w[4], w[5], of(last)
    for i in range(out.shape[0]):
        x = k[s, PUSH, i]
        early = w1 * k[s, PUSH + 1, i] + w2 * k[s, PUSH + 2, i] + w3 * k[s, PUSH + 3, i]
        late = w4 * k[s, PUSH + 4, i] + w5 * k[s, PUSH + 5, i] + w6 * (p[s, i] - x)
        out[i] = x + (early + late)


@in_place
def respond(rate, squash, points, k, s):
    """T_0, u_0, and z_1 in place of the state in `points`, from the pre-activation p_0."""
    a, c0, c1, c2 = squash[0], squash[1], squash[2], squash[3]
    for i in range(rate.shape[0]):
        k[s, TANH, i] = tanh(c2 * k[s, PUSH, i])
    for i in range(rate.shape[0]):
        k[s, RISE, i] = c2 - c2 * k[s, TANH, i] * k[s, TANH, i]
    for i in range(rate.shape[0]):
        points[s, i] = rate[i] * (a * (c0 + c1 * k[s, TANH, i]) - points[s, i])


@in_place
def motion_at(points, slowness, s):
    """The largest |F(z) - z| where `points` holds z_1."""
    zero = points.dtype.type(0)
    most = size_bits(zero)
    for i in range(points.shape[1]):
        most = max(most, size_bits(points[s, i] * slowness[i]))
    return from_bits(most, zero)
