"""The RC core in devices that are no resistors: a pre-activation with square and cubic parts."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.check import undefined_where_infinite
from analogdeq.cores.core import Drive
from analogdeq.cores.network import SaturatingNetwork

Powers = tuple[Tensor, ...]
"""What multiplies x, x^2 and x^3, all of one shape."""


@final
class CubicCore(SaturatingNetwork):
    """An RC network whose weights bend: tau dz/dt = -z + a phi(W1 z + W2 z^2 + W3 z^3 + U1 u + U2 u^2 + U3 u^3 + b).

    Args:
        W: three of (node, node) [1]. Feedback.
        U: three of (node, input) [1]. Inputs.
        b: (node,) [1]. Biases.
        activation: a name in `ACTIVATIONS`.
        tau_s: [s]. Time constant.
        gain: [1]. a in the equation.

    Source: Kirchhoff's current law with I = G V + S V^2 + C V^3 in every device (docs/devices.md).
    """

    def __init__(
        self, W: Powers, U: Powers, b: Tensor, *, activation: str = "tanh", tau_s: float = 1e-8, gain: float = 1.0
    ) -> None:
        super().__init__((W[0], U[0], b), W[0].shape[0], activation, tau_s, gain)
        self._square, self._cube, self._inputs = W[1], W[2], U

    @property
    def n_nodes(self) -> int:
        """How many states there are."""
        return self.W.shape[0]

    @property
    def n_inputs(self) -> int:
        """How many inputs drive them."""
        return self.U.shape[1]

    def drive(self, u: Tensor) -> Drive:
        """U1 u + U2 u^2 + U3 u^3 + b, computed once per settle."""
        u = undefined_where_infinite(u)
        U1, U2, U3 = self._inputs
        current = torch.addmm(self.b, u, U1.T) + (u * u) @ U2.T + (u * u * u) @ U3.T
        return Drive(current, u.new_zeros(u.shape[0], 0))

    def preactivation(self, z: Tensor, current: Tensor, out: Tensor | None = None) -> Tensor:
        """(batch, node) [1]. W1 z + W2 z^2 + W3 z^3 + the drive."""
        square = z * z
        p = torch.addmm(current, z, self.W.T, out=out)
        return p.addmm_(square, self._square.T).addmm_(square.mul_(z), self._cube.T)

    def preactivation_with(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """(batch, node) [1]. p with W1, U1 and b handed in; the bent parts stay as they are."""
        W, U, b = parameters
        bent_z = (z * z) @ self._square.T + (z * z * z) @ self._cube.T
        bent_u = (u * u) @ self._inputs[1].T + (u * u * u) @ self._inputs[2].T
        return z @ W.T + u @ U.T + b + bent_z + bent_u

    def linearise(self, z: Tensor, drive: Drive) -> "CubicLinearisation":
        """J = a D (W1 + 2 W2 diag(z) + 3 W3 diag(z^2))."""
        return CubicLinearisation(self.slope(z, drive), z, self.W, self._square, self._cube)

    def feedback_gap(self, slope: float) -> float:
        """max(0, 1 - slope (||W1|| + 2 m ||W2|| + 3 m^2 ||W3||)), m the full scale no state leaves; 0 without one."""
        if not self.activation.is_bounded:
            return 0.0
        m = self.full_scale
        norms = [float(torch.linalg.matrix_norm(W.detach(), 2)) for W in (self.W, self._square, self._cube)]
        return max(0.0, 1 - slope * (norms[0] + 2 * m * norms[1] + 3 * m * m * norms[2]))


@final
@dataclass(frozen=True)
class CubicLinearisation:
    """J = diag(slope) (W1 + 2 W2 diag(z) + 3 W3 diag(z^2)) at one state per sample."""

    slope: Tensor
    z: Tensor
    W: Tensor
    square: Tensor
    cube: Tensor

    def matvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J v."""
        zv = self.z * v
        return self.slope * (v @ self.W.T + 2 * zv @ self.square.T + 3 * (self.z * zv) @ self.cube.T)

    def rmatvec(self, v: Tensor) -> Tensor:
        """(batch, node) -> (batch, node): J^T v."""
        sv = self.slope * v
        return sv @ self.W + 2 * self.z * (sv @ self.square) + 3 * self.z.square() * (sv @ self.cube)

    def dense(self) -> Tensor:
        """(batch, node, node): J."""
        z = self.z.unsqueeze(1)
        return self.slope.unsqueeze(-1) * (self.W + 2 * self.square * z + 3 * self.cube * z * z)
