"""The gradient of an equilibrium by the implicit function theorem."""

import warnings
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Linearisation
from analogdeq.errors import GradientError, InputError
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import AdjointGradient, RestPoint, unit_size
from analogdeq.gradient.warm_start import WarmStart
from analogdeq.linalg.adaptive import solve_adaptive
from analogdeq.linalg.anderson import solve_anderson
from analogdeq.linalg.broyden import solve_broyden
from analogdeq.linalg.cg import solve_cg
from analogdeq.linalg.dense import solve_dense
from analogdeq.linalg.fixed_point import solve_fixed_point
from analogdeq.linalg.frobenius import frobenius_norm
from analogdeq.linalg.gmres import solve_gmres
from analogdeq.linalg.noise import ReadNoise
from analogdeq.linalg.richardson import solve_richardson
from analogdeq.linalg.system import LinearSolution, MatVec, relative, row_norm

SOLVERS = ("auto", "gmres", "fixed-point", "richardson", "anderson", "broyden", "cg", "dense")

_ADVICE = {
    "fixed-point": "the series needs a spectral radius of J below 1: use solver='gmres' or 'dense'",
    "richardson": "raise max_iter: an eigenvalue of J is close to 1, or far from it",
    "anderson": "raise max_iter or memory, or use solver='gmres'",
    "broyden": "raise max_iter and memory, or use solver='gmres'",
    "cg": "raise max_iter; conjugate gradients need a stable rest of a core with symmetric W",
    "adaptive": "raise max_iter, or use solver='dense': the equilibrium is near a fold (I - J almost singular)",
    "gmres": "raise max_iter, or use solver='dense': the equilibrium is near a fold (I - J almost singular)",
    "dense": "I - J is singular: the equilibrium is at a fold, where no gradient exists",
}


class GradientWarning(UserWarning):
    """A gradient was used although its linear solve missed the tolerance."""


@final
@dataclass(frozen=True, kw_only=True)
class ImplicitGradient(AdjointGradient):
    """Solve (I - J^T) v = g, then dL/dtheta = v^T dF/dtheta.

    With z* = F(z*; theta) and g = dL/dz*, differentiating the fixed point gives dz*/dtheta = (I - J)^-1 dF/dtheta with
    J = dF/dz at z*. Memory is that of one evaluation of F, however long the settle was, and what the solver keeps.

    Cost: one product with J^T per iteration, each as dear as an evaluation of F. "gmres" keeps up to 25 vectors per
    sample, "broyden" 2 `memory`, "anderson" 2 `memory`, the others none; "dense" a matrix per sample and node^3 work.

    Wrong where z* is no fixed point, so look at the forward residual first; where J^T is read with frozen errors, by
    about their size times the condition of I - J, whatever the solver; and at kinks of the activation, where it is one
    of several slopes.

    Attributes:
        solver: "gmres" for any stable core; "fixed-point" (Neumann series) where rho(J) < 1; "richardson", damped, for
            any stable core and for noisy products, whose tail it averages; "anderson" and "broyden" for any stable
            core; "cg" where W is symmetric; "dense" for small cores. "auto" is "richardson" where `read_noise` is
            given; elsewhere it is "fixed-point" while that contracts well, and "gmres" for the samples it leaves.
        tol: relative residual to reach; not below 32 times the rounding unit of the state.
        max_iter: products with J^T at the most.
        on_failure: "raise" a `GradientError`, or "warn" and go on with the vector found; where that is no better than
            zero, with v = g, as if J were 0. Under noise a residual at the noise floor is no failure.
        damping: first step of "richardson".
        noisy_tol: relative standard error at which "richardson" stops averaging.
        memory: of "anderson" (at most 20 of it) and "broyden".
        read_noise: makes every product with J^T as noisy as an analog array's; None for exact products.
        warm_start: keeps v for the next call; None to begin from zero each time.

    Source: S. Bai, J. Z. Kolter, V. Koltun, NeurIPS 2019, theorem 1; v = g is the Jacobian-free gradient of S. W. Fung
    et al., arXiv:2103.12803.
    """

    solver: str = "auto"
    tol: float = 1e-6
    max_iter: int = 200
    on_failure: str = "raise"
    damping: float = 0.5
    noisy_tol: float = 0.003
    memory: int = 40
    read_noise: ReadNoise | None = None
    warm_start: WarmStart | None = None

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
        if not 0 < self.damping <= 1 or not 0 < self.noisy_tol < 1 or self.memory < 1:
            raise InputError(
                f"gradient damping = {self.damping} must lie above 0 and be at most 1, noisy_tol = {self.noisy_tol} "
                f"lie between 0 and 1, memory = {self.memory} be at least 1"
            )
        if self.solver == "dense" and self.read_noise is not None:
            raise InputError("solver='dense' reads the matrix, not products: read_noise has no meaning there")

    @property
    def method(self) -> str:
        """The solver that "auto" stands for."""
        if self.solver != "auto":
            return self.solver
        return "adaptive" if self.read_noise is None else "richardson"

    def adjoint(self, point: RestPoint, g: Tensor, log: SolveLog) -> LinearSolution:
        """(batch, node) -> v."""
        return self.solve(point.linearise(), g)

    def solve(self, linearisation: Linearisation, g: Tensor) -> LinearSolution:
        """V of (I - J^T) v = g, (batch, node).

        Raises:
            GradientError: if g is not finite, or if a sample misses the tolerance and `on_failure` is "raise".
        """
        tol = max(self.tol, 32 * torch.finfo(g.dtype).eps)
        unit, size = unit_size(g)
        solution = self._solve(linearisation, unit, size, tol)
        # Noisy products, frozen ones included, are not worth more than `noisy_tol`.
        goal = torch.full_like(solution.relative_residual, tol if self.read_noise is None else max(tol, self.noisy_tol))
        if solution.noise_floor is not None:
            goal = torch.maximum(goal, solution.noise_floor)
        missed = ~(solution.relative_residual <= 4 * goal)  # NaN is a miss
        if bool(missed.any()):
            self._report(solution, missed, tol)
            is_hopeless = ~(solution.relative_residual < 1)
            solution = replace(solution, x=torch.where(is_hopeless.unsqueeze(1), unit, solution.x))
        solution = replace(solution, x=solution.x * size)
        if self.warm_start is not None:
            self.warm_start.keep(solution.x)
        return solution

    def _solve(self, linearisation: Linearisation, unit: Tensor, size: Tensor, tol: float) -> LinearSolution:
        if self.method == "dense":
            return solve_dense(linearisation.dense().mT, unit)
        product: MatVec = linearisation.rmatvec
        if self.read_noise is not None:
            product = self.read_noise.spoil(product, unit, lambda: frobenius_norm(linearisation, unit))
        start = None if self.warm_start is None else self.warm_start.guess(unit)
        weight = getattr(linearisation, "slope", None)
        if start is None:
            return self._iterate(product, unit, torch.full_like(row_norm(unit), tol), weight)
        return self._go_on(product, unit, start / size, tol, weight)

    def _go_on(self, product: MatVec, unit: Tensor, start: Tensor, tol: float, weight: Tensor | None) -> LinearSolution:
        """Begin at `start`, where that has the smaller residual; exact solvers solve for the correction of it."""
        scale = row_norm(unit)
        left = unit - (start - product(start))
        residual = row_norm(left)
        is_better = residual < scale
        column = is_better.unsqueeze(1)
        if self.method == "richardson":  # a correction would carry the noise of this one product
            solution = self._richardson(product, unit, tol, torch.where(column, start, unit))
            return replace(solution, iterations=solution.iterations + 1)
        start, left = torch.where(column, start, 0.0), torch.where(column, left, unit)
        residual = torch.where(is_better, residual, scale)
        # Nothing is left to solve where the old solution is good enough; a zero right-hand side costs no product.
        is_done = residual <= tol * scale
        rhs = torch.where(is_done.unsqueeze(1), 0.0, left)
        goal = (tol * scale / residual.clamp_min(1e-300)).clamp_max(0.5)
        solution = self._iterate(product, rhs, goal, weight)
        relative_residual = torch.where(is_done, residual, solution.relative_residual * residual)
        floor = solution.noise_floor
        return LinearSolution(
            x=start + solution.x,
            relative_residual=relative(relative_residual, scale),
            iterations=solution.iterations + 1,
            noise_floor=None if floor is None else relative(floor * residual, scale),
        )

    def _iterate(self, product: MatVec, y: Tensor, tol: Tensor, weight: Tensor | None) -> LinearSolution:
        match self.method:
            case "adaptive":
                return solve_adaptive(product, y, tol=tol, max_iter=self.max_iter)
            case "gmres":
                return solve_gmres(product, y, tol=tol, max_iter=self.max_iter)
            case "fixed-point":
                return solve_fixed_point(product, y, tol=tol, max_iter=self.max_iter)
            case "anderson":
                return solve_anderson(product, y, tol=tol, max_iter=self.max_iter, memory=min(self.memory, 20))
            case "broyden":
                return solve_broyden(product, y, tol=tol, max_iter=self.max_iter, memory=self.memory)
            case "cg":
                weight = torch.ones_like(y) if weight is None else weight
                return solve_cg(product, y, weight=weight, tol=tol, max_iter=self.max_iter)
            case _:
                return self._richardson(product, y, tol, None)

    def _richardson(self, product: MatVec, y: Tensor, tol: float | Tensor, start: Tensor | None) -> LinearSolution:
        return solve_richardson(
            product, y, tol=tol, max_iter=self.max_iter, damping=self.damping, noisy_tol=self.noisy_tol, start=start
        )

    def _report(self, solution: LinearSolution, missed: Tensor, tol: float) -> None:
        residual = torch.nan_to_num(solution.relative_residual, nan=torch.inf, posinf=torch.inf)
        worst = int(residual.argmax())
        text = (
            f"the linear solve of the implicit gradient missed its tolerance for {int(missed.sum())} of "
            f"{missed.numel()} samples (worst: sample {worst}, relative residual {float(residual[worst]):.2e}, "
            f"tolerance {tol:.0e}); {_ADVICE[self.method]}"
        )
        if self.on_failure == "raise":
            raise GradientError(text)
        warnings.warn(text, GradientWarning, stacklevel=2)
