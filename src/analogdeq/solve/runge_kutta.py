"""One step of an embedded Runge-Kutta pair for every sample of a batch, each with its own step size."""

from typing import Protocol, final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.tableau import Tableau


class Stepper(Protocol):
    """What the settle loop asks of a one-step method. All tensors hold one row per active sample ("lane")."""

    order: int
    """The local error of an attempt falls as h^order."""
    evaluations_per_attempt: int

    z: Tensor
    """(lane, node). State at the start of the step."""
    z_new: Tensor
    """(lane, node). State at its end; valid after `attempt`."""

    @property
    def dz(self) -> Tensor:
        """(lane, node). dz/ds at `z`."""
        ...

    @property
    def dz_new(self) -> Tensor:
        """(lane, node). dz/ds at `z_new`."""
        ...

    @property
    def power_W(self) -> Tensor:
        """(lane, term) [W]. Power at `z`."""
        ...

    def begin(self, core: Core, drive: Drive, z: Tensor) -> None:
        """Take a batch on."""
        ...

    def attempt(self, h: Tensor) -> Tensor:
        """Try steps of h (lane,) and return each one's largest local error (lane,), float64."""
        ...

    def accept(self, accepted: Tensor) -> None:
        """Advance the lanes marked in `accepted` (lane,) bool."""
        ...

    def states(self, rows: Tensor, h: Tensor, theta: Tensor) -> Tensor:
        """Dense output (row, point, node) at fractions `theta` (row, point) of the steps `h` (lane,) of some lanes."""
        ...

    def energies(self, rows: Tensor, h: Tensor, theta: Tensor) -> Tensor:
        """(row, point, term) float64 [W]: the power integrated over dimensionless time from the start of the step."""
        ...

    def restart(self, rows: Tensor, z: Tensor) -> None:
        """Put some lanes back to the states `z` (row, node)."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Drop every other lane."""
        ...


@final
class RungeKutta:
    """An explicit embedded pair, first-same-as-last, evaluating into preallocated buffers.

    A stage combination is one matrix-vector product over the buffer of earlier stages, whatever their number.
    """

    z: Tensor
    z_new: Tensor

    def __init__(self, tableau: Tableau) -> None:
        self._tableau = tableau
        self.order = tableau.order
        self.evaluations_per_attempt = tableau.n_stages - 1

    def begin(self, core: Core, drive: Drive, z: Tensor) -> None:
        """Take a batch on; one evaluation."""
        self._core, self._drive, self.z = core, drive, z
        self._a = [torch.tensor([row], dtype=z.dtype, device=z.device) for row in self._tableau.a]
        self._error = torch.tensor([self._tableau.error], dtype=z.dtype, device=z.device)
        self._dense = torch.tensor(self._tableau.dense, dtype=torch.float64, device=z.device)
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
    def power_W(self) -> Tensor:
        """(lane, term) [W]. Power at `z`."""
        return self._p[0]

    def attempt(self, h: Tensor) -> Tensor:
        """Try one step per lane."""
        step = h.to(self.z.dtype).unsqueeze(1)
        stages = self._k.view(self._k.shape[0], -1)
        flat = self._combination.view(1, -1)
        for i, row in enumerate(self._a, start=1):
            torch.mm(row, stages[:i], out=flat)
            torch.addcmul(self.z, self._combination, step, out=self.z_new)
            self._evaluate(self.z_new, i)
        torch.mm(self._error, stages, out=flat)
        return self._combination.abs_().amax(1).to(torch.float64) * h

    def accept(self, accepted: Tensor) -> None:
        """Advance the accepted lanes; the last stage becomes the first."""
        if bool(accepted.all()):
            self.z, self.z_new = self.z_new, self.z
            self._k[0].copy_(self._k[-1])
            self._p[0].copy_(self._p[-1])
            return
        mask = accepted.unsqueeze(1)
        torch.where(mask, self.z_new, self.z, out=self.z)
        self._k[0].copy_(torch.where(mask, self._k[-1], self._k[0]))
        self._p[0].copy_(torch.where(mask, self._p[-1], self._p[0]))

    def states(self, rows: Tensor, h: Tensor, theta: Tensor) -> Tensor:
        """Dense output of some lanes."""
        weights = (self._weights(theta) * h[rows].view(-1, 1, 1)).to(self.z.dtype)
        return self.z[rows].unsqueeze(1) + torch.bmm(weights, self._k[:, rows].transpose(0, 1))

    def energies(self, rows: Tensor, h: Tensor, theta: Tensor) -> Tensor:
        """Energy since the start of the step, by the same stages and weights as the state."""
        weights = self._weights(theta) * h[rows].view(-1, 1, 1)
        return torch.bmm(weights, self._p[:, rows].transpose(0, 1).to(torch.float64))

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
        self._combination = torch.empty_like(self.z)
        self.z_new = torch.empty_like(self.z)
        self._work = self.z.new_empty(self._core.work_buffers, lanes, nodes)

    def _evaluate(self, z: Tensor, stage: int) -> None:
        self._core.evaluate(z, self._drive, self._k[stage], self._p[stage], self._work)

    def _weights(self, theta: Tensor) -> Tensor:
        """(row, point) -> b_i(theta), (row, point, stage)."""
        n_powers = self._dense.shape[1]
        powers = theta.unsqueeze(-1) ** torch.arange(1, n_powers + 1, dtype=theta.dtype, device=theta.device)
        return powers @ self._dense.T
