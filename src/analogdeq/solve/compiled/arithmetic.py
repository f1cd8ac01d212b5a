"""Products with W for several samples, tanh, and loops over the nodes of one sample."""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from analogdeq.solve.compiled.jit import compiled

P = tuple(
    np.float32(c)
    for c in (
        1.0,
        0.1308315545320511,
        0.003103000344708562,
        1.1144246855110396e-05,
        -2.018393274738628e-08,
        5.257763321941944e-11,
        -8.436009052772975e-14,
    )
)
Q = tuple(np.float32(c) for c in (1.0, 0.4641648232936859, 0.02449137717485428, 0.00025447498774155974))
"""tanh x = x P(x^2) / Q(x^2) to 7e-9 of itself up to `SATURATED`: a fit of least relative error, by reweighted least
squares."""
TOGETHER = 16
"""Samples that are multiplied with a block of W at a time: OpenBLAS takes no threads of its own for so few."""
SATURATED = np.float32(9.02)
"""Beyond, tanh is 1 in single precision."""


def tanh(x: float) -> float:
    """The hyperbolic tangent; in single precision within 4e-7, by operations that compilers vectorise."""
    return math.tanh(x)


@overload(tanh)
def _tanh_of(x: Any) -> Any:
    def exact(x: Any) -> Any:
        return math.tanh(x)

    def rational(x: Any) -> Any:
        y = min(max(x, -SATURATED), SATURATED)
        u = y * y
        above = P[0] + u * (P[1] + u * (P[2] + u * (P[3] + u * (P[4] + u * (P[5] + u * P[6])))))
        return y * above / (Q[0] + u * (Q[1] + u * (Q[2] + u * Q[3])))

    return rational if x == types.float32 else exact


@compiled
def product(blocks, points, block, part, out, count):
    """out[s] = W points[s] for the first `count` samples.

    Args:
        blocks: (column block, row block, row, column). W^T, cut so that each block and what it makes stay in the
            nearest cache, and that no BLAS takes threads of its own for it; zero beyond the last node.
        points: (slot, node). The vectors.
        block: (slot, row). Scratch.
        part: (slot, column). Scratch.
        out: (slot, node).
        count: samples.
    """
    n_columns, n_rows, deep, width = blocks.shape
    if n_columns == 1 and n_rows == 1 and width == out.shape[1]:
        np.dot(points[:count], blocks[0, 0], out[:count])
        return
    for r in range(n_rows):
        for c in range(n_columns):
            wide = min(width, out.shape[1] - c * width)
            for first in range(0, count, TOGETHER):
                some = min(TOGETHER, count - first)
                if n_rows == 1:
                    np.dot(points[first : first + some], blocks[c, 0], part[:some])
                else:
                    if c == 0:
                        _take(block, points, first, some, r * deep)
                    np.dot(block[first : first + some], blocks[c, r], part[:some])
                for s in range(some):
                    if r == 0:
                        for k in range(wide):
                            out[first + s, c * width + k] = part[s, k]
                    else:
                        for k in range(wide):
                            out[first + s, c * width + k] += part[s, k]


@compiled
def _take(block, points, first, count, node):
    """The nodes from `node` on of some samples, contiguous; zero beyond the last node."""
    have = min(block.shape[1], points.shape[1] - node)
    for s in range(first, first + count):
        for k in range(have):
            block[s, k] = points[s, node + k]
        for k in range(have, block.shape[1]):
            block[s, k] = 0


WITHOUT_SIGN: dict[Any, Any] = {types.float32: np.int32(2**31 - 1), types.float64: np.int64(2**63 - 1)}


def largest(x: np.ndarray) -> float:
    """The largest |x_i|, of contiguous numbers."""
    return float(np.abs(x).max())


@overload(largest)
def _largest_of(x: Any) -> Any:
    """Without signs, numbers are in the order of their bits, and compilers vectorise the search among integers only."""
    sign = WITHOUT_SIGN[x.dtype]
    integer: Any = type(sign)
    real: Any = np.dtype(x.dtype.name).type

    def largest_of_bits(x: Any) -> float:
        bits, most = x.view(integer), integer(0)
        for i in range(bits.shape[0]):
            most = max(most, bits[i] & sign)
        return float(integer(most).view(real))

    return largest_of_bits


@compiled
def distance(x, y, scratch):
    """The largest |x_i - y_i|."""
    for i in range(x.shape[0]):
        scratch[i] = x[i] - y[i]
    return largest(scratch)


@compiled
def copy(out, x):
    """Write x to `out`; an assignment of slices takes twenty times as long for a few numbers."""
    for i in range(out.shape[0]):
        out[i] = x[i]


@compiled
def clear(out):
    """Write zeros to `out`, whatever it held."""
    for i in range(out.shape[0]):
        out[i] = 0


@compiled
def scale(x, factor):
    """Multiply x by a factor."""
    f = x.dtype.type(factor)
    for i in range(x.shape[0]):
        x[i] *= f


@compiled
def multiply(out, x, y):
    """Write x_i y_i to `out`."""
    for i in range(out.shape[0]):
        out[i] = x[i] * y[i]


@compiled
def add_scaled(x, factor, y):
    """Add factor y to x."""
    f = x.dtype.type(factor)
    for i in range(x.shape[0]):
        x[i] += f * y[i]


@compiled
def dot(x, y):
    """sum_i x_i y_i."""
    total = x.dtype.type(0)
    for i in range(x.shape[0]):
        total += x[i] * y[i]
    return float(total)
