"""Matrices of a few rows, in double precision."""

import math

import numpy as np

from analogdeq.solve.compiled.arithmetic import dot
from analogdeq.solve.compiled.jit import compiled
from analogdeq.solve.compiled.product import WIDTH, product

INVERSE_FACTORIALS = np.array([1 / math.factorial(k) for k in range(10)])
"""Of the terms of the exponential's series, whose argument is at most a half in norm."""


@compiled
def times(A, B):
    """A B, of square matrices."""
    size, lanes = B.shape[0], WIDTH // B.itemsize
    panels = np.zeros((-(-size // lanes), size, lanes), B.dtype)
    for k in range(size):
        for j in range(size):
            panels[j // lanes, k, j % lanes] = B[k, j]
    out = np.empty((size, size), B.dtype)
    product(panels, A, out, size)
    return out


@compiled
def exponential(H, delta):
    """exp(delta H): ten terms, as a cubic in (delta H)^3 whose coefficients are quadratic in delta H.

    Source: M. Paterson, L. Stockmeyer, SIAM J. Comput. 2:60 (1973).
    """
    first = delta * H
    second = times(first, first)
    third = times(second, first)
    total = INVERSE_FACTORIALS[9] * third
    for k in (6, 3, 0):
        c0, c1, c2 = INVERSE_FACTORIALS[k], INVERSE_FACTORIALS[k + 1], INVERSE_FACTORIALS[k + 2]
        if k < 6:
            total = times(total, third)
        for i in range(H.shape[0]):
            for j in range(H.shape[0]):
                total[i, j] += c1 * first[i, j] + c2 * second[i, j]
            total[i, i] += c0
    return total


@compiled
def row_sum(H):
    """max_i sum_j |H_ij|."""
    most = 0.0
    for i in range(H.shape[0]):
        total = 0.0
        for j in range(H.shape[1]):
            total += abs(H[i, j])
        most = max(most, total)
    return most


@compiled
def norm_of(E):
    """The Frobenius norm."""
    total = 0.0
    for i in range(E.shape[0]):
        total += dot(E[i], E[i])
    return math.sqrt(total)


@compiled
def apply(A, x, out):
    """Write A x to `out`."""
    for i in range(A.shape[0]):
        total = A.dtype.type(0)
        for j in range(A.shape[1]):
            total += A[i, j] * x[j]
        out[i] = total
