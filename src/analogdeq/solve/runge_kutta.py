"""One step of an explicit Runge-Kutta pair for every sample of a batch, each with its own step size."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.controller import next_step
from analogdeq.solve.tableau import Tableau


@final
class RungeKutta:
    """An explicit embedded pair, first-same-as-last, evaluating into preallocated buffers.

    A stage combination is one matrix-vector product over the buffer of earlier stages, whatever their number.

    Args:
        tableau: the coefficients.
        tol: errors of an energy below this part of what the step's largest power would give do not count.
    """

    z: Tensor
    z_new: Tensor

    def __init__(self, tableau: Tableau, *, tol: float = 0.0) -> None:
        self._tableau, self._tol = tableau, tol

    def begin(self, core: Core, drive: Drive, z: Tensor) -> None:
        """Take a batch on; one evaluation."""
        self._attempts = 0
        self._core, self._drive, self.z = core, drive, z
        self._a = [torch.tensor([row], dtype=z.dtype, device=z.device) for row in self._tableau.a]
        self._error = torch.tensor([self._tableau.error], dtype=z.dtype, device=z.device)
        self._dense = torch.tensor(self._tableau.dense, dtype=torch.float64, device=z.device)
        self._whole = self._dense.sum(1)
        self._allocate()
        self._evaluate(z, 0)

    @property
    def dz(self) -> Tensor:
        """(lane, node). dz/ds at `z`."""
        return self._k[0]

    @property
    def dz_new(self) -> Tensor:
        """(lane, node). dz/ds at `z_new`."""
        return self._k[-1]

    @property
    def evaluations(self) -> Tensor:
        """(lane,) int64. One per stage and attempt, but for the first."""
        spent = self._attempts * (self._tableau.n_stages - 1)
        return torch.full((self.z.shape[0],), spent, dtype=torch.int64, device=self.z.device)

    def attempt(self, h: Tensor) -> Tensor:
        """Try one step per lane."""
        self._attempts += 1
        step = h.to(self.z.dtype).unsqueeze(1)
        flat = self._combination.view(1, -1)
        for i, (row, earlier) in enumerate(zip(self._a, self._earlier, strict=True), start=1):
            torch.mm(row, earlier, out=flat)
            torch.addcmul(self.z, self._combination, step, out=self.z_new)
            self._evaluate(self.z_new, i)
        torch.mm(self._error, self._stages, out=flat)
        return self._combination.abs_().amax(1).to(torch.float64) * h

    def accept(self, accepted: Tensor | None = None) -> None:
        """Advance the accepted lanes; the last stage becomes the first."""
        if accepted is None:
            self.z, self.z_new = self.z_new, self.z
            self._k[0].copy_(self._k[-1])
            self._p[0].copy_(self._p[-1])
            return
        mask = accepted.unsqueeze(1)
        torch.where(mask, self.z_new, self.z, out=self.z)
        self._k[0].copy_(torch.where(mask, self._k[-1], self._k[0]))
        self._p[0].copy_(torch.where(mask, self._p[-1], self._p[0]))

    def next_step(self, h: Tensor, ratio: Tensor, before: Tensor) -> Tensor:
        """The next steps: damped, since stability may limit them."""
        return next_step(h, ratio, before, self._tableau.order)

    def energy_of_step(self, h: Tensor) -> Tensor:
        """Energy of the whole steps, by the same stages and weights as the state."""
        return torch.tensordot(self._whole, self._p.to(torch.float64), 1) * h.unsqueeze(1)

    def energy_error(self, h: Tensor) -> Tensor:
        """The embedded pair's error estimate, for the energies.

        A power that grows from nothing as a high power of time has the same relative error in steps of any length, so
        what is too small to matter must be let go.
        """
        error = torch.tensordot(self._error[0].double(), self._p.to(torch.float64), 1).abs_()
        if self._tol:
            error.sub_(self._p[-1].amax(1, keepdim=True).to(torch.float64), alpha=self._tol).clamp_min_(0.0)
        return error.mul_(h.unsqueeze(1))

    def segment(self, rows: Tensor, h: Tensor) -> "RungeKuttaSegment":
        """Copies of what some lanes' dense output needs."""
        return RungeKuttaSegment(
            z=self.z[rows],
            k=self._k[:, rows].transpose(0, 1).contiguous(),
            power_W=self._p[:, rows].transpose(0, 1).to(torch.float64),
            h=h[rows].view(-1, 1, 1),
            dense=self._dense,
        )

    def restart(self, rows: Tensor, z: Tensor) -> None:
        """Put some lanes back; one evaluation of the whole batch."""
        self.z[rows] = z
        self._evaluate(self.z, 0)

    def keep(self, rows: Tensor) -> None:
        """Drop the other lanes and the memory they took."""
        first_k, first_p = self._k[0][rows], self._p[0][rows]
        self.z, self._drive = self.z[rows], self._drive.rows(rows)
        self._allocate()
        self._k[0], self._p[0] = first_k, first_p

    def _allocate(self) -> None:
        lanes, nodes = self.z.shape
        terms, stages = len(self._core.power_terms), self._tableau.n_stages
        self._k = self.z.new_empty(stages, lanes, nodes)
        self._p = self.z.new_empty(stages, lanes, terms)
        self._stages = self._k.view(stages, -1)
        self._earlier = [self._stages[:i] for i in range(1, stages)]  # views made once: small networks feel each
        self._slopes, self._powers = self._k.unbind(), self._p.unbind()
        self._combination = torch.empty_like(self.z)
        self.z_new = torch.empty_like(self.z)
        self._work = self.z.new_empty(self._core.work_buffers, lanes, nodes)

    def _evaluate(self, z: Tensor, stage: int) -> None:
        self._core.evaluate(z, self._drive, self._slopes[stage], self._powers[stage], self._work)


@final
@dataclass(frozen=True, kw_only=True)
class RungeKuttaSegment:
    """z(theta) = z + h sum_i b_i(theta) k_i, and the same weights for the power of each stage.

    Attributes:
        z: (row, node).
        k: (row, stage, node).
        power_W: (row, stage, term) float64.
        h: (row, 1, 1) float64.
        dense: (stage, power) float64. Coefficients of the polynomials b_i.
    """

    z: Tensor
    k: Tensor
    power_W: Tensor
    h: Tensor
    dense: Tensor

    def states(self, theta: Tensor) -> Tensor:
        """(row, point, node)."""
        return self.z.unsqueeze(1).baddbmm(self._weights(theta).to(self.z.dtype), self.k)

    def energies(self, theta: Tensor) -> Tensor:
        """(row, point, term)."""
        return torch.bmm(self._weights(theta), self.power_W)

    def _weights(self, theta: Tensor) -> Tensor:
        """(row, point, stage): h b_i(theta)."""
        powers = theta.unsqueeze(-1).expand(*theta.shape, self.dense.shape[1]).cumprod(-1)
        return powers @ self.dense.T * self.h
