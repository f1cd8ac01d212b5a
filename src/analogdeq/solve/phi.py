"""The functions of exponential integrators, for decaying arguments."""

import torch
from torch import Tensor

_SERIES_BELOW = 0.1
"""Recursion loses three powers of x to cancellation; below this the series has full precision."""


def phi_functions(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """exp(-x), phi_1(-x), phi_2(-x), phi_3(-x) for x >= 0, float64.

    phi_k(-x) = integral_0^1 e^(-(1 - s) x) s^(k - 1) / (k - 1)! ds;   phi_(k+1)(-x) = (1/k! - phi_k(-x)) / x

    Source: M. Hochbruck and A. Ostermann, Acta Numerica 19:209 (2010), equations 2.8 to 2.11.
    """
    small = x < _SERIES_BELOW
    y = torch.where(small, x, 0.0)
    # 1/3! - y/4! + y^2/5! - ...
    series = 1 / 6 - y / 24 * (1 - y / 5 * (1 - y / 6 * (1 - y / 7 * (1 - y / 8 * (1 - y / 9 * (1 - y / 10))))))
    safe = torch.where(small, 1.0, x)
    decay = torch.exp(-safe)
    recursion = (0.5 - (1 - (1 - decay) / safe) / safe) / safe
    phi_3 = torch.where(small, series, recursion)
    phi_2 = 0.5 - x * phi_3
    phi_1 = 1 - x * phi_2
    return 1 - x * phi_1, phi_1, phi_2, phi_3
