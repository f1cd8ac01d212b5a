"""The RC core in its virtual-ground form: tau dz/dt = -z + phi(W z + U u + b)."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from analogdeq.cores.check import check_weight, undefined_where_infinite
from analogdeq.cores.core import Drive
from analogdeq.cores.gap import contraction_gap
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.errors import InputError


@final
class RCCore(SaturatingNetwork):
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
        _check_weights(W, U, b)
        if not isinstance(W, nn.Parameter):
            W = W.T.contiguous().T  # by columns: products with a batch are a tenth faster, with few samples a third
        super().__init__((W, U, b), W.shape[0], activation, tau_s, gain)

    @property
    def n_nodes(self) -> int:
        """How many states there are."""
        return self.b.shape[0]

    @property
    def n_inputs(self) -> int:
        """How many inputs drive them."""
        return self.U.shape[1]

    def drive(self, u: Tensor) -> Drive:
        """U u + b, computed once per settle."""
        u = undefined_where_infinite(u)
        return Drive(torch.addmm(self.b, u, self.U.T), u.new_zeros(u.shape[0], 0))

    def preactivation(self, z: Tensor, current: Tensor, out: Tensor | None = None) -> Tensor:
        """(batch, node) [1]. p = W z + U u + b."""
        if out is None:
            return torch.addmm(current, z, self.W.T)
        return torch.mm(z, self.W.T, out=out).add_(current)  # a fifth faster than addmm, which copies first

    def preactivation_with(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """(batch, node) [1]. p with every tensor of `trainable` handed in, for automatic differentiation."""
        W, U, b = parameters
        return z @ W.T + u @ U.T + b

    def linearise(self, z: Tensor, drive: Drive) -> "RCLinearisation":
        """J = a D W with D = diag(phi'(p)) at each sample's state."""
        return RCLinearisation(self.slope(z, drive), self.W)

    def feedback_gap(self, slope: float) -> float:
        """max(0, 1 - slope ||W||_2) by singular values."""
        W = self.W.detach()
        start = torch.full((W.shape[1],), W.shape[1] ** -0.5, dtype=W.dtype, device=W.device)
        return contraction_gap(
            slope, W.__matmul__, W.T.__matmul__, start, lambda: float(torch.linalg.matrix_norm(W, 2))
        )


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


def _check_weights(W: Tensor, U: Tensor, b: Tensor) -> None:
    for name, value, n_dims in (("W", W, 2), ("U", U, 2), ("b", b, 1)):
        check_weight(name, value, (n_dims,), W)
    if W.shape[0] != W.shape[1] or W.shape[0] == 0:
        raise InputError(f"W must be square and not empty, got shape {tuple(W.shape)}")
    if U.shape[0] != W.shape[0] or b.shape[0] != W.shape[0]:
        raise InputError(
            f"W is for {W.shape[0]} nodes, but U has shape {tuple(U.shape)} and b {tuple(b.shape)}; "
            f"want (node, input) and (node,)"
        )
