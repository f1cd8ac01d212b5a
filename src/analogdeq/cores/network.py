"""What all RC cores share: a leaky node behind a saturating amplifier, whatever its weights look like."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from analogdeq.cores.activation import Activation, activation_named
from analogdeq.cores.check import check_gain, check_tau
from analogdeq.cores.core import Drive, Linearisation


class SaturatingNetwork(nn.Module, ABC):
    """tau_i dz_i/dt = -z_i + a phi(p)_i with a pre-activation p = W z + U u + b that is linear in z and u.

    A core of this kind says how W and U act (`preactivation`, `preactivation_with`, `drive`, `linearise`) and how large
    W can be (`feedback_gap`); everything else is here.

    Args:
        weights: W, U and b. A `nn.Parameter` is trained, a tensor is not.
        n_nodes: how many states there are.
        activation: a name in `ACTIVATIONS`.
        tau_s: [s]. Time constant, one number or (node,) of them; > 0.
        gain: [1]. a in the equation; > 0.

    Raises:
        InputError: for an unknown activation, a gain or a time constant that is not positive.
    """

    W: Tensor
    U: Tensor
    b: Tensor
    power_terms: tuple[str, ...] = ()
    work_buffers: int = 0

    def __init__(
        self,
        weights: tuple[Tensor, Tensor, Tensor],
        n_nodes: int,
        activation: str,
        tau_s: float | Tensor,
        gain: float,
    ) -> None:
        super().__init__()
        self.activation: Activation = activation_named(activation)
        self.gain = check_gain(gain)
        for name, value in zip("WUb", weights, strict=True):
            if isinstance(value, nn.Parameter):
                self.register_parameter(name, value)
            else:
                self.register_buffer(name, value)
        self._gap = 0.0
        self._gap_of: tuple[Tensor | None, int] = (None, -1)
        taus = check_tau(tau_s, n_nodes)
        self._tau_s = float(taus.max())
        spread = taus.max() / taus  # not number / tensor, which multiplies by a rounded reciprocal
        self.register_buffer("_rate", None if bool((spread == 1).all()) else spread.to(self.W), persistent=False)

    @property
    @abstractmethod
    def n_nodes(self) -> int:
        """How many states there are."""

    @property
    @abstractmethod
    def n_inputs(self) -> int:
        """How many inputs drive them."""

    @abstractmethod
    def drive(self, u: Tensor) -> Drive:
        """U u + b, computed once per settle."""

    @abstractmethod
    def preactivation(self, z: Tensor, current: Tensor, out: Tensor | None = None) -> Tensor:
        """(batch, node) [1]. p = W z + U u + b."""

    @abstractmethod
    def preactivation_with(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """(batch, node) [1]. p with every tensor of `trainable` handed in, for automatic differentiation."""

    @abstractmethod
    def linearise(self, z: Tensor, drive: Drive) -> Linearisation:
        """J = a D W with D = diag(phi'(p)) at each sample's state."""

    @abstractmethod
    def feedback_gap(self, slope: float) -> float:
        """max(0, 1 - slope ||W||_2), with ||W||_2 or an upper bound of it."""

    @property
    def full_scale(self) -> float:
        """The largest |z| of a saturated node; 1 where nothing saturates."""
        return self.gain if self.activation.is_bounded else 1.0

    @property
    def tau_s(self) -> float:
        """The unit of dimensionless time [s]: the slowest node's time constant."""
        return self._tau_s

    @property
    def rate(self) -> Tensor | None:
        """(node,) [1]. `tau_s` over each node's time constant; None where all are equal."""
        rate = self._rate
        return rate if isinstance(rate, Tensor) else None

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the state."""
        return self.b.dtype

    @property
    def device(self) -> torch.device:
        """Where the state lives."""
        return self.b.device

    def initial_state(self, drive: Drive) -> Tensor:
        """Discharged capacitors."""
        return torch.zeros_like(drive.current)

    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dz/ds into `dz`; an ideal core has no watts, so `power_W` has no columns."""
        self.motion(z, self.preactivation(z, drive.current, out=dz), out=dz)
        rate = self.rate
        if rate is not None:
            dz.mul_(rate)

    def motion(self, z: Tensor, p: Tensor, out: Tensor) -> Tensor:
        """(batch, node) [1]. F - z from the pre-activation; `out` may be `p`."""
        self.activation.function(p, out=out)
        if self.gain != 1.0:
            out.mul_(self.gain)
        return out.sub_(z)

    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, node) [1]. F(z) = a phi(W z + U u + b)."""
        p = self.preactivation(z, drive.current)
        return self.respond(p, out=None if p.requires_grad else p)

    def respond(self, p: Tensor, out: Tensor | None = None) -> Tensor:
        """(batch, node) [1]. a phi(p); `out` may be `p`."""
        image = self.activation.function(p, out=out)
        return image if self.gain == 1.0 else self.gain * image

    def map_with(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """F(z; u) with every tensor of `trainable` handed in, for automatic differentiation."""
        return self.gain * self.activation.function(self.preactivation_with(z, u, *parameters))

    def trainable(self) -> tuple[Tensor, Tensor, Tensor]:
        """W, U and b."""
        return self.W, self.U, self.b

    def slope(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, node) [1]. a phi'(p), the diagonal factor of the Jacobian."""
        p = self.preactivation(z, drive.current)
        return self.gain * self.activation.slope(p, self.activation.function(p))

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(_is_finite(p.detach()) for p in (self.W, self.U, self.b))

    def contraction_gap(self) -> float:
        """1 - a max phi' ||W||_2, or 0 where that is negative; remembered until W changes."""
        W = self.W
        if W.is_inference():  # a parametrised W inside a settle: nothing by which to know it again
            return self.feedback_gap(self.gain * self.activation.max_slope)
        known, version = self._gap_of
        # The W of the gap is kept, so that no other can lie at its address: a parametrised W is new at every access.
        if known is None or known.data_ptr() != W.data_ptr() or version != W._version:
            self._gap = self.feedback_gap(self.gain * self.activation.max_slope)
            self._gap_of = (W.detach(), W._version)
        return self._gap


def _is_finite(x: Tensor) -> bool:
    """Whether every entry is finite; one pass, but for entries so large that their sum overflows."""
    return math.isfinite(x.sum().item()) or bool(torch.isfinite(x).all())
