"""The gradient of an equilibrium by the implicit function theorem."""

import warnings
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Linearisation
from analogdeq.errors import GradientError, InputError
from analogdeq.linalg.dense import solve_dense
from analogdeq.linalg.fixed_point import solve_fixed_point
from analogdeq.linalg.gmres import solve_gmres
from analogdeq.linalg.system import LinearSolution

SOLVERS = ("gmres", "fixed-point", "dense")


class GradientWarning(UserWarning):
    """A gradient was used although its linear solve missed the tolerance."""


@final
@dataclass(frozen=True, kw_only=True)
class ImplicitGradient:
    """Solve (I - J^T) v = g, then dL/dtheta = v^T dF/dtheta.

    With z* = F(z*; theta) and g = dL/dz*, differentiating the fixed point gives dz*/dtheta = (I - J)^-1 dF/dtheta with
    J = dF/dz at z*. Memory is that of one evaluation of F, however long the settle was. It is wrong where z* is no
    fixed point, so look at the forward residual first.

    Attributes:
        solver: "gmres" for any stable core; "fixed-point" (Neumann series) where rho(J) < 1; "dense" for small cores.
        tol: relative residual to reach; not below 32 times the rounding unit of the state.
        max_iter: products with J^T at the most.
        on_failure: "raise" a `GradientError`, or "warn" and go on with the vector found; where that is no better than
            zero, with v = g, as if J were 0.

    Source: S. Bai, J. Z. Kolter, V. Koltun, NeurIPS 2019, theorem 1; v = g is the Jacobian-free gradient of S. W. Fung
    et al., arXiv:2103.12803.
    """

    solver: str = "gmres"
    tol: float = 1e-6
    max_iter: int = 200
    on_failure: str = "raise"

    def __post_init__(self) -> None:
        """Refuse unknown choices.

        Raises:
            InputError: naming the choice.
        """
        if self.solver not in SOLVERS:
            raise InputError(f"unknown gradient solver {self.solver!r}; known: {', '.join(SOLVERS)}")
        if self.on_failure not in ("raise", "warn"):
            raise InputError(f"on_failure must be 'raise' or 'warn', got {self.on_failure!r}")
        if not 0 < self.tol < 1 or self.max_iter < 1:
            raise InputError(
                f"gradient tol = {self.tol} must lie between 0 and 1, max_iter = {self.max_iter} be at least 1"
            )

    def solve(self, linearisation: Linearisation, g: Tensor) -> LinearSolution:
        """V of (I - J^T) v = g, (batch, node).

        Raises:
            GradientError: if g is not finite, or if a sample misses the tolerance and `on_failure` is "raise".
        """
        tol = max(self.tol, 32 * torch.finfo(g.dtype).eps)
        # Solved at unit size: squares of a small gradient's entries would be lost below the smallest number.
        size = g.abs().amax(1, keepdim=True)
        if not bool(torch.isfinite(size).all()):
            bad = int((~torch.isfinite(size)).sum())
            raise GradientError(
                f"the gradient that reaches the equilibrium is NaN or infinite for {bad} of {g.shape[0]} samples; look "
                "for the cause behind the equilibrium, in the readout or the loss"
            )
        size = torch.where(size > 0, size, 1)
        unit = g / size
        solution = self._solve(linearisation, unit, tol)
        missed = ~(solution.relative_residual <= 4 * tol)  # NaN is a miss
        if bool(missed.any()):
            self._report(solution, missed, tol)
            is_hopeless = ~(solution.relative_residual < 1)
            solution = replace(solution, x=torch.where(is_hopeless.unsqueeze(1), unit, solution.x))
        return replace(solution, x=solution.x * size)

    def _solve(self, linearisation: Linearisation, g: Tensor, tol: float) -> LinearSolution:
        if self.solver == "dense":
            return solve_dense(linearisation.dense().mT, g)
        iterate = solve_gmres if self.solver == "gmres" else solve_fixed_point
        return iterate(linearisation.rmatvec, g, tol=tol, max_iter=self.max_iter)

    def _report(self, solution: LinearSolution, missed: Tensor, tol: float) -> None:
        residual = torch.nan_to_num(solution.relative_residual, nan=torch.inf, posinf=torch.inf)
        worst = int(residual.argmax())
        advice = {
            "fixed-point": "the series needs a spectral radius of J below 1: use solver='gmres' or 'dense'",
            "gmres": "raise max_iter, or use solver='dense': the equilibrium is near a fold (I - J almost singular)",
            "dense": "I - J is singular: the equilibrium is at a fold, where no gradient exists",
        }[self.solver]
        text = (
            f"the linear solve of the implicit gradient missed its tolerance for {int(missed.sum())} of "
            f"{missed.numel()} samples (worst: sample {worst}, relative residual {float(residual[worst]):.2e}, "
            f"tolerance {tol:.0e}); {advice}"
        )
        if self.on_failure == "raise":
            raise GradientError(text)
        warnings.warn(text, GradientWarning, stacklevel=2)
