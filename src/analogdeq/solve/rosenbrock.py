"""One step of a linearly implicit Rosenbrock method for every sample of a batch, each with its own step size."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.predictive_controller import next_step
from analogdeq.solve.quadrature import LOBATTO
from analogdeq.solve.rosenbrock_tableau import RosenbrockTableau
from analogdeq.solve.stage_system import stage_system

FALL = 10.0
"""A step is held to the motion it leaves, but no further than this far below the motion it began with."""
MATRIX_ENTRIES = 1 << 24
"""Entries of all the matrices that are factorised at a time; more lanes are stepped in groups."""
TINY = 1e-300


@final
class Rosenbrock:
    """A stiffly accurate Rosenbrock method with the exact Jacobian of every lane.

    With f = r (F - z) and A = r (J - I), the stage equation times gamma h / (1 + gamma h r) reads, row by row,

    (I - S J) U_i = S (F - z)_i + w sum_j c_ij U_j,   w = gamma / (1 + gamma h r),   S = h r w                  (12)

    Energies are integrals of the power along the dense output, by Gauss-Lobatto quadrature on four points. The stages
    themselves are no states the circuit passes through: where it is stiff, their power means nothing.

    Args:
        tableau: the coefficients.
        tol: relative residual of the stages of a core too large for a factorisation.
    """

    z: Tensor
    z_new: Tensor

    def __init__(self, tableau: RosenbrockTableau, *, tol: float) -> None:
        self._tableau, self._tol = tableau, tol

    def begin(self, core: Core, drive: Drive, z: Tensor) -> None:
        """Take a batch on; one evaluation."""
        self._core, self._drive, self.z = core, drive, z
        self._rate = z.new_ones(()) if core.rate is None else core.rate
        rows = (self._tableau.a, self._tableau.c)
        self._a, self._c = ([z.new_tensor([row]) for row in part] for part in rows)
        self._dense = z.new_tensor(self._tableau.dense)
        real = torch.empty(0, dtype=torch.float64, device=z.device)
        self._partial, self._weights, self._error = (
            real.new_tensor(part.tolist()) for part in (LOBATTO.partial, LOBATTO.weights, LOBATTO.error)
        )
        self._h_before = real.new_zeros(z.shape[0])
        self._evaluations = torch.zeros(z.shape[0], dtype=torch.int64, device=z.device)
        self._allocate()
        self._evaluate(z, self.dz, 0)

    @property
    def dz(self) -> Tensor:
        """(lane, node). dz/ds at `z`."""
        return self._dz[0]

    @property
    def dz_new(self) -> Tensor:
        """(lane, node). dz/ds at `z_new`."""
        return self._dz[1]

    @property
    def evaluations(self) -> Tensor:
        """(lane,) int64. One per stage and inner quadrature point, one for the Jacobian, and the products with it."""
        return self._evaluations

    def attempt(self, h: Tensor) -> Tensor:
        """Try one step per lane; the errors are infinite where a linear system could not be solved.

        Tolerances are relative to the motion at the start of a step. An implicit step may leave little of it, so its
        error counts relative to the geometric mean of the motions at both ends.
        """
        lanes, nodes = self.z.shape
        group = max(1, MATRIX_ENTRIES // (nodes * nodes))
        parts = [self._stages(slice(k, k + group), h[k : k + group]) for k in range(0, lanes, group)]
        self._U = parts[0][0] if len(parts) == 1 else torch.cat([U for U, _ in parts], 1)
        self._evaluate(self.z_new, self.dz_new, -1)
        if self._core.power_terms:
            self._watch_power()
        fall = (self._motion(self.dz) / self._motion(self.dz_new).clamp_min(TINY)).clamp(1.0, FALL)
        return torch.cat([error for _, error in parts]) * fall.sqrt()

    def accept(self, accepted: Tensor | None = None) -> None:
        """Advance the accepted lanes."""
        if accepted is None:
            self.z, self.z_new = self.z_new, self.z
            self._dz[0].copy_(self._dz[1])
            self._p[0].copy_(self._p[-1])
            return
        mask = accepted.unsqueeze(1)
        torch.where(mask, self.z_new, self.z, out=self.z)
        for pair in (self._dz, self._p):
            pair[0].copy_(torch.where(mask, pair[-1], pair[0]))

    def next_step(self, h: Tensor, ratio: Tensor, before: Tensor) -> Tensor:
        """The next steps, undamped: no stability limits them."""
        h_next = next_step(h, self._h_before, ratio, before, self._tableau.order)
        self._h_before = torch.where(ratio <= 1, h, self._h_before)
        return h_next

    def energy_of_step(self, h: Tensor) -> Tensor:
        """Quadrature of the power over the whole steps."""
        return torch.tensordot(self._weights, self._p.to(torch.float64), 1) * h.unsqueeze(1)

    def energy_error(self, h: Tensor) -> Tensor:
        """The quadrature less the rule with one point fewer.

        What is below a millionth of the stages' own tolerance, relative to all energy of the step, does not count: a
        power that grows from nothing as t^4 or faster has the same relative error in steps of any length.
        """
        power = self._p.to(torch.float64)
        error = torch.tensordot(self._error, power, 1).abs_()
        unseen = 1e-6 * self._tol * torch.tensordot(self._weights, power, 1).abs_().amax(1, keepdim=True)
        return (error - unseen).clamp_min_(0.0) * h.unsqueeze(1)

    def segment(self, rows: Tensor, h: Tensor) -> "RosenbrockSegment":
        """Copies of what some lanes' dense output needs."""
        return RosenbrockSegment(
            z=self.z[rows],
            z_new=self.z_new[rows],
            bend=_combine(self._dense, self._U[:, rows]),
            power_W=self._p[:, rows].transpose(0, 1).to(torch.float64),
            h=h[rows].view(-1, 1, 1),
            partial=self._partial,
        )

    def restart(self, rows: Tensor, z: Tensor) -> None:
        """Put some lanes back; one evaluation of the whole batch."""
        self.z[rows], self._h_before[rows] = z, 0.0
        self._evaluate(self.z, self.dz, 0)

    def keep(self, rows: Tensor) -> None:
        """Drop the other lanes and the memory they took."""
        first_dz, first_p = self.dz[rows], self._p[0][rows]
        self.z, self._drive = self.z[rows], self._drive.rows(rows)
        self._h_before, self._evaluations = self._h_before[rows], self._evaluations[rows]
        self._allocate()
        self._dz[0], self._p[0] = first_dz, first_p

    def _allocate(self) -> None:
        lanes, nodes = self.z.shape
        self._dz = self.z.new_empty(2, lanes, nodes)
        self._p = self.z.new_empty(len(LOBATTO.points), lanes, len(self._core.power_terms))
        self.z_new = torch.empty_like(self.z)
        self._work = self.z.new_empty(self._core.work_buffers, lanes, nodes)

    def _evaluate(self, z: Tensor, dz: Tensor, point: int) -> None:
        self._core.evaluate(z, self._drive, dz, self._p[point], self._work)

    def _motion(self, dz: Tensor) -> Tensor:
        """(lane,) float64: max |F(z) - z|."""
        return (dz / self._rate).abs_().amax(1).to(torch.float64)

    def _stages(self, lanes: slice, h: Tensor) -> tuple[Tensor, Tensor]:
        """Write `z_new` of some lanes; their U (stage, lane, node) and errors (lane,)."""
        z, dz = self.z[lanes], self.dz[lanes]
        drive = self._drive.rows(torch.arange(lanes.start, lanes.start + len(z), device=z.device))
        step = h.to(z.dtype).unsqueeze(1)
        w = self._tableau.gamma / (1 + self._tableau.gamma * step * self._rate)
        S = step * self._rate * w
        system = stage_system(self._core.linearise(z, drive), S, self._tol)
        U, z_stage = z.new_empty(self._tableau.n_stages, *z.shape), z
        U[0] = system.solve(step * w * dz)
        for i, (a, c) in enumerate(zip(self._a, self._c, strict=True), start=1):
            z_stage = _combine(a, U[:i])[0].add_(z)
            y = self._core.fixed_point_map(z_stage, drive).sub_(z_stage).mul_(S)
            U[i] = system.solve(y.addcmul_(w, _combine(c, U[:i])[0]))
        torch.add(z_stage, U[-1], out=self.z_new[lanes])
        quadrature = len(LOBATTO.points) - 2 if self._core.power_terms else 0
        self._evaluations[lanes] += self._tableau.n_stages + 1 + quadrature + system.products
        error = U[-1].abs().amax(1).to(torch.float64)
        return U, torch.where(system.is_solved, error, torch.inf)

    def _watch_power(self) -> None:
        """Power at the inner points of the quadrature."""
        bend, scratch = _combine(self._dense, self._U), torch.empty_like(self.z)
        for k, theta in enumerate(LOBATTO.points[1:-1], start=1):
            z = torch.lerp(self.z, self.z_new, theta)
            for power, part in enumerate(bend, start=1):
                z.add_(part, alpha=theta**power * (1 - theta))
            self._evaluate(z, scratch, k)


@final
@dataclass(frozen=True, kw_only=True)
class RosenbrockSegment:
    """z(theta) = (1 - theta) z + theta (z_new + (1 - theta) (K + theta L)), and the power's interpolant integrated.

    Attributes:
        z: (row, node).
        z_new: (row, node).
        bend: (2, row, node). K and L.
        power_W: (row, point, term) float64. At the points of the quadrature.
        h: (row, 1, 1) float64.
        partial: (point, power) float64. Coefficients of the weights of the quadrature from 0 to theta.
    """

    z: Tensor
    z_new: Tensor
    bend: Tensor
    power_W: Tensor
    h: Tensor
    partial: Tensor

    def states(self, theta: Tensor) -> Tensor:
        """(row, point, node)."""
        t = theta.to(self.z.dtype).unsqueeze(-1)
        bend = torch.zeros_like(t)
        for part in self.bend.flip(0):
            bend = t * bend + part.unsqueeze(1)
        return (1 - t) * self.z.unsqueeze(1) + t * (self.z_new.unsqueeze(1) + (1 - t) * bend)

    def energies(self, theta: Tensor) -> Tensor:
        """(row, point, term)."""
        exponents = torch.arange(1, self.partial.shape[1] + 1, dtype=theta.dtype, device=theta.device)
        weights = (theta.unsqueeze(-1) ** exponents) @ self.partial.T
        return torch.bmm(weights, self.power_W) * self.h


def _combine(rows: Tensor, U: Tensor) -> Tensor:
    """(row, lane, node): sum_j rows[:, j] U[j]."""
    return (rows @ U.flatten(1)).view(-1, *U.shape[1:])
