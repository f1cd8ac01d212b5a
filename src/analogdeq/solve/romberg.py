"""Romberg's rule: the integral of a smooth function from equally spaced values."""

from functools import cache
from itertools import pairwise


@cache
def romberg_weights(doublings: int) -> tuple[float, ...]:
    """Weights of 2^doublings + 1 values, in units of their spacing: trapezoidal rules, extrapolated to spacing 0.

    Source: W. Romberg, Norske Vid. Selsk. Forh. 28:30 (1955).
    """
    n = 2**doublings
    rules = []
    for level in range(doublings + 1):
        stride = n // 2**level
        ends = {0, n}
        rules.append([stride * (0.5 if k in ends else 1.0) if k % stride == 0 else 0.0 for k in range(n + 1)])
    for order in range(1, doublings + 1):
        gain = 4.0**order
        rules = [
            [(gain * b - a) / (gain - 1) for a, b in zip(rough, fine, strict=True)] for rough, fine in pairwise(rules)
        ]
    return tuple(rules[0])
