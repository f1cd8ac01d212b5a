"""An exponential Runge-Kutta step: the leak -z exactly, the rest by fourth-order quadrature."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.phi import phi_functions

SIMPSON = 20.0
"""For a decaying power, the relative error of Simpson's rule is its squared difference from the trapezoid over this."""


@final
class Exponential:
    """Krogstad's fourth-order method for dz/ds = -r z + g(z), g = r F, every sample with its own step.

    With x = r h, phi_k = phi_k(-x), psi_k = phi_k(-x/2) and n_i = g(U_i) - g(z):

        U_2 = z + h/2 psi_1 dz          U_3 = U_2 + h psi_2 n_2          U_4 = z + h phi_1 dz + 2 h phi_2 n_3
        z'  = z + h phi_1 dz + h (2 phi_2 - 4 phi_3) (n_2 + n_3) + h (4 phi_3 - phi_2) n_4

    The leak is exact: a fast node forbids no step, a core with W = 0 is solved in one, and what limits a step is how F
    changes along the trajectory, which near rest is slowly. The local error is estimated with n_5 = g(z') - g(z) in the
    place of n_4, an embedded third-order formula that is free, because n_5 belongs to the next step's first stage.
    Energies follow Simpson's rule on the same stages.

    Source: S. Krogstad, J. Comput. Phys. 203:72 (2005), section 3.
    """

    order = 4
    evaluations_per_attempt = 4
    z: Tensor
    z_new: Tensor
    _dz: Tensor
    _dz_new: Tensor
    _p: Tensor

    def begin(self, core: Core, drive: Drive, z: Tensor) -> None:
        """Take a batch on; one evaluation."""
        self._core, self._drive, self.z = core, drive, z
        self._allocate()
        self._evaluate(self.z, self._dz, 0)

    @property
    def dz(self) -> Tensor:
        """(lane, node). dz/ds at `z`."""
        return self._dz

    @property
    def dz_new(self) -> Tensor:
        """(lane, node). dz/ds at `z_new`."""
        return self._dz_new

    @property
    def power_W(self) -> Tensor:
        """(lane, term) [W]. Power at `z`."""
        return self._p[0]

    def attempt(self, h: Tensor) -> Tensor:
        """Try one step per lane."""
        half, whole = self._weights(0.5 * h), self._weights(h)
        stage, (n_2, n_3, n_4) = self._stage, self._n
        self._g.copy_(self._dz)
        self._add_leak(self._g, self.z)
        torch.addcmul(self.z, half.phi_1, self._dz, out=stage)
        self._difference(stage, n_2, 1)
        stage.addcmul_(half.phi_2, n_2, value=2.0)
        self._difference(stage, n_3, 2)
        base = torch.addcmul(self.z, whole.phi_1, self._dz, out=self._base)
        torch.addcmul(base, whole.phi_2, n_3, value=2.0, out=stage)
        self._difference(stage, n_4, 3)
        n_2.add_(n_3)
        torch.addcmul(base, whole.middle, n_2, out=self.z_new)
        self.z_new.addcmul_(whole.last, n_4)
        n_5 = n_3
        self._difference(self.z_new, n_5, 4)
        return torch.sub(n_5, n_4, out=stage).mul_(whole.last).abs_().amax(1).to(torch.float64)

    def energy_of_step(self, h: Tensor) -> Tensor:
        """Simpson's rule."""
        start, middle, end = self._powers()
        return (start + 4 * middle + end) * (h / 6).unsqueeze(1)

    def energy_error(self, h: Tensor) -> Tensor:
        """What Simpson's rule misses, from its difference to the trapezoid's."""
        start, middle, end = self._powers()
        difference = (middle - 0.5 * (start + end)) * (2 / 3 * h).unsqueeze(1)
        return difference.square_() / (SIMPSON * self.energy_of_step(h)).clamp_min(1e-300)

    def accept(self, accepted: Tensor) -> None:
        """Advance the accepted lanes."""
        if bool(accepted.all()):
            self.z, self.z_new = self.z_new, self.z
            self._dz, self._dz_new = self._dz_new, self._dz
            self._p[0].copy_(self._p[4])
            return
        mask = accepted.unsqueeze(1)
        torch.where(mask, self.z_new, self.z, out=self.z)
        torch.where(mask, self._dz_new, self._dz, out=self._dz)
        self._p[0].copy_(torch.where(mask, self._p[4], self._p[0]))

    def segment(self, rows: Tensor, h: Tensor) -> "ExponentialSegment":
        """Copies of what some lanes' dense output needs."""
        twice_middle, end = self._n[0][rows], self._n[1][rows]
        powers = torch.stack(self._powers(), 1)[rows]
        rate = self._core.rate
        step = h[rows].view(-1, 1, 1)
        return ExponentialSegment(
            z=self.z[rows],
            dz=self._dz[rows],
            linear=2 * twice_middle - end,
            quadratic=2 * (end - twice_middle),
            power_W=powers,
            h=step,
            x=step if rate is None else step * rate,
        )

    def restart(self, rows: Tensor, z: Tensor) -> None:
        """Put some lanes back; one evaluation of the whole batch."""
        self.z[rows] = z
        self._evaluate(self.z, self._dz, 0)

    def keep(self, rows: Tensor) -> None:
        """Drop the other lanes and the memory they took."""
        dz, power = self._dz[rows], self._p[0][rows]
        self.z, self._drive = self.z[rows], self._drive.rows(rows)
        self._allocate()
        self._dz, self._p[0] = dz, power

    def _allocate(self) -> None:
        lanes, nodes = self.z.shape
        self._dz, self._dz_new, self._g = (torch.empty_like(self.z) for _ in range(3))
        self._stage, self._base, self.z_new = (torch.empty_like(self.z) for _ in range(3))
        self._n = tuple(torch.empty_like(self.z) for _ in range(3))
        self._p = self.z.new_empty(5, lanes, len(self._core.power_terms))
        self._work = self.z.new_empty(self._core.work_buffers, lanes, nodes)

    def _evaluate(self, z: Tensor, dz: Tensor, slot: int) -> None:
        self._core.evaluate(z, self._drive, dz, self._p[slot], self._work)

    def _difference(self, z: Tensor, out: Tensor, slot: int) -> None:
        """g(z) - g at the start of the step, into `out`; the last slot's derivative is kept for the next step."""
        dz = self._dz_new if slot == 4 else out
        self._evaluate(z, dz, slot)
        if dz is not out:
            out.copy_(dz)
        self._add_leak(out, z)
        out.sub_(self._g)

    def _add_leak(self, dz: Tensor, z: Tensor) -> None:
        """Turn dz/ds into g = dz + r z, in place."""
        rate = self._core.rate
        if rate is None:
            dz.add_(z)
        else:
            dz.addcmul_(rate, z)

    def _powers(self) -> tuple[Tensor, Tensor, Tensor]:
        """(lane, term) float64 at the start, the middle and the end of the step."""
        p = self._p.to(torch.float64)
        return p[0], 0.5 * (p[1] + p[2]), p[4]

    def _weights(self, h: Tensor) -> "_Weights":
        """H phi_k(-r h), (lane, 1) for equal time constants and (lane, node) otherwise."""
        column, rate = h.unsqueeze(1), self._core.rate
        _, phi_1, phi_2, phi_3 = phi_functions(column if rate is None else column * rate)
        scaled = (column * phi_1, column * phi_2, column * (2 * phi_2 - 4 * phi_3), column * (4 * phi_3 - phi_2))
        return _Weights(*(weight.to(self.z.dtype) for weight in scaled))


@final
@dataclass(frozen=True)
class _Weights:
    """The method's coefficients for one step per lane."""

    phi_1: Tensor
    phi_2: Tensor
    middle: Tensor
    last: Tensor


@final
@dataclass(frozen=True, kw_only=True)
class ExponentialSegment:
    """Variation of constants with g interpolated by the parabola through the start, the middle and the end of the step.

    z(theta) = z + t phi_1 dz + h (theta^2 phi_2 a + 2 theta^3 phi_3 b),  t = theta h, phi_k at -r t,
    g(theta) - g(0) = a theta + b theta^2;  powers are interpolated by parabolas too.

    Attributes:
        z, dz: (row, node).
        linear, quadratic: (row, node). a and b.
        power_W: (row, 3, term) float64. At the start, the middle and the end.
        h: (row, 1, 1) float64.
        x: (row, 1, 1 or node) float64. r h.
    """

    z: Tensor
    dz: Tensor
    linear: Tensor
    quadratic: Tensor
    power_W: Tensor
    h: Tensor
    x: Tensor

    def states(self, theta: Tensor) -> Tensor:
        """(row, point, node)."""
        fraction = theta.unsqueeze(-1)
        _, phi_1, phi_2, phi_3 = phi_functions(self.x * fraction)
        t = self.h * fraction
        dtype = self.z.dtype
        states = torch.addcmul(self.z.unsqueeze(1), (t * phi_1).to(dtype), self.dz.unsqueeze(1))
        states.addcmul_((t * fraction * phi_2).to(dtype), self.linear.unsqueeze(1))
        return states.addcmul_((2 * t * fraction**2 * phi_3).to(dtype), self.quadratic.unsqueeze(1))

    def energies(self, theta: Tensor) -> Tensor:
        """(row, point, term)."""
        start, middle, end = (self.power_W[:, k : k + 1] for k in range(3))
        rise, fall = 4 * (middle - start) - (end - start), 2 * (end - start) - 4 * (middle - start)
        fraction = theta.unsqueeze(-1)
        return self.h * fraction * (start + fraction * (rise / 2 + fraction * (fall / 3)))
