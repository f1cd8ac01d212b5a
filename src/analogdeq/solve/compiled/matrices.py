"""Matrices of a few rows, in double precision."""

import math

import numpy as np

from analogdeq.solve.compiled.arithmetic import dot
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.product import product

INVERSE_FACTORIALS = np.array([1 / math.factorial(k) for k in range(10)])
"""Of the terms of the exponential's series, whose argument is at most a half in norm."""
RIDGE, TINY = 1e-7, 1e-300
"""Of the diagonal of normal equations, what dots in single precision are wrong by."""


@compiled
def times(A, B, out):
    """Write A B to `out` and return it."""
    product(B, A, out, B.shape[0])
    return out


@compiled
def scaled(H, factor):
    """Factor H, in rows one after the other."""
    out = np.empty(H.shape, H.dtype)
    for i in range(H.shape[0]):
        for j in range(H.shape[1]):
            out[i, j] = factor * H[i, j]
    return out


@compiled
def exponential(H, delta):
    """exp(delta H): ten terms, as a cubic in (delta H)^3 whose coefficients are quadratic in delta H.

    Source: M. Paterson, L. Stockmeyer, SIAM J. Comput. 2:60 (1973).
    """
    first = scaled(H, delta)
    second = times(first, first, np.empty_like(first))
    third = times(second, first, np.empty_like(first))
    total, spare = scaled(third, INVERSE_FACTORIALS[9]), np.empty_like(first)
    for k in (6, 3, 0):
        c0, c1, c2 = INVERSE_FACTORIALS[k], INVERSE_FACTORIALS[k + 1], INVERSE_FACTORIALS[k + 2]
        if k < 6:
            total, spare = times(total, third, spare), total
        for i in range(H.shape[0]):
            for j in range(H.shape[0]):
                total[i, j] += c1 * first[i, j] + c2 * second[i, j]
            total[i, i] += c0
    return total


@compiled
def least(G, g):
    """The least-squares solution from its normal equations G x = g, by Cholesky's factors of G, a little enlarged."""
    size = G.shape[0]
    L, x = np.zeros((size, size)), np.zeros(size)
    for i in range(size):
        for j in range(i + 1):
            total = G[i, j] * (1 + RIDGE) if i == j else G[i, j]
            for k in range(j):
                total -= L[i, k] * L[j, k]
            if i == j:
                L[i, i] = math.sqrt(max(total, RIDGE * G[i, i], TINY))
            else:
                L[i, j] = total / L[j, j]
        total = g[i]
        for k in range(i):
            total -= L[i, k] * x[k]
        x[i] = total / L[i, i]
    for i in range(size - 1, -1, -1):
        total = x[i]
        for k in range(i + 1, size):
            total -= L[k, i] * x[k]
        x[i] = total / L[i, i]
    return x


@in_place
def row_sum(H):
    """max_i sum_j |H_ij|."""
    most = 0.0
    for i in range(H.shape[0]):
        total = 0.0
        for j in range(H.shape[1]):
            total += abs(H[i, j])
        most = max(most, total)
    return most


@in_place
def norm_of(E):
    """The Frobenius norm."""
    total = 0.0
    for i in range(E.shape[0]):
        total += dot(E[i], E[i])
    return math.sqrt(total)


@in_place
def apply(A, x, out):
    """Write A x to `out`."""
    for i in range(A.shape[0]):
        total = A.dtype.type(0)
        for j in range(x.shape[0]):
            total += A[i, j] * x[j]
        out[i] = total
