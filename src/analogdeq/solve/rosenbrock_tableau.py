"""The coefficients of a stiffly accurate Rosenbrock method with an embedded error estimate and dense output."""

from dataclasses import dataclass
from typing import final

from analogdeq.solve.tableau import Row


@final
@dataclass(frozen=True, kw_only=True)
class RosenbrockTableau:
    """A method in the variables that spare it every product with the Jacobian A = df/dz.

    (I / (h gamma) - A) U_i = f(z + sum_{j<i} a_ij U_j) + sum_{j<i} (c_ij / h) U_j,        i = 1 ... s
    z_new = z + sum_{j<s} a_sj U_j + U_s

    Stiffly accurate: the last stage's argument of f is the embedded solution, so the last U is the error estimate, as
    damped as the solution itself. Dense output, 0 <= theta <= 1:

    z(theta) = (1 - theta) z + theta (z_new + (1 - theta) sum_k theta^k B_k),        B_k = sum_j dense_kj U_j

    Attributes:
        name: as scenarios spell it.
        order: of the solution that is propagated; the embedded one is one lower.
        gamma: the diagonal coefficient.
        a: strictly lower rows, stages 2 to s; the last row ends in 1.
        c: strictly lower rows, stages 2 to s.
        dense: the coefficients of B_0, B_1, ...

    Source: E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, 2nd ed. (Springer, 1996), section IV.7.
    """

    name: str
    order: int
    gamma: float
    a: tuple[Row, ...]
    c: tuple[Row, ...]
    dense: tuple[Row, ...]

    @property
    def n_stages(self) -> int:
        """Stages per step: as many solves with one matrix."""
        return len(self.a) + 1
