"""SHINE: the inverse Jacobian that the forward pass has learnt, used again in the backward pass."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core
from analogdeq.errors import GradientError, InputError
from analogdeq.gradient.forward import BySettling, FixedPoint
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import AdjointGradient, RestPoint, unit_size
from analogdeq.linalg.broyden import LowRankInverse, find_root, solve_broyden
from analogdeq.linalg.system import LinearSolution, relative, row_norm


@final
@dataclass(frozen=True, kw_only=True)
class ByBroyden:
    """Find the equilibrium by Broyden's method, and keep its estimate of (J - I)^-1; samples it fails are settled.

    Broyden's method may end at an equilibrium the circuit would leave, or would not reach: it asks for a root, not for
    a rest. Where the core has one equilibrium per input there is no difference.

    Attributes:
        tol: residual max |F(z) - z| to reach, in units of full scale; not below what rounding allows.
        max_iter: evaluations of F per sample.
        memory: updates kept; 2 vectors per sample each.
    """

    tol: float = 1e-6
    max_iter: int = 60
    memory: int = 40

    def solve(self, core: Core, u: Tensor) -> FixedPoint:
        """(batch, input) -> the equilibrium of each sample."""
        drive = core.drive(u)
        tol = max(self.tol, 8 * torch.finfo(core.dtype).eps) * core.full_scale
        start = core.initial_state(drive)
        goal = torch.full((u.shape[0],), tol, dtype=torch.float64, device=u.device)  # the 2-norm bounds the largest
        root = find_root(
            lambda z: core.fixed_point_map(z, drive) - z, start, goal=goal, max_iter=self.max_iter, memory=self.memory
        )
        residual = (core.fixed_point_map(root.x, drive) - root.x).abs().amax(1).to(torch.float64)
        z, is_found, evaluations = root.x, residual <= 4 * tol, root.iterations + 1
        rows = torch.nonzero(~is_found).squeeze(1)
        if rows.numel():
            slow = BySettling().solve(core, u[rows])
            z, residual = z.index_copy(0, rows, slow.z), residual.index_copy(0, rows, slow.residual)
            is_found = is_found.index_copy(0, rows, slow.is_found)
            evaluations = evaluations.index_add(0, rows, slow.evaluations)
        return FixedPoint(z=z, residual=residual, is_found=is_found, evaluations=evaluations, inverse=root.inverse)


@final
@dataclass(frozen=True, kw_only=True)
class ShineGradient(AdjointGradient):
    """v = -H^T g, with the H ~ (J - I)^-1 that Broyden's method has gathered on its way to the equilibrium.

    Cost: one product with J^T, which measures the residual, and `refine` more: Broyden's method on (I - J^T) v = g that
    begins at H^T. Memory: the forward pass's 2 `memory` vectors per sample, held until the backward pass.

    Wrong where the search went along few directions: H is exact on what it has seen, and -I elsewhere. `refine` mends
    that, and with enough of it the gradient is exact. Under noise the secant pairs, and with them H, are noise. A
    sample for which v is no better than zero gets v = g.

    Attributes:
        refine: products spent on improving v; 0 for none.
        tol: relative residual at which refining stops.

    Source: Z. Ramzi, F. Mannel, S. Bai, J.-L. Starck, P. Ciuciu, T. Moreau, ICLR 2022 (arXiv:2106.00553), without its
    extra secant updates.
    """

    refine: int = 0
    tol: float = 1e-6

    def __post_init__(self) -> None:
        """Refuse unusable numbers.

        Raises:
            InputError: naming the value.
        """
        if self.refine < 0 or not 0 < self.tol < 1:
            raise InputError(f"SHINE refine = {self.refine} must not be negative, tol = {self.tol} lie between 0 and 1")

    def adjoint(self, point: RestPoint, g: Tensor, log: SolveLog) -> LinearSolution:
        """(batch, node) -> v.

        Raises:
            GradientError: if the forward pass has left no inverse, or g is not finite.
        """
        if point.inverse is None:
            raise GradientError(
                "ShineGradient needs the inverse that a Broyden search leaves: pass forward=ByBroyden()"
            )
        unit, size = unit_size(g)
        product, transposed = point.linearise().rmatvec, LowRankInverse(point.inverse.w, point.inverse.u)
        if self.refine:
            tol = max(self.tol, 32 * torch.finfo(g.dtype).eps)
            better = solve_broyden(product, unit, tol=tol, max_iter=self.refine + 1, start=transposed)
            v, residual, spent = better.x, better.relative_residual, better.iterations
        else:
            v = -transposed.matvec(unit)
            residual = relative(row_norm(unit + product(v) - v), row_norm(unit))
            spent = torch.ones(residual.shape, dtype=torch.int64, device=g.device)
        is_hopeless = ~(residual < 1)
        v = torch.where(is_hopeless.unsqueeze(1), unit, v)
        return LinearSolution(x=v * size, relative_residual=residual, iterations=spent)
