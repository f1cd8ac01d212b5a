"""Clenshaw and Curtis' rule, whose every second point is the rule of half as many intervals.

Source: C. W. Clenshaw, A. R. Curtis, Numer. Math. 2:197 (1960).
"""

import numpy as np


def _weights(n: int) -> np.ndarray:
    """Of the values at (1 - cos(pi k / n)) / 2, k = 0 ... n, for even n: integrals of cos(j theta) sin(theta)."""
    k, weights = np.arange(n + 1), np.zeros(n + 1)
    for j in range(0, n + 1, 2):
        share = (1 if j in (0, n) else 2) / (1 - j * j)
        weights += share * np.cos(j * k * np.pi / n)
    weights /= n
    weights[[0, n]] /= 2
    return weights


def rule(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes from 0 to 1, their weights, and the weights of the rule of half as many intervals."""
    coarse = np.zeros(n + 1)
    coarse[::2] = _weights(n // 2)
    return (1 - np.cos(np.pi * np.arange(n + 1) / n)) / 2, _weights(n), coarse
