"""The coefficients of an embedded Runge-Kutta pair with dense output."""

from dataclasses import dataclass
from typing import final

Row = tuple[float, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Tableau:
    """An explicit pair whose last stage is the first of the next step (FSAL), and its continuous extension.

    z(theta) = z + h sum_i b_i(theta) k_i,  b_i(theta) = sum_j dense[i][j] theta^(j + 1),  0 <= theta <= 1

    Attributes:
        name: as scenarios spell it.
        order: of the solution that is propagated.
        a: strictly lower rows of the Butcher matrix, stages 2 to s; the last row is b.
        error: b minus the embedded weights; times h, the local error estimate.
        dense: per stage, the coefficients of theta, theta^2, ...
    """

    name: str
    order: int
    a: tuple[Row, ...]
    error: Row
    dense: tuple[Row, ...]

    @property
    def n_stages(self) -> int:
        """Stages per step, the first of which is free after the first step."""
        return len(self.a) + 1
