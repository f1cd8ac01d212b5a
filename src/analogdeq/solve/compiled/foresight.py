"""Where a sample will rest, from what its last step tells.

W is linear, so W x is known of every combination x of vectors whose products are: the state, the step that led to it
and the first terms of that step's series. The combination that F moves least is where the rest is looked for; it
costs no product.

Source: reduced-rank extrapolation, A. Sidi, Vector Extrapolation Methods with Applications, SIAM (2017), chapter 2.
"""

import numpy as np

from analogdeq.solve.compiled.arithmetic import add_scaled, copy_row, dot, from_bits, size_bits, tanh
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.matrices import least
from analogdeq.solve.compiled.series import PUSH, TANH
from analogdeq.solve.compiled.space import unfold

ORDERS = 4
"""Of the series; further ones would save less than the search begins beside."""
SOON = 8.0
"""Motion, over that at which the search begins, below which the next step may be the last one before it."""
_WAY, _W_WAY = TANH + 1, PUSH + 1
"""Rows of a slot from which on k z_k and the whole step are kept, and W times them."""


@in_place
def remember(rate, squash, z, points, p, k, scratch, s, lane):
    """Keep what `foresee` needs of a step that is about to be accepted, in rows that nothing else needs any more.

    y_k, which is W times k z_k, is there already.
    """
    a, c0, gain = squash[0], squash[1], squash[0] * squash[2]
    x = scratch[0]
    for i in range(rate.shape[0]):
        x[i] = rate[i] * (a * c0 + gain * k[s, TANH, i] - z[lane, i])
    for j in range(1, ORDERS):
        _next(rate, gain, x, k, s, j, scratch[j])
        x = scratch[j]
    for j in range(ORDERS):
        _keep(k, s, _WAY + j, scratch[j])
    for i in range(rate.shape[0]):
        x[i] = points[s, i] - z[lane, i]
    _keep(k, s, _WAY + ORDERS, x)
    for i in range(rate.shape[0]):
        x[i] = p[s, i] - k[s, PUSH, i]
    _keep(k, s, _W_WAY + ORDERS, x)


@compiled
def foresee(network, lanes, slots, scratch, s, lane):
    """Write the state that F moves least, of those whose pre-activation is known, and its pre-activation.

    They go where the rest will be. Without a gain that is the present state.
    """
    k, squash, size = slots.k[s], network.squash, ORDERS + 1
    way, W_way = k[_WAY : _WAY + size], k[_W_WAY : _W_WAY + size]
    G, g = np.zeros((size, size)), np.zeros(size)
    for j in range(size):
        _motion(network.rate, squash, slots.k, s, j, scratch[j])
        for m in range(j + 1):
            G[j, m] = G[m, j] = dot(scratch[j], scratch[m])
        g[j] = -dot(scratch[j], slots.points[s])
    w = least(G, g)
    x, p = lanes.rest[lane], lanes.pre_rest[lane]
    unfold(way, w, x)
    add_scaled(x, 1.0, lanes.z[lane])
    unfold(W_way, w, p)
    add_scaled(p, 1.0, k[PUSH])
    if not _moved(squash, x, p) < lanes.of[lane].motion:
        stand(lanes, lane)


@in_place
def stand(lanes, lane):
    """The same for a sample of whose last step nothing was kept: the present state."""
    copy_row(lanes.rest, lane, lanes.z, lane)
    copy_row(lanes.pre_rest, lane, lanes.pre, lane)


@in_place
def _next(rate, gain, x, k, s, order, out):
    """From k z_k the same of the next order."""
    share = x.dtype.type(1 / order)
    for i in range(rate.shape[0]):
        out[i] = rate[i] * (gain * k[s, TANH + order, i] - share * x[i])


@in_place
def _keep(k, s, row, x):
    for i in range(x.shape[0]):
        k[s, row, i] = x[i]


@in_place
def _motion(rate, squash, k, s, j, out):
    """Write rate (J - I) times one of the kept vectors to `out`, with the slopes where the step ended."""
    gain, one = squash[0] * squash[2] * squash[3], out.dtype.type(1)
    for i in range(rate.shape[0]):
        slope = gain * (one - k[s, TANH, i] * k[s, TANH, i])
        out[i] = rate[i] * (slope * k[s, _W_WAY + j, i] - k[s, _WAY + j, i])


@in_place
def _moved(squash, x, p):
    """The largest |F(x) - x|, p being the pre-activation at x."""
    a, c0, c1, c2 = squash[0], squash[1], squash[2], squash[3]
    zero = x.dtype.type(0)
    most = size_bits(zero)
    for i in range(x.shape[0]):
        most = max(most, size_bits(a * (c0 + c1 * tanh(c2 * p[i])) - x[i]))
    return from_bits(most, zero)
