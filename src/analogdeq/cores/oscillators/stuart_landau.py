"""Stuart-Landau oscillators: amplitude and phase near a Hopf bifurcation, in the frame of the reference."""

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
class AmplitudeDrive(Drive):
    """What acts on the amplitudes from outside. `current` holds Re F, Im F of each oscillator in turn.

    Attributes:
        detuning: (batch, oscillator) [rad per tau].
    """

    detuning: Tensor

    def rows(self, index: Tensor) -> "AmplitudeDrive":
        """The drive of some samples."""
        return AmplitudeDrive(self.current[index], self.standing_power_W[index], self.detuning[index])


@final
class StuartLandauCore(OscillatorCore):
    """Oscillators with a complex amplitude a_i each, averaged over the carrier, which is never integrated.

    da_i/ds = (mu_i + i delta_i - (1 + i alpha) |a_i|^2) a_i + sum_j W_ij a_j + F_i + K_s conj(a_i)

    with F = U u + b. The state holds Re a_i at 2 i and Im a_i at 2 i + 1. alpha = 0 is isochronous: the frequency does
    not depend on the amplitude. Free-running amplitude sqrt(mu), relaxing at the rate 2 mu.

    Args:
        W: (N, N) [1]. Couplings, real or complex.
        U, b, detuning, tuning, shil, tau_s: see `OscillatorCore`.
        mu: [1]. Linear gain, one number or (N,) of them; an oscillator with mu <= 0 only follows what drives it.
        shear: [1]. alpha.

    Raises:
        InputError: if shapes or dtypes disagree or anything is not finite.

    Source: Y. Kuramoto, Chemical Oscillations, Waves, and Turbulence (Springer 1984), the normal form.
    """

    work_buffers: int = 1
    mu: Tensor

    def __init__(
        self,
        W: Tensor,
        U: Tensor | None = None,
        b: Tensor | None = None,
        *,
        mu: float | Tensor = 1.0,
        shear: float = 0.0,
        detuning: Tensor | None = None,
        tuning: Tensor | None = None,
        shil: float = 0.0,
        tau_s: float = 1e-9,
    ) -> None:
        super().__init__(W, U, b, detuning, tuning, shil, tau_s)
        gain = torch.as_tensor(mu, dtype=self.dtype, device=self.device).detach().clone()
        if gain.ndim > 1 or (gain.ndim == 1 and gain.shape[0] != self.n_oscillators):
            raise InputError(f"mu must be one number or one per oscillator ({self.n_oscillators}), got {gain.shape}")
        if not bool(torch.isfinite(gain).all()) or not (abs(shear) < float("inf")):
            raise InputError(f"mu and shear must be finite, got mu = {mu} and shear = {shear}")
        self.register_buffer("mu", gain.expand(self.n_oscillators).clone())
        self.shear = float(shear)

    @property
    def full_scale(self) -> float:  # type: ignore[override]
        """The largest free-running amplitude; 1 where nothing oscillates by itself."""
        largest = float(self.mu.max())
        return largest**0.5 if largest > 0 else 1.0

    @property
    def n_nodes(self) -> int:
        """How many states there are: two per oscillator."""
        return 2 * self.n_oscillators

    def drive(self, u: Tensor) -> AmplitudeDrive:
        """(batch, input) -> injections and detunings, computed once per settle."""
        return AmplitudeDrive(
            self.injection(u, self.U, self.b),
            u.new_zeros(u.shape[0], 0),
            self.detunings(u, self.detuning, self.tuning),
        )

    def initial_state(self, drive: Drive) -> Tensor:
        """(batch, node): running freely, released together in phase with the reference."""
        start = torch.zeros_like(drive.current)
        start[:, ::2] = self.mu.clamp_min(0).sqrt()
        return start

    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dz/ds into `dz`."""
        dz.copy_(self._motion(z, self.W, drive.current, _amplitude_drive(drive).detuning))

    def flow(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """dz/ds with every tensor of `trainable` handed in, for automatic differentiation."""
        W, U, b, detuning, tuning = parameters
        return self._motion(z, W, self.injection(u, U, b), self.detunings(u, detuning, tuning))

    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, node): F(z) = z + dz/ds."""
        return z + self._motion(z, self.W, drive.current, _amplitude_drive(drive).detuning)

    def _motion(self, z: Tensor, W: Tensor, injection: Tensor, detuning: Tensor) -> Tensor:
        x, y = _parts(z)
        felt_x, felt_y = couple(W, self.edges, x, y)
        squared = x * x + y * y
        grow = self.mu - squared
        turn = detuning - self.shear * squared
        real = (grow + self.shil) * x - turn * y + felt_x
        imaginary = turn * x + (grow - self.shil) * y + felt_y
        return _joined(real, imaginary) + injection

    def linearise(self, z: Tensor, drive: Drive) -> "AmplitudeLinearisation":
        """The Jacobian of F at z."""
        x, y = _parts(z)
        squared = x * x + y * y
        # d[(c - (1 + i alpha)|a|^2) a] = (c - 2 (1 + i alpha)|a|^2) da - (1 + i alpha) a^2 conj(da)
        own = torch.complex(1 + self.mu - 2 * squared, _amplitude_drive(drive).detuning - 2 * self.shear * squared)
        swirl = complex(1, self.shear)
        return AmplitudeLinearisation(own, self.shil - swirl * torch.complex(x, y).square(), self.W, self.edges)

    def amplitudes(self, z: Tensor) -> Tensor:
        """(batch, oscillator): |a_i|."""
        x, y = _parts(z)
        return (x * x + y * y).sqrt()

    def rotation(self, z: Tensor) -> Tensor:
        """(batch, node): i a."""
        return self.rotation_part(z)

    def rotation_part(self, v: Tensor) -> Tensor:
        """(batch, node): i v."""
        x, y = _parts(v)
        return _joined(-y, x)

    def rotation_part_transposed(self, v: Tensor) -> Tensor:
        """(batch, node): -i v."""
        return -self.rotation_part(v)

    def pinned_node(self, oscillator: int) -> int:
        """The imaginary part of its amplitude."""
        return 2 * oscillator + 1


@final
@dataclass(frozen=True)
class AmplitudeLinearisation:
    """J v = own v + swap conj(v) + W v, v complex, at one state per sample."""

    own: Tensor
    swap: Tensor
    W: Tensor
    edges: Edges | None

    def matvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J v."""
        x, y = _parts(v)
        a = torch.complex(x, y)
        image = self.own * a + self.swap * a.conj() + torch.complex(*couple(self.W, self.edges, x, y))
        return _joined(image.real, image.imag)

    def rmatvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J^T v. The transpose of v -> s conj(v) is itself."""
        x, y = _parts(v)
        a = torch.complex(x, y)
        image = self.own.conj() * a + self.swap * a.conj()
        image = image + torch.complex(*couple_adjoint(self.W, self.edges, x, y))
        return _joined(image.real, image.imag)

    def dense(self) -> Tensor:
        """(batch, node, node): J."""
        W = dense_coupling(self.W, self.edges).to(self.own.dtype)
        linear, swap = W + torch.diag_embed(self.own), torch.diag_embed(self.swap)
        top = torch.stack((linear.real + swap.real, swap.imag - linear.imag), -1)
        bottom = torch.stack((linear.imag + swap.imag, linear.real - swap.real), -1)
        return torch.stack((top, bottom), 2).flatten(3).flatten(1, 2)


def _parts(z: Tensor) -> tuple[Tensor, Tensor]:
    return z[:, ::2], z[:, 1::2]


def _joined(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack((x, y), -1).flatten(1)


def _amplitude_drive(drive: Drive) -> AmplitudeDrive:
    if not isinstance(drive, AmplitudeDrive):
        raise TypeError(f"a StuartLandauCore takes the drive it made itself, not a {type(drive).__name__}")
    return drive
