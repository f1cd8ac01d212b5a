"""Gauss-Lobatto quadrature over one step, whole or in part, for a quantity that is known along the dense output."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

Array = np.ndarray


@final
@dataclass(frozen=True, kw_only=True)
class Quadrature:
    """An interpolatory rule on the points of the unit interval, with an estimate of its error.

    Attributes:
        points: fractions of the step, the first 0 and the last 1, so that both are shared with the neighbouring steps.
    """

    points: tuple[float, ...]

    @cached_property
    def partial(self) -> Array:
        """(point, power). Coefficients of theta, theta^2, ... in the weights of the integral from 0 to theta."""
        n = len(self.points)
        lagrange = np.linalg.inv(np.vander(self.points, n, increasing=True))  # (power, point)
        return (lagrange / np.arange(1, n + 1)[:, None]).T

    @cached_property
    def weights(self) -> Array:
        """(point,). Of the whole step."""
        return self.partial.sum(1)

    @cached_property
    def error(self) -> Array:
        """(point,). The weights less those of the rule without the last inner point, which is of lower order."""
        n = len(self.points)
        fewer = Quadrature(points=(*self.points[: n - 2], 1.0)).weights
        return self.weights - np.insert(fewer, n - 2, 0.0)


LOBATTO = Quadrature(points=(0.0, 0.5 - 0.1 * math.sqrt(5), 0.5 + 0.1 * math.sqrt(5), 1.0))
"""Exact for polynomials of degree 5."""
