"""The RC core in its virtual-ground form: tau dz/dt = -z + phi(W z + U u + b)."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from analogdeq.cores.activation import Activation, activation_named
from analogdeq.cores.core import Drive
from analogdeq.errors import InputError


@final
class RCCore(nn.Module):
    """An RC network whose state is the voltage of a node placed after each saturating amplifier.

    tau_i dz_i/dt = -z_i + a phi(W z + U u + b)_i                          (state after activation; a = `gain`)

    Weights do not load the nodes, because the crossbar is read into virtual grounds. A node with a leak G_L beside its
    resistor R has a = 1 / (1 + R G_L) and tau = R C a.

    Args:
        W: (node, node) [1]. Feedback weights. A `nn.Parameter` is trained, a tensor is not.
        U: (node, input) [1]. Input weights.
        b: (node,) [1]. Biases.
        activation: a name in `ACTIVATIONS`.
        tau_s: [s]. Time constant, one number or (node,) of them; > 0.
        gain: [1]. a in the equation; > 0.

    Raises:
        InputError: if shapes or dtypes disagree, anything is not finite, or a time constant is not positive.

    Source: Hopfield, PNAS 81:3088 (1984) for the circuit; this form keeps z behind the amplifier (docs/equations.md).
    """

    W: Tensor
    U: Tensor
    b: Tensor
    power_terms: tuple[str, ...] = ()
    work_buffers: int = 0

    def __init__(
        self,
        W: Tensor,
        U: Tensor,
        b: Tensor,
        *,
        activation: str = "tanh",
        tau_s: float | Tensor = 1e-8,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        _check_weights(W, U, b)
        self.activation: Activation = activation_named(activation)
        self.gain = float(gain)
        if not (0 < self.gain < float("inf")):
            raise InputError(f"gain = {gain!r} must be a positive number")
        for name, value in (("W", W), ("U", U), ("b", b)):
            if isinstance(value, nn.Parameter):
                self.register_parameter(name, value)
            else:
                self.register_buffer(name, value)
        self._gap, self._gap_of = 0.0, (0, -1)
        taus = _check_tau(tau_s, W.shape[0])
        self._tau_s = float(taus.max())
        spread = self._tau_s / taus
        self.register_buffer("_rate", None if bool((spread == 1).all()) else spread.to(W), persistent=False)

    @property
    def n_nodes(self) -> int:
        """How many states there are."""
        return self.W.shape[0]

    @property
    def n_inputs(self) -> int:
        """How many inputs drive them."""
        return self.U.shape[1]

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
        return self.W.dtype

    @property
    def device(self) -> torch.device:
        """Where the state lives."""
        return self.W.device

    def drive(self, u: Tensor) -> Drive:
        """U u + b, computed once per settle."""
        return Drive(torch.addmm(self.b, u, self.U.T), u.new_zeros(u.shape[0], 0))

    def initial_state(self, drive: Drive) -> Tensor:
        """Discharged capacitors."""
        return torch.zeros_like(drive.current)

    def preactivation(self, z: Tensor, current: Tensor, out: Tensor | None = None) -> Tensor:
        """(batch, node) [1]. p = W z + U u + b."""
        return torch.addmm(current, z, self.W.T, out=out)

    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dz/ds into `dz`; an ideal core has no watts, so `power_W` has no columns."""
        self.motion(z, self.preactivation(z, drive.current, out=dz), out=dz)
        if self.rate is not None:
            dz.mul_(self.rate)

    def motion(self, z: Tensor, p: Tensor, out: Tensor) -> Tensor:
        """(batch, node) [1]. F - z from the pre-activation; `out` may be `p`."""
        self.activation.function(p, out=out)
        if self.gain != 1.0:
            out.mul_(self.gain)
        return out.sub_(z)

    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, node) [1]. F(z) = a phi(W z + U u + b)."""
        return self.gain * self.activation.function(self.preactivation(z, drive.current))

    def trainable(self) -> tuple[Tensor, Tensor, Tensor]:
        """W, U and b."""
        return self.W, self.U, self.b

    def map_with(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """F(z; u) with every tensor of `trainable` handed in, for automatic differentiation."""
        W, U, b = parameters
        return self.gain * self.activation.function(z @ W.T + u @ U.T + b)

    def linearise(self, z: Tensor, drive: Drive) -> "RCLinearisation":
        """J = a D W with D = diag(phi'(p)) at each sample's state."""
        p = self.preactivation(z, drive.current)
        return RCLinearisation(self.gain * self.activation.slope(p, self.activation.function(p)), self.W)

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        # A sum is finite only if all of its terms are, and costs one pass.
        return all(bool(torch.isfinite(p.detach().sum())) for p in (self.W, self.U, self.b))

    def contraction_gap(self) -> float:
        """1 - a max phi' ||W||_2, or 0 where that is negative; remembered until W changes."""
        key = (self.W.data_ptr(), self.W._version)
        if self._gap_of != key:
            self._gap = _contraction_gap(self.W.detach(), self.gain * self.activation.max_slope)
            self._gap_of = key
        return self._gap


@final
@dataclass(frozen=True)
class RCLinearisation:
    """J = diag(slope) W at one state per sample, never materialised unless `dense` is asked for."""

    slope: Tensor
    W: Tensor

    def matvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J v."""
        return self.slope * (v @ self.W.T)

    def rmatvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J^T v."""
        return (self.slope * v) @ self.W

    def dense(self) -> Tensor:
        """(batch, node, node): J."""
        return self.slope.unsqueeze(-1) * self.W


def _contraction_gap(W: Tensor, slope: float) -> float:
    """max(0, 1 - slope ||W||_2).

    A few power iterations bound ||W||_2 from below at the cost of matrix-vector products, which settles most cores
    that are no contraction; only the others need the singular values.
    """
    v = torch.full((W.shape[1],), W.shape[1] ** -0.5, dtype=W.dtype, device=W.device)
    lower = 0.0
    for _ in range(8):
        image = W.T @ (W @ v)
        lower = float(torch.linalg.vector_norm(image)) ** 0.5
        if not lower * slope < 1:
            return 0.0
        v = image / max(lower * lower, 1e-30)
    return max(0.0, 1 - slope * float(torch.linalg.matrix_norm(W, 2)))


def _check_weights(W: Tensor, U: Tensor, b: Tensor) -> None:
    for name, value, n_dims in (("W", W, 2), ("U", U, 2), ("b", b, 1)):
        if not isinstance(value, Tensor):
            raise InputError(f"{name} must be a torch tensor, not {type(value).__name__}")
        if value.ndim != n_dims:
            raise InputError(f"{name} must have {n_dims} dimensions, got shape {tuple(value.shape)}")
        if value.dtype not in (torch.float32, torch.float64):
            raise InputError(
                f"{name} must be float32 or float64, got {value.dtype}; half precision cannot resolve a settle"
            )
        if value.dtype != W.dtype:
            raise InputError(f"{name} is {value.dtype} but W is {W.dtype}; use one dtype")
        if not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            raise InputError(f"{name} has {bad} entries that are NaN or infinite; a chip cannot store them")
    if W.shape[0] != W.shape[1] or W.shape[0] == 0:
        raise InputError(f"W must be square and not empty, got shape {tuple(W.shape)}")
    if U.shape[0] != W.shape[0] or b.shape[0] != W.shape[0]:
        raise InputError(
            f"W is for {W.shape[0]} nodes, but U has shape {tuple(U.shape)} and b {tuple(b.shape)}; "
            f"want (node, input) and (node,)"
        )


def _check_tau(tau_s: float | Tensor, n_nodes: int) -> Tensor:
    """(node,) float64 on the CPU."""
    taus = torch.as_tensor(tau_s, dtype=torch.float64).detach().cpu()
    if taus.ndim > 1 or (taus.ndim == 1 and taus.shape[0] != n_nodes):
        raise InputError(f"tau_s must be one number or one per node ({n_nodes}), got shape {tuple(taus.shape)}")
    if not bool((torch.isfinite(taus) & (taus > 0)).all()):
        raise InputError(f"tau_s must be positive and finite, got {taus.min().item():g} s at the least")
    return taus.expand(n_nodes)
