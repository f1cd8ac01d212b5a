"""The forward pass of an equilibrium: a fixed point per sample, by the circuit's own settling or by a root finder."""

from dataclasses import dataclass, field
from typing import Protocol, final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.linalg.broyden import LowRankInverse
from analogdeq.solve.attraction import beside, do_attract
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.rest import find_rest
from analogdeq.solve.settle import settle

NEARBY = 1e-3
"""In units of full scale: where an equilibrium is asked whether it attracts."""


@final
@dataclass(frozen=True, kw_only=True)
class FixedPoint:
    """Equilibria of a batch.

    Attributes:
        z: (batch, node).
        residual: (batch,) float64. max |F(z) - z|.
        is_found: (batch,) bool.
        evaluations: (batch,) int64.
        inverse: what the search learnt of (J - I)^-1, where it learns it.
    """

    z: Tensor
    residual: Tensor
    is_found: Tensor
    evaluations: Tensor
    inverse: LowRankInverse | None = None


class Forward(Protocol):
    """How an equilibrium is found."""

    def solve(self, core: Core, u: Tensor) -> FixedPoint:
        """(batch, input) -> the equilibrium of each sample; not differentiated."""
        ...


@final
@dataclass(frozen=True)
class BySettling:
    """Integrate the circuit until it rests: what the chip does, with its basin of attraction."""

    options: SettleOptions = field(default_factory=SettleOptions)

    def solve(self, core: Core, u: Tensor) -> FixedPoint:
        """(batch, input) -> where each sample settles."""
        o = self.options
        out = settle(
            core, u, method=o.method, rtol=o.rtol, atol=o.atol, band=o.band, dwell_tau=o.dwell_tau,
            max_time_tau=o.max_time_tau, max_steps=o.max_steps,
        )  # fmt: skip
        return FixedPoint(z=out.z, residual=out.residual, is_found=out.is_settled, evaluations=out.evaluations)


@final
@dataclass(frozen=True, kw_only=True)
class ByRootFinding:
    """Relax towards the equilibrium with large steps, then Newton; a sample this fails for is settled instead.

    So is one whose equilibrium repels: no circuit rests there.

    z <- z + h (F(z) - z): with h = 1 the Picard iteration, with h < 1 forward Euler on the circuit's own equation, so
    that the root approached is the one the circuit would approach. Newton takes over where the residual is small.

    Attributes:
        tol: residual max |F(z) - z| to reach, in units of full scale; not below what rounding allows.
        relaxation: h.
        max_relaxations: evaluations spent before Newton at the most; one is in any case.
        newton_below: residual at which Newton takes over.
    """

    tol: float = 1e-6
    relaxation: float = 0.8
    max_relaxations: int = 30
    newton_below: float = 0.05

    def solve(self, core: Core, u: Tensor) -> FixedPoint:
        """(batch, input) -> the equilibrium of each sample."""
        drive = core.drive(u)
        z = core.initial_state(drive)
        relaxations = 0
        for _ in range(max(1, self.max_relaxations)):
            motion = core.fixed_point_map(z, drive).sub_(z)
            relaxations += 1
            z = z.add_(motion, alpha=self.relaxation) if relaxations > 1 else z.add(motion, alpha=self.relaxation)
            if float(motion.abs().max()) < self.newton_below * core.full_scale:
                break
        tol = max(self.tol, 8 * torch.finfo(core.dtype).eps) * core.full_scale
        was_moving = motion.abs().amax(1) > tol  # before its last step; what did not move then rests now
        start = beside(core, z, NEARBY * core.full_scale, was_moving)
        rest = find_rest(core, drive, start, tol=tol, good_enough=4 * tol)
        attracts, asked = do_attract(core, drive, rest, NEARBY * core.full_scale)
        found = FixedPoint(
            z=rest.z,
            residual=rest.residual,
            is_found=rest.is_found & attracts,
            evaluations=rest.evaluations + asked + relaxations,
        )
        return found if bool(found.is_found.all()) else self._settle_rest(core, u, found)

    @staticmethod
    def _settle_rest(core: Core, u: Tensor, found: FixedPoint) -> FixedPoint:
        rows = torch.nonzero(~found.is_found).squeeze(1)
        slow = BySettling().solve(core, u[rows])
        return FixedPoint(
            z=found.z.index_copy(0, rows, slow.z),
            residual=found.residual.index_copy(0, rows, slow.residual),
            is_found=found.is_found.index_copy(0, rows, slow.is_found),
            evaluations=found.evaluations.index_add(0, rows, slow.evaluations),
        )


@final
@dataclass(frozen=True, kw_only=True)
class ByIteration:
    """z <- F(z) from power-on until the largest residual meets the tolerance.

    Made for contractions, which it needs a handful of evaluations for and nothing besides: no Jacobian, no question
    whether the rest attracts. Where it converges it does: no eigenvalue of J is larger than 1 there, so that a circuit
    of equal time constants rests there, too.

    Samples are iterated in parts: of few samples the states stay in a processor's cache, and an easy part ends early.

    Attributes:
        tol: residual max |F(z) - z| to reach, in units of full scale; not below what rounding allows.
        max_iter: evaluations at the most; a sample that is not done by then counts as not found.
        part: samples iterated together; on a GPU all of them are.
    """

    tol: float = 1e-3
    max_iter: int = 100
    part: int = 32

    def solve(self, core: Core, u: Tensor) -> FixedPoint:
        """(batch, input) -> the equilibrium of each sample."""
        parts = [self._solve(core, part) for part in u.split(len(u) if u.is_cuda else self.part)]
        return FixedPoint(
            z=torch.cat([found.z for found in parts]),
            residual=torch.cat([found.residual for found in parts]),
            is_found=torch.cat([found.is_found for found in parts]),
            evaluations=torch.cat([found.evaluations for found in parts]),
        )

    def _solve(self, core: Core, u: Tensor) -> FixedPoint:
        tol = max(self.tol, 8 * torch.finfo(core.dtype).eps) * core.full_scale
        drive = core.drive(u)
        z, evaluations = core.initial_state(drive), 0
        while True:
            image = core.fixed_point_map(z, drive) if evaluations else first_image(core, z, drive)
            residual = torch.sub(image, z).abs_().amax(1).double()
            evaluations += 1
            if float(residual.max()) <= tol or evaluations >= self.max_iter:
                break
            z = image
        spent = torch.full(residual.shape, evaluations, dtype=torch.int64, device=z.device)
        return FixedPoint(z=z, residual=residual, is_found=residual <= tol, evaluations=spent)


def first_image(core: Core, z: Tensor, drive: Drive) -> Tensor:
    """F of the state at power-on; W z costs nothing where that is zero."""
    if isinstance(core, SaturatingNetwork):
        return core.respond(drive.current)
    return core.fixed_point_map(z, drive)
