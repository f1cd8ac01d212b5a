"""A step of a stiff network: leaks integrated exactly, and what they lead to iterated as a waveform.

Over a step of length h, F(z(t)) is taken for the cubic through its values F_k at the times c_k h. The leaks
z' = rate (F - z) then give the state at any time c h, node by node and whatever the rates,

    z(c h) = z(0) + sum_k A_k(x, c) (F_k - z(0)),    A_k(x, c) = int_0^c x exp(-x (c - s)) l_k(s) ds,

with x = rate h and Lagrange's polynomials l_k; and F_k = F(z(c_k h)) is iterated, point after point. That converges
like z <- F(z) does for long steps, and faster for short ones: fast nodes cost no more than slow ones.

Source: E. Lelarasmee, A. Ruehli, A. Sangiovanni-Vincentelli, IEEE Trans. CAD 1:131 (1982), for waveforms; M. Hochbruck,
A. Ostermann, Acta Numerica 19:209 (2010), section 2.1, for leaks integrated exactly.
"""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from analogdeq.solve.compiled.arithmetic import copy_row, from_bits, size_bits, tanh
from analogdeq.solve.compiled.jit import compiled, in_place

TIMES = np.array([0.0, 0.25, 0.75, 1.0])
"""c_k: the extrema of Chebyshev's polynomial of degree three."""
POINTS = TIMES.shape[0]
LAGRANGE = np.linalg.inv(np.vander(TIMES, increasing=True))
"""(power, point): coefficients of the l_k."""
PULL, WEIGHTS = 0, POINTS
"""Where a slot keeps F_0 ... F_3, and A_0 ... A_3 at c_1, c_2 and c_3."""
ROWS = WEIGHTS + POINTS * (POINTS - 1)
SHORT = 1.5
"""x c below which moments come from a series: the recursion that begins with the exponential cancels there."""
TERMS = 13
SERIES = np.array([(-1) ** n * 6 / math.factorial(n + 4) for n in range(TERMS)])
"""int_0^1 exp(-y (1 - s)) s^3 ds in powers of y."""


def decayed(y: float) -> float:
    """exp(-y) for y >= 0; in single precision to 4e-7 of 1, by operations that compilers vectorise."""
    return math.exp(-y)


@overload(decayed)
def _decayed_of(y: Any) -> Any:
    def exact(y: Any) -> Any:
        return math.exp(-y)

    def rational(y: Any) -> Any:
        t = tanh(np.float32(0.5) * y)
        return (np.float32(1) - t) / (np.float32(1) + t)

    return rational if y == types.float32 else exact


@compiled
def weigh(rate, h, c, out):
    """Write A_0 ... A_3 at the fraction c of a step h to the first four arrays of `out`, (node,) each.

    The moments I_p = int_0^c x exp(-x (c - s)) s^p ds obey I_p = c^p - (p / x) I_(p-1), which is used upwards for long
    times, and downwards from a series of I_3 for short ones.
    """
    of, B = rate.dtype.type, LAGRANGE.astype(rate.dtype)
    a0, a1, a2, a3, _ = out
    step, at = of(h), of(c)
    at2, at3, short, third, half, one = of(c**2), of(c**3), of(SHORT), of(1 / 3), of(1 / 2), of(1)
    tiny = of(1e-3)
    series = SERIES.astype(rate.dtype)
    s0, s1, s2, s3, s4, s5, s6 = series[0], series[1], series[2], series[3], series[4], series[5], series[6]
    s7, s8, s9, s10, s11, s12 = series[7], series[8], series[9], series[10], series[11], series[12]
    for i in range(rate.shape[0]):
        x = rate[i] * step
        y = x * at
        q = decayed(y)
        v = min(y, short)
        total = s8 + v * (s9 + v * (s10 + v * (s11 + v * s12)))
        total = s4 + v * (s5 + v * (s6 + v * (s7 + v * total)))
        total = s0 + v * (s1 + v * (s2 + v * (s3 + v * total)))
        d3 = at3 * v * total
        d2 = (at3 - d3) * x * third
        d1 = (at2 - d2) * x * half
        d0 = (at - d1) * x
        over = one / max(x, tiny)
        u0 = one - q
        u1 = at - over * u0
        u2 = at2 - (over + over) * u1
        u3 = at3 - (over + over + over) * u2
        is_short = y < short
        m0 = d0 if is_short else u0
        m1 = d1 if is_short else u1
        m2 = d2 if is_short else u2
        m3 = d3 if is_short else u3
        a0[i] = m0 * B[0, 0] + m1 * B[1, 0] + m2 * B[2, 0] + m3 * B[3, 0]
        a1[i] = m0 * B[0, 1] + m1 * B[1, 1] + m2 * B[2, 1] + m3 * B[3, 1]
        a2[i] = m0 * B[0, 2] + m1 * B[1, 2] + m2 * B[2, 2] + m3 * B[3, 2]
        a3[i] = m0 * B[0, 3] + m1 * B[1, 3] + m2 * B[2, 3] + m3 * B[3, 3]


@in_place
def prepare(rate, h, k, s, scratch):
    """The weights of a slot's step, at its three later points."""
    for j in range(1, POINTS):
        weigh(rate, h, TIMES[j], scratch)
        row = WEIGHTS + POINTS * (j - 1)
        _put(k, s, row, scratch[0])
        _put(k, s, row + 1, scratch[1])
        _put(k, s, row + 2, scratch[2])
        _put(k, s, row + 3, scratch[3])


@in_place
def _put(k, s, row, x):
    """Write x to k_s,row."""
    for i in range(x.shape[0]):
        k[s, row, i] = x[i]


@in_place
def place(points, z, k, s, lane, j):
    """Write the state at the j-th point to `points`."""
    row = WEIGHTS + POINTS * (j - 1)
    for i in range(points.shape[1]):
        at = z[lane, i]
        early = k[s, row, i] * (k[s, PULL, i] - at) + k[s, row + 1, i] * (k[s, PULL + 1, i] - at)
        late = k[s, row + 2, i] * (k[s, PULL + 2, i] - at) + k[s, row + 3, i] * (k[s, PULL + 3, i] - at)
        points[s, i] = at + (early + late)


@in_place
def place_between(out, rate, z, k, s, lane, h, theta, scratch):
    """Write the state at the fraction theta of a step to `out`."""
    weigh(rate, h, theta, scratch)
    a0, a1, a2, a3, _ = scratch
    for i in range(out.shape[0]):
        at = z[lane, i]
        early = a0[i] * (k[s, PULL, i] - at) + a1[i] * (k[s, PULL + 1, i] - at)
        out[i] = at + (early + (a2[i] * (k[s, PULL + 2, i] - at) + a3[i] * (k[s, PULL + 3, i] - at)))


@in_place
def pull(squash, p, current, k, s, lane, j):
    """F_j from W z_j in p, which becomes the pre-activation; by how much it has changed at the most."""
    a, c0, c1, c2 = squash[0], squash[1], squash[2], squash[3]
    zero = p.dtype.type(0)
    most, row = size_bits(zero), PULL + j
    for i in range(p.shape[1]):
        x = p[s, i] + current[lane, i]
        new = a * (c0 + c1 * tanh(c2 * x))
        most = max(most, size_bits(new - k[s, row, i]))
        p[s, i] = x
        k[s, row, i] = new
    return from_bits(most, zero)


@in_place
def bend(rate, h, k, s):
    """What the cubic leaves out, as it counts in the state: its last Chebyshev coefficient, less where x is small."""
    of, step = rate.dtype.type, rate.dtype.type(h)
    zero, one, sixth = of(0), of(1), of(1 / 6)
    most = size_bits(zero)
    for i in range(rate.shape[0]):
        last = k[s, PULL, i] - k[s, PULL + 3, i] + of(2) * (k[s, PULL + 2, i] - k[s, PULL + 1, i])
        most = max(most, size_bits(sixth * last * min(rate[i] * step, one)))
    return from_bits(most, zero)


@compiled
def guess(k, s, begin, by):
    """New F_1 ... F_3, of the cubic at the fractions begin + c_j by of its step, and F_0 at `begin`."""
    of = k.dtype.type
    w = np.zeros((POINTS, POINTS))
    for j in range(POINTS):
        at = begin + by * TIMES[j]
        for point in range(POINTS):
            for power in range(POINTS - 1, -1, -1):
                w[j, point] = w[j, point] * at + LAGRANGE[power, point]
    a0, a1, a2, a3 = of(w[0, 0]), of(w[0, 1]), of(w[0, 2]), of(w[0, 3])
    b0, b1, b2, b3 = of(w[1, 0]), of(w[1, 1]), of(w[1, 2]), of(w[1, 3])
    c0, c1, c2, c3 = of(w[2, 0]), of(w[2, 1]), of(w[2, 2]), of(w[2, 3])
    d0, d1, d2, d3 = of(w[3, 0]), of(w[3, 1]), of(w[3, 2]), of(w[3, 3])
    for i in range(k.shape[2]):
        f0, f1, f2, f3 = k[s, PULL, i], k[s, PULL + 1, i], k[s, PULL + 2, i], k[s, PULL + 3, i]
        k[s, PULL, i] = a0 * f0 + a1 * f1 + a2 * f2 + a3 * f3
        k[s, PULL + 1, i] = b0 * f0 + b1 * f1 + b2 * f2 + b3 * f3
        k[s, PULL + 2, i] = c0 * f0 + c1 * f1 + c2 * f2 + c3 * f3
        k[s, PULL + 3, i] = d0 * f0 + d1 * f1 + d2 * f2 + d3 * f3


@in_place
def hold(k, s):
    """F_0 at all points."""
    for j in range(1, POINTS):
        copy_row(k[s], PULL + j, k[s], PULL)
