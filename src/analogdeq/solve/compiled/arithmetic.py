"""tanh, and loops over the nodes of one sample."""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from analogdeq.solve.compiled.jit import in_place

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


WITHOUT_SIGN: dict[Any, Any] = {types.float32: np.int32(2**31 - 1), types.float64: np.int64(2**63 - 1)}
REAL_OF: dict[Any, Any] = {np.int32: np.float32, np.int64: np.float64}
"""Without signs, numbers are in the order of their bits, and compilers vectorise a search for the largest only among
integers."""


def size_bits(x: float) -> int:
    """|x| as an integer: larger for larger numbers, largest for not-a-number."""
    return int(np.abs(np.asarray(x)).view(f"i{np.asarray(x).itemsize}"))


@overload(size_bits)
def _size_bits_of(x: Any) -> Any:
    sign = WITHOUT_SIGN[x]
    integer: Any = type(sign)
    real: Any = REAL_OF[integer]

    def bits(x: Any) -> Any:
        return integer(real(x).view(integer) & sign)

    return bits


def from_bits(bits: int, like: float) -> float:
    """The number, of the type of `like`, that `size_bits` made an integer of."""
    return float(np.asarray(bits, f"i{np.asarray(like).itemsize}").view(np.asarray(like).dtype))


@overload(from_bits)
def _from_bits_of(bits: Any, like: Any) -> Any:
    integer: Any = type(WITHOUT_SIGN[like])
    real: Any = REAL_OF[integer]

    def number(bits: Any, like: Any) -> float:
        return float(integer(bits).view(real))

    return number


@in_place
def largest(x):
    """The largest |x_i|."""
    zero = x.dtype.type(0)
    most = size_bits(zero)
    for i in range(x.shape[0]):
        most = max(most, size_bits(x[i]))
    return from_bits(most, zero)


@in_place
def distance(x, y, scratch):
    """The largest |x_i - y_i|."""
    for i in range(x.shape[0]):
        scratch[i] = x[i] - y[i]
    return largest(scratch)


@in_place
def copy(out, x):
    """Write x to `out`; an assignment of slices takes twenty times as long for a few numbers."""
    for i in range(out.shape[0]):
        out[i] = x[i]


@in_place
def copy_row(out, to, x, row):
    """Write row `row` of x to row `to` of `out`; for few numbers, views of the rows would cost more than the copy."""
    for i in range(x.shape[1]):
        out[to, i] = x[row, i]


@in_place
def clear(out):
    """Write zeros to `out`, whatever it held."""
    for i in range(out.shape[0]):
        out[i] = 0


@in_place
def scale(x, factor):
    """Multiply x by a factor."""
    f = x.dtype.type(factor)
    for i in range(x.shape[0]):
        x[i] *= f


@in_place
def add_scaled(x, factor, y):
    """Add factor y to x."""
    f = x.dtype.type(factor)
    for i in range(x.shape[0]):
        x[i] += f * y[i]


@in_place
def dot(x, y):
    """sum_i x_i y_i."""
    total = x.dtype.type(0)
    for i in range(x.shape[0]):
        total += x[i] * y[i]
    return float(total)


@in_place
def row_length(x, row):
    """||x_row||_2."""
    total = x.dtype.type(0)
    for i in range(x.shape[1]):
        total += x[row, i] * x[row, i]
    return math.sqrt(total)
