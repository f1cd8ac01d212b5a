"""Krylov spaces of (I - g A)^-1 for stiff networks, A being the flow linearised at a rest: they hold what is slow.

Source: T. Goeckler, V. Grimm, SIAM J. Numer. Anal. 51:2189 (2013), for functions of A in such spaces.
"""

import numpy as np

from analogdeq.solve.compiled.arithmetic import copy_row, from_bits, size_bits
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.product import product
from analogdeq.solve.compiled.space import extend

SHIFT = 1.0
"""g, in tau. Modes slower than 1 / g are in such a space first, and so are growing ones, whatever their rate r:
1 / (1 - g r) lies outside of the disc that holds the decaying ones."""
EXACT, MOST = 1e-4, 200
"""What a solution may change by in its last iteration, relative to itself; and iterations."""
_LONGEST = 1e30


@compiled
def build_inverse(network, slots, H, size, count):
    """Spaces of the k[s, 0]: bases in k[s, :size], and H (slot, size + 1, size), the map A in them.

    With (I - g A)^-1 V = V G + G_m1 v e_m^T, the map is (I - G^-1) / g, and the last row of H is how it leads out of
    the space, (G_m1 / g) e_m^T G^-1. Where solutions are not found that row is huge, so that nothing is shown. W times
    the first vectors stays in k[s, size].

    Returns:
        Products with W of every slot.
    """
    k, points, p = slots.k, slots.points, slots.p
    for i in range(H.size):
        H.flat[i] = 0
    is_open, is_found, products = np.ones(count, np.bool_), np.ones(count, np.bool_), 1
    for j in range(size):
        for s in range(count):
            copy_row(points, s, k[s], j)
        products += _solve(network, slots, j, count, is_found)
        for s in range(count):
            is_open[s] = extend(k[s], points, s, H[s], j, is_open[s], 0.5)
    for s in range(count):
        copy_row(points, s, k[s], 0)
    product(network.weights, points, p, count)
    for s in range(count):
        copy_row(k[s], size, p, s)
        G = H[s, :size].copy()
        inverse = np.linalg.inv(G) if is_found[s] else np.eye(size)
        out = H[s, size, size - 1] / SHIFT if is_found[s] else _LONGEST
        for i in range(size):
            H[s, size, i] = out * inverse[size - 1, i]
            for j in range(size):
                H[s, i, j] = -inverse[i, j] / SHIFT
            H[s, i, i] += 1 / SHIFT
    return products


@compiled
def _solve(network, slots, j, count, is_found):
    """Points, which are k_j, become (I - g A)^-1 k_j, by iterations x <- (k_j + g rate J x) / (1 + g rate).

    Returns:
        How many there were.
    """
    k, points, p, rate = slots.k, slots.points, slots.p, network.rate
    is_near = np.zeros(count, np.bool_)
    for iteration in range(MOST):
        product(network.weights, points, p, count)
        for s in range(count):
            change, size = _iterate(points, p, k, rate, s, j)
            is_near[s] = change <= EXACT * size
        if is_near.all():
            return iteration + 1
    for s in range(count):
        is_found[s] &= is_near[s]
    return MOST


@in_place
def _iterate(x, p, k, rate, s, j):
    """One iteration of a slot, from W x in p: the largest change, and the largest x."""
    of = x.dtype.type
    g, one, zero, last = of(SHIFT), of(1), of(0), k.shape[1] - 1
    most = longest = size_bits(zero)
    for i in range(x.shape[1]):
        r = g * rate[i]
        new = (k[s, j, i] + r * k[s, last, i] * p[s, i]) / (one + r)
        most = max(most, size_bits(new - x[s, i]))
        longest = max(longest, size_bits(new))
        x[s, i] = new
    return from_bits(most, zero), from_bits(longest, zero)
