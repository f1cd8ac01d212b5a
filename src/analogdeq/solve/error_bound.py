"""How far a state is from an equilibrium at the most: proven in double precision, whatever precision settled it.

Two proofs. If F is a contraction everywhere, ||z - z*|| <= ||F(z) - z|| / (1 - L). Otherwise the theorem of Newton and
Kantorovich shows an equilibrium next to z and bounds its distance, from the inverse of I - J at z and from how fast J
can change: the local spectral gap takes the place of the global one.
"""

import enum
import math
from functools import singledispatch
from typing import final

import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.cores.conv import ConvCore
from analogdeq.cores.core import Core, Drive
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.cores.rc import RCCore
from analogdeq.linalg.one_thread import one_thread
from analogdeq.solve.kinks import KINKS

LOCAL_NODES = 256
"""Networks with more nodes get no local bound: it takes an inverse, node^3 work, for every sample."""
CURVATURE = {"tanh": 4 / (3 * math.sqrt(3)), "sigmoid": 1 / (6 * math.sqrt(3))}
"""max |phi''|; the other activations have none between their kinks."""
_CHUNK = 64
"""Samples whose dense Jacobians are held at a time."""
_EPS = torch.finfo(torch.float64).eps


class Bound(enum.IntEnum):
    """Which proof an error bound rests on."""

    NONE = 0
    """None holds: the bound is NaN."""
    GLOBAL = 1
    """F is a contraction, and its one equilibrium is that near."""
    LOCAL = 2
    """An equilibrium is that near (Newton and Kantorovich); there may be others farther away."""


@final
class ErrorBounds:
    """Bounds of a settle's states, computed when first asked for.

    Source: L. V. Kantorovich, Uspekhi Mat. Nauk 3:89 (1948), for the local one.
    """

    def __init__(self, core: Core, drive: Drive, u: Tensor, z: Tensor, residual: Tensor) -> None:
        """Nothing is computed yet.

        Args:
            core: the network that settled.
            drive: its drive.
            u: (batch, input) [1].
            z: (batch, node) [1].
            residual: (batch,) float64. max |F(z) - z| as the settle found it.
        """
        self._core, self._drive, self._u = core, drive, u.detach().clone()
        self._z, self._residual = z, residual
        self._known: tuple[Tensor, Tensor] | None = None

    @classmethod
    def given(cls, value: Tensor, kind: Tensor) -> "ErrorBounds":
        """Bounds that are already known, (batch,) float64 and (batch,) uint8."""
        bounds = cls.__new__(cls)
        bounds._known = (value, kind)
        return bounds

    @property
    def value(self) -> Tensor:
        """(batch,) float64 [1]. ||z - z*||_2 is at most this; NaN where nothing is proven."""
        return self._proven()[0]

    @property
    def kind(self) -> Tensor:
        """(batch,) uint8. A `Bound` each."""
        return self._proven()[1]

    def _proven(self) -> tuple[Tensor, Tensor]:
        if self._known is None:
            self._known = self._prove()
        return self._known

    @torch.no_grad()
    def _prove(self) -> tuple[Tensor, Tensor]:
        core, z = self._core, self._z
        value = torch.full(z.shape[:1], torch.nan, dtype=torch.float64, device=z.device)
        kind = torch.full(z.shape[:1], int(Bound.NONE), dtype=torch.uint8, device=z.device)
        # A core trained on since then has other equilibria, about which the settle says nothing.
        now = core.fixed_point_map(z, self._drive) - z
        noise = 32 * torch.finfo(core.dtype).eps * core.full_scale
        if not torch.allclose(now.abs().amax(1).to(torch.float64), self._residual, rtol=0, atol=noise, equal_nan=True):
            return value, kind
        exact = in_double(core)
        if exact is None:
            return self._own_precision(now, value, kind)
        level = _level(core, self._u).to(torch.float64)
        for rows in torch.arange(z.shape[0], device=z.device).split(_CHUNK):
            value[rows], kind[rows] = _bounds(exact, level[rows], z[rows].to(torch.float64))
        return value, kind

    def _own_precision(self, residual: Tensor, value: Tensor, kind: Tensor) -> tuple[Tensor, Tensor]:
        """A core of an unknown kind is taken at its word, if that is in double precision."""
        gap = self._core.contraction_gap()
        if gap <= 0 or self._core.dtype != torch.float64:
            return value, kind
        value = torch.linalg.vector_norm(residual, dim=1) / gap
        return value, torch.where(torch.isfinite(value), int(Bound.GLOBAL), int(Bound.NONE)).to(torch.uint8)


@singledispatch
def in_double(core: Core) -> SaturatingNetwork | None:
    """The same network, its numbers exactly, computing in double precision; None for a core that cannot be copied so.

    Nodes' time constants are left out: equilibria do not depend on them.
    """
    return None


@in_double.register
def _(core: RCCore) -> SaturatingNetwork | None:
    W, U, b = (p.detach().to(torch.float64) for p in core.trainable())
    return RCCore(W, U, b, activation=core.activation.name, gain=core.gain)


@in_double.register
def _(core: ConvCore) -> SaturatingNetwork | None:
    W, U, b = (p.detach().to(torch.float64) for p in core.trainable())
    _, height, width = core.state_shape
    return ConvCore(W, U, b, height=height, width=width, activation=core.activation.name, gain=core.gain)


@in_double.register
def _(core: Chip) -> SaturatingNetwork | None:
    return in_double(core.core)


def _level(core: Core, u: Tensor) -> Tensor:
    """What of u reaches the network: a DAC's level is what it is, whatever precision computed it."""
    return core.circuit.dac.quantise(u) if isinstance(core, Chip) else u


def _bounds(core: SaturatingNetwork, u: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """(sample,) float64 and (sample,) uint8: the smaller of the two bounds, and which it is."""
    drive = core.drive(u)
    p = core.preactivation(z, drive.current)
    residual = core.gain * core.activation.function(p) - z
    rounding = _rounding(core, u, z)
    everywhere = torch.full_like(rounding, torch.inf)
    gap = core.contraction_gap() - 16 * core.n_nodes * _EPS
    if gap > 0:
        everywhere = (torch.linalg.vector_norm(residual, dim=1) + rounding) / gap
    nearby = torch.full_like(rounding, torch.inf)
    if core.n_nodes <= LOCAL_NODES:
        nearby = _kantorovich(core, drive, z, p, residual, rounding)
    best = torch.minimum(everywhere, nearby)
    is_proven = torch.isfinite(best)
    kind = torch.where(nearby < everywhere, int(Bound.LOCAL), int(Bound.GLOBAL))
    return best.masked_fill(~is_proven, torch.nan), kind.masked_fill(~is_proven, int(Bound.NONE)).to(torch.uint8)


def _rounding(core: SaturatingNetwork, u: Tensor, z: Tensor) -> Tensor:
    """(sample,): what rounding to double can have done to ||F(z) - z||_2, generously.

    A sum of n products is off by at most n eps times the sum of their magnitudes, and those are bounded by norms.
    """
    W, U, b = (torch.linalg.vector_norm(weight) * core.n_nodes**0.5 for weight in core.trainable())
    length = torch.linalg.vector_norm(z, dim=1)
    magnitude = core.gain * (W * length + U * torch.linalg.vector_norm(u, dim=1) + b) + length + core.n_nodes**0.5
    return 4 * (core.n_nodes + core.n_inputs + 4) * _EPS * magnitude


def _kantorovich(
    core: SaturatingNetwork, drive: Drive, z: Tensor, p: Tensor, residual: Tensor, rounding: Tensor
) -> Tensor:
    """(sample,): the least r with ||Y (F(z) - z)|| + delta r + beta K r^2 / 2 <= r; infinite where there is none.

    Y approximates (I - J)^-1, beta = ||Y||, delta = ||I - Y (I - J)||, and ||J(x) - J(z)|| <= K ||x - z||. Where phi
    has kinks, K = 0 as long as the ball crosses none.
    """
    jacobian = core.linearise(z, drive).dense()
    identity = torch.eye(core.n_nodes, dtype=z.dtype, device=z.device)
    with one_thread(jacobian):
        inverse, info = torch.linalg.inv_ex(identity - jacobian)
    inverse = torch.where((info == 0).view(-1, 1, 1), inverse, 0.0).nan_to_num(0.0, 0.0, 0.0)
    beta = _norm_bound(inverse)
    # Computing delta rounds too; so does the Jacobian.
    defect = torch.linalg.matrix_norm(identity - inverse @ (identity - jacobian))
    size = 1 + torch.linalg.matrix_norm(jacobian)
    defect = defect + 8 * core.n_nodes**1.5 * _EPS * beta * size
    step = torch.linalg.vector_norm((inverse @ residual.unsqueeze(-1)).squeeze(-1), dim=1)
    step = step + beta * rounding + core.n_nodes * _EPS * beta * torch.linalg.vector_norm(residual, dim=1)
    W, slope = _weights(core), core.gain
    rows = torch.linalg.vector_norm(W, dim=1)
    curvature = slope * CURVATURE.get(core.activation.name, 0.0) * float(_norm_bound(rows.unsqueeze(1) * W))
    room, bend = 1 - defect, beta * curvature
    root = (room * room - 2 * bend * step).clamp_min(0).sqrt()
    radius = 2 * step / (room + root)  # the smaller root, without cancellation
    holds = (info == 0) & (room > 0) & (room * room >= 2 * bend * step)
    for kink in KINKS.get(core.activation.name, ()):
        margin = (p - kink).abs() - rows * radius.unsqueeze(1) * (1 + 1e-9) - rounding.unsqueeze(1)
        holds &= (margin > 0).all(1)
    return torch.where(holds, radius * (1 + 1e-9), torch.inf)


def _norm_bound(matrix: Tensor) -> Tensor:
    """An upper bound of ||.||_2 that needs no singular values."""
    by_sums = (matrix.abs().sum(-1).amax(-1) * matrix.abs().sum(-2).amax(-1)).sqrt()
    return torch.minimum(by_sums, torch.linalg.matrix_norm(matrix))


def _weights(core: SaturatingNetwork) -> Tensor:
    """(node, node) [1]. W as a matrix, whatever form the core keeps it in."""
    if not isinstance(core, ConvCore):
        return core.W
    _, height, width = core.state_shape
    linear = ConvCore(*core.trainable(), height=height, width=width, activation="identity")
    zero = torch.zeros(1, core.n_nodes, dtype=core.dtype, device=core.device)
    return linear.linearise(zero, Drive(zero, zero[:, :0])).dense()[0]
