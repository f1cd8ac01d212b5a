"""Clenshaw and Curtis' rule, whose every second point is the rule of half as many intervals.

Source: C. W. Clenshaw, A. R. Curtis, Numer. Math. 2:197 (1960).
"""

import numpy as np

INTERVALS = 8


def _weights(n: int) -> np.ndarray:
    """Of the values at (1 - cos(pi k / n)) / 2, k = 0 ... n, for even n: integrals of cos(j theta) sin(theta)."""
    k, weights = np.arange(n + 1), np.zeros(n + 1)
    for j in range(0, n + 1, 2):
        share = (1 if j in (0, n) else 2) / (1 - j * j)
        weights += share * np.cos(j * k * np.pi / n)
    weights /= n
    weights[[0, n]] /= 2
    return weights


NODES = (1 - np.cos(np.pi * np.arange(INTERVALS + 1) / INTERVALS)) / 2
"""From 0 to 1."""
FINE = _weights(INTERVALS)
COARSE = np.zeros_like(FINE)
COARSE[::2] = _weights(INTERVALS // 2)
