"""Phase oscillators: Kuramoto's model with injected inputs and sub-harmonic injection locking."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Drive
from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.cores.oscillators.coupling import Edges, couple, couple_adjoint, dense_coupling
from analogdeq.errors import InputError


@final
@dataclass(frozen=True)
class PhaseDrive(Drive):
    """What acts on the phases from outside. `current` is the in-phase part of each injection.

    Attributes:
        quadrature: (batch, node) [1]. The part of each injection a quarter of a period behind.
        detuning: (batch, node) [rad per tau].
    """

    quadrature: Tensor
    detuning: Tensor

    def rows(self, index: Tensor) -> "PhaseDrive":
        """The drive of some samples."""
        return PhaseDrive(
            self.current[index], self.standing_power_W[index], self.quadrature[index], self.detuning[index]
        )

    def injected(self, in_phase: Tensor, quadrature: Tensor) -> "PhaseDrive":
        """The same with more injected, both (batch, node)."""
        return PhaseDrive(self.current + in_phase, self.standing_power_W, self.quadrature + quadrature, self.detuning)


@final
class PhaseCore(OscillatorCore):
    """Oscillators of constant amplitude, each a phase relative to the reference.

    dphi_i/ds = delta_i + Im[ e^{-i phi_i} ( sum_j W_ij e^{i phi_j} + F_i ) ] - K_s sin 2 phi_i

    with the injection F_i = p_i + i q_i from U u + b and delta = detuning + tuning u. For real W this is
    delta_i + sum_j W_ij sin(phi_j - phi_i) - p_i sin phi_i + q_i cos phi_i - K_s sin 2 phi_i: Kuramoto's model with
    frequency dispersion; a complex W gives a phase lag (Sakaguchi).

    The state is the unwrapped phase [rad]. An oscillator that slips comes to rest a whole number of turns away; that
    is a fixed point of the unwrapped flow as well, and near it |phi - phi*| is the distance on the circle. So the
    band of the settling time is one on e^{i phi}. `full_scale` is 1 rad: a phase error of x changes a quadrature
    cos phi, sin phi by at most x.

    Args:
        W: (N, N) [rad per tau]. Couplings; positive pulls together.
        U, b, detuning, tuning, shil, tau_s: see `OscillatorCore`.

    Raises:
        InputError: if shapes or dtypes disagree or anything is not finite.

    Source: R. Adler, Proc. IRE 34:351 (1946), one oscillator; Y. Kuramoto, LNP 39:420 (1975); H. Sakaguchi,
    Y. Kuramoto, Prog. Theor. Phys. 76:576 (1986), the lag; T. Wang, J. Roychowdhury, UCNC 2019 (arXiv:1903.07163),
    sub-harmonic injection.
    """

    work_buffers: int = 4
    turn: float = 2 * math.pi

    def __init__(
        self,
        W: Tensor,
        U: Tensor | None = None,
        b: Tensor | None = None,
        *,
        detuning: Tensor | None = None,
        tuning: Tensor | None = None,
        shil: float = 0.0,
        tau_s: float = 1e-9,
    ) -> None:
        super().__init__(W, U, b, detuning, tuning, shil, tau_s)

    @property
    def n_nodes(self) -> int:
        """How many states there are: one phase per oscillator."""
        return self.n_oscillators

    def drive(self, u: Tensor) -> PhaseDrive:
        """(batch, input) -> injections and detunings, computed once per settle."""
        pairs = self.injection(u, self.U, self.b).unflatten(1, (-1, 2))
        detuning = self.detunings(u, self.detuning, self.tuning)
        return PhaseDrive(pairs[..., 0].contiguous(), u.new_zeros(u.shape[0], 0), pairs[..., 1].contiguous(), detuning)

    def initial_state(self, drive: Drive) -> Tensor:
        """(batch, node): oscillators released together, in phase with the reference."""
        return torch.zeros_like(drive.current)

    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dz/ds into `dz`: sin(phi_j - phi_i) for a dense W is two products with W, not N^2 sines."""
        outside = _phase_drive(drive)
        cos, sin = torch.cos(z, out=work[0]), torch.sin(z, out=work[1])
        if self.edges is None and not self.W.is_complex():
            batch, n = z.shape
            torch.mm(work[:2].view(2 * batch, n), self.W.T, out=work[2:4].view(2 * batch, n))
            x, y = work[2], work[3]
        else:
            x, y = couple(self.W, self.edges, cos, sin)
        x, y = torch.add(x, outside.current, out=work[2]), torch.add(y, outside.quadrature, out=work[3])
        torch.mul(cos, y, out=dz).addcmul_(sin, x, value=-1).add_(outside.detuning)
        if self.shil:
            dz.addcmul_(sin, cos, value=-2 * self.shil)

    def flow(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """dz/ds with every tensor of `trainable` handed in, for automatic differentiation."""
        W, U, b, detuning, tuning = parameters
        pairs = self.injection(u, U, b).unflatten(1, (-1, 2))
        return self._motion(z, W, pairs[..., 0], pairs[..., 1], self.detunings(u, detuning, tuning))

    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, node): F(z) = z + dz/ds."""
        outside = _phase_drive(drive)
        return z + self._motion(z, self.W, outside.current, outside.quadrature, outside.detuning)

    def _motion(self, z: Tensor, W: Tensor, in_phase: Tensor, quadrature: Tensor, detuning: Tensor) -> Tensor:
        cos, sin = torch.cos(z), torch.sin(z)
        x, y = couple(W, self.edges, cos, sin)
        return detuning + cos * (y + quadrature) - sin * (x + in_phase) - 2 * self.shil * sin * cos

    def linearise(self, z: Tensor, drive: Drive) -> "PhaseLinearisation":
        """The Jacobian of F at z."""
        outside = _phase_drive(drive)
        cos, sin = torch.cos(z), torch.sin(z)
        x, y = couple(self.W, self.edges, cos, sin)
        pull = cos * (x + outside.current) + sin * (y + outside.quadrature) + 2 * self.shil * (cos * cos - sin * sin)
        return PhaseLinearisation(cos, sin, 1 - pull, self.W, self.edges)

    def energy(self, z: Tensor) -> Tensor:
        """(batch,) [1]. -1/2 sum_ij W_ij cos(phi_i - phi_j) - (K_s / 2) sum cos 2 phi_i, which never rises.

        dphi/ds = -grad E for a symmetric real W without injection and detuning.

        Raises:
            InputError: where there is no such function of the phases: detuned, injected, or W not symmetric.
        """
        driven = [t for t in (self.U, self.b, self.detuning, self.tuning) if bool((t != 0).any())]
        if driven or not self.is_symmetric():
            raise InputError("an energy exists for a real, symmetric W without detuning and injection only")
        return self.potential(z, z.new_zeros(z.shape[0], self.n_inputs), *self.trainable())

    def potential(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """(batch,) [1]. E of the unwrapped phases, with every tensor of `trainable` handed in; dphi/ds = -grad E.

        E = -1/2 sum_ij W_ij cos(phi_i - phi_j) - sum_i (p_i cos phi_i + q_i sin phi_i) - (K_s / 2) sum cos 2 phi_i
        - sum_i delta_i phi_i, for a real symmetric W, see `is_symmetric`.
        """
        W, U, b, detuning, tuning = parameters
        in_phase, quadrature = self.injection(u, U, b).unflatten(1, (-1, 2)).unbind(2)
        cos, sin = torch.cos(z), torch.sin(z)
        x, y = couple(W, self.edges, cos, sin)
        coupled = cos * (0.5 * x + in_phase) + sin * (0.5 * y + quadrature)
        locked = 0.5 * self.shil * (cos * cos - sin * sin)
        return -(coupled + locked + self.detunings(u, detuning, tuning) * z).sum(1)

    def is_symmetric(self) -> bool:
        """Whether W is real and symmetric, so that the flow falls down a potential."""
        W = dense_coupling(self.W.detach(), self.edges)
        return not W.is_complex() and bool(torch.allclose(W, W.T, atol=1e-6 * float(W.abs().max())))

    def rotation(self, z: Tensor) -> Tensor:
        """(batch, node): every phase grows by one radian per radian."""
        return torch.ones_like(z)

    def rotation_part(self, v: Tensor) -> Tensor:
        """Zero: phases shift."""
        return torch.zeros_like(v)

    def rotation_part_transposed(self, v: Tensor) -> Tensor:
        """Zero: phases shift."""
        return torch.zeros_like(v)

    def pinned_node(self, oscillator: int) -> int:
        """The oscillator's own phase."""
        return oscillator


@final
@dataclass(frozen=True)
class PhaseLinearisation:
    """J = diag(own) + Re[ e^{-i phi_i} W_ij e^{i phi_j} ] at one state per sample."""

    cos: Tensor
    sin: Tensor
    own: Tensor
    W: Tensor
    edges: Edges | None

    def matvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J v."""
        x, y = couple(self.W, self.edges, self.cos * v, self.sin * v)
        return self.own * v + self.cos * x + self.sin * y

    def rmatvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J^T v."""
        x, y = couple_adjoint(self.W, self.edges, self.cos * v, self.sin * v)
        return self.own * v + self.cos * x + self.sin * y

    def dense(self) -> Tensor:
        """(batch, node, node): J."""
        phasor = torch.complex(self.cos, self.sin)
        W = dense_coupling(self.W, self.edges).to(phasor.dtype)
        return (phasor.conj().unsqueeze(2) * W * phasor.unsqueeze(1)).real + torch.diag_embed(self.own)


def _phase_drive(drive: Drive) -> PhaseDrive:
    if not isinstance(drive, PhaseDrive):
        raise TypeError(f"a PhaseCore takes the drive it made itself, not a {type(drive).__name__}")
    return drive
