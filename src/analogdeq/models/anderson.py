"""Equilibria by Anderson acceleration: how a digital computer solves a deep equilibrium model best."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core
from analogdeq.gradient.forward import ByRootFinding, FixedPoint


@final
@dataclass(frozen=True, kw_only=True)
class ByAnderson:
    """Anderson acceleration per sample; a sample it does not finish goes to `ByRootFinding`.

    z_{k+1} = sum_i a_i F(z_i) over the last `memory` iterates, with the weights a, which sum up to 1, that make
    ||sum_i a_i (F(z_i) - z_i)||_2 least. Samples that are done are not evaluated any more.

    Attributes:
        tol: residual max |F(z) - z| to reach, in units of full scale; not below what rounding allows.
        memory: iterates remembered.
        max_iter: evaluations at the most.
        ridge: added to the normal equations, relative to their trace, so that nearly dependent residuals do no harm.

    Source: D. G. Anderson, J. ACM 12:547 (1965); H. F. Walker, P. Ni, SIAM J. Numer. Anal. 49:1715 (2011).
    """

    tol: float = 1e-4
    memory: int = 8
    max_iter: int = 80
    ridge: float = 1e-10

    def solve(self, core: Core, u: Tensor) -> FixedPoint:
        """(batch, input) -> the equilibrium of each sample."""
        tol = max(self.tol, 8 * torch.finfo(core.dtype).eps) * core.full_scale
        drive = core.drive(u)
        z = core.initial_state(drive)
        best, residual = z.clone(), torch.full((len(z),), torch.inf, dtype=torch.float64, device=z.device)
        evaluations = torch.zeros(len(z), dtype=torch.int64, device=z.device)
        lanes = torch.arange(len(z), device=z.device)
        states: list[Tensor] = []
        images: list[Tensor] = []
        for _ in range(self.max_iter):
            image = core.fixed_point_map(z, drive)
            size = (image - z).abs().amax(1).double()
            evaluations[lanes] += 1
            is_better = size < residual[lanes]
            best[lanes] = torch.where(is_better.unsqueeze(1), z, best[lanes])
            residual[lanes] = torch.where(is_better, size, residual[lanes])
            states, images = [*states, z][-self.memory :], [*images, image][-self.memory :]
            is_open = size > tol
            if not bool(is_open.all()):
                keep = torch.nonzero(is_open).squeeze(1)
                if not len(keep):
                    break
                lanes, drive = lanes[keep], drive.rows(keep)
                states, images = [x[keep] for x in states], [x[keep] for x in images]
            z = self._mixed(states, images)
        found = FixedPoint(z=best, residual=residual, is_found=residual <= tol, evaluations=evaluations)
        return found if bool(found.is_found.all()) else self._finish(core, u, found)

    def _mixed(self, states: list[Tensor], images: list[Tensor]) -> Tensor:
        """The next iterate, (lane, node)."""
        F = torch.stack(images, 1)
        R = F - torch.stack(states, 1)
        normal = (R @ R.mT).double()
        trace = normal.diagonal(dim1=1, dim2=2).sum(1).clamp_min(torch.finfo(torch.float64).tiny)
        normal = normal / trace[:, None, None] + self.ridge * torch.eye(F.shape[1], device=F.device)
        weights = torch.linalg.solve(normal, torch.ones(len(F), F.shape[1], 1, dtype=torch.float64, device=F.device))
        weights = weights / weights.sum(1, keepdim=True)
        return (weights.to(F.dtype) * F).sum(1)

    def _finish(self, core: Core, u: Tensor, found: FixedPoint) -> FixedPoint:
        rows = torch.nonzero(~found.is_found).squeeze(1)
        rest = ByRootFinding(tol=self.tol).solve(core, u[rows])
        return FixedPoint(
            z=found.z.index_copy(0, rows, rest.z),
            residual=found.residual.index_copy(0, rows, rest.residual),
            is_found=found.is_found.index_copy(0, rows, rest.is_found),
            evaluations=found.evaluations.index_add(0, rows, rest.evaluations),
        )
