"""The Jacobian of a core with amplifiers: blocks that are diagonal, and W once."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True)
class AmplifiedLinearisation:
    """J = dF/dy of `AmplifiedCore` at one state per sample, y = (z, sigma, q) or (z, sigma, q, x) in stored units.

        J_zq = slope    J_sx = W    J_sq = -is_linear    J_qs = is_slow    J_qq = 1 - is_slow pull
        J_xz = follows    J_xx = 1 - follows

    Attributes:
        W: (node, node) [1].
        slope: (batch, node). a phi'(o) o'(q).
        is_linear: (batch, node). o'(q): 1 within the swing, else 0.
        is_slow: (batch, node). 1 where the amplifier does not slew, else 0.
        pull: (batch, node). What draws q back: K_n/A0 within the swing, K_n beyond.
        follows: (batch, node). 1 where the line driver does not slew, else 0; None without line drivers.
        units: (state,). What a stored state is multiplied with.
    """

    W: Tensor
    slope: Tensor
    is_linear: Tensor
    is_slow: Tensor
    pull: Tensor
    follows: Tensor | None
    units: Tensor

    def matvec(self, v: Tensor) -> Tensor:
        """(batch, state) -> (batch, state): J v."""
        z, sigma, q, *line = (v * self.units).split(self.W.shape[0], 1)
        x = line[0] if line else z
        parts = [self.slope * q, x @ self.W.T - self.is_linear * q, q + self.is_slow * (sigma - self.pull * q)]
        if self.follows is not None:
            parts.append(x + self.follows * (z - x))
        return torch.cat(parts, 1) / self.units

    def rmatvec(self, v: Tensor) -> Tensor:
        """(batch, state) -> (batch, state): J^T v."""
        z, sigma, q, *line = (v / self.units).split(self.W.shape[0], 1)
        back = sigma @ self.W
        to_q = self.slope * z - self.is_linear * sigma + q - self.is_slow * self.pull * q
        to_sigma = self.is_slow * q
        if self.follows is None:
            parts = [back, to_sigma, to_q]
        else:
            parts = [self.follows * line[0], to_sigma, to_q, back + (1 - self.follows) * line[0]]
        return torch.cat(parts, 1) * self.units

    def dense(self) -> Tensor:
        """(batch, state, state): J."""
        n, states = self.W.shape[0], self.units.numel()
        J = self.slope.new_zeros(self.slope.shape[0], states, states)
        node, summing, output = slice(0, n), slice(n, 2 * n), slice(2 * n, 3 * n)
        line = slice(states - n, states) if self.follows is not None else node
        J[:, summing, line] = self.W
        _diagonal(J, node, output).copy_(self.slope)
        _diagonal(J, summing, output).copy_(-self.is_linear)
        _diagonal(J, output, summing).copy_(self.is_slow)
        _diagonal(J, output, output).copy_(1 - self.is_slow * self.pull)
        if self.follows is not None:
            _diagonal(J, line, node).copy_(self.follows)
            _diagonal(J, line, line).copy_(1 - self.follows)
        return J.mul_(self.units).div_(self.units.unsqueeze(1))


def _diagonal(J: Tensor, rows: slice, columns: slice) -> Tensor:
    """(batch, node): a view of the diagonal of one block."""
    return J[:, rows, columns].diagonal(dim1=1, dim2=2)
