"""How the linearised circuit's motion dies away, in a Krylov space of its state."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import pad

from analogdeq.linalg.exponential import exponential
from analogdeq.linalg.short_arnoldi import ShortSpace

FIRST = 0.25
"""First time looked at, over the largest row sum of H; each further one is twice as long."""
DOUBLINGS = 48
EXPLODES = 1e6
"""A space in which anything grows by so much is followed no further."""
POINTS_LOG2 = 6
"""The decay is looked at in 2^6 equal parts."""


@final
@dataclass(frozen=True, kw_only=True)
class Decay:
    """How the weights w(s) = ||e|| exp(s H) e_1 die away.

    Attributes:
        is_over: (lane,) bool. Whether they do, with all that the space can hold.
        step: (lane,) float64 [tau]. Spacing of `points`.
        points: (lane, m, point) float64. The weights at equally spaced times, from 0 until nothing is left.
    """

    is_over: Tensor
    step: Tensor
    points: Tensor

    @classmethod
    def of(cls, space: ShortSpace, band: float) -> "Decay":
        """Twice as far ahead each time, until what is left can grow out of the band no more."""
        time = FIRST / space.H.abs().sum(2).amax(1).clamp_min(1e-9)
        power = exponential(space.H, time)
        recent = [power] * (POINTS_LOG2 + 1)
        step_map, end = power, time.clone()
        is_over, growth = torch.zeros_like(time, dtype=torch.bool), torch.ones_like(time)
        widest = space.H.shape[1] ** 0.5  # of V: its rows have length 1
        for k in range(DOUBLINGS):
            power, time = power @ power, 2 * time
            recent = [*recent[1:], power]
            size = torch.linalg.matrix_norm(power)
            growth = torch.maximum(growth, size)
            left = space.length * torch.linalg.vector_norm(power[:, :, 0], dim=1)
            ends = (widest * left * growth <= band).logical_and_(size <= 1).logical_and_(~is_over)
            if k + 1 < POINTS_LOG2:  # the map over a part of so short a time is not among the recent ones
                continue
            step_map = torch.where(ends.view(-1, 1, 1), recent[0], step_map)
            end, is_over = torch.where(ends, time, end), is_over | ends
            if bool((is_over | ~(growth <= EXPLODES)).all()):
                break
        points = orbit(step_map, first_weights(space), POINTS_LOG2)
        return cls(is_over=is_over, step=end / 2**POINTS_LOG2, points=points)

    def missed(self, space: ShortSpace, after: Tensor) -> Tensor:
        """(lane,) float64: what the space misses at the exit, relative to the state, if it decays as the state does.

        Integral of |h w_m| / ||V w||: what A leads out of the space, over what is there.
        """
        leak = space.coupling.unsqueeze(1) * self.points[:, -1].abs() / norms(space, self.points).clamp_min_(1e-300)
        index = torch.arange(leak.shape[1], device=leak.device)
        counts = index <= (after / self.step).ceil().unsqueeze(1)
        return (leak * counts).sum(1) * self.step


def norms(space: ShortSpace, weights: Tensor) -> Tensor:
    """(lane, point) float64: the Euclidean norm of each state."""
    return (space.gram @ weights).mul_(weights).sum(1).clamp_min_(0).sqrt_()


def first_weights(space: ShortSpace) -> Tensor:
    """(lane, m): the weights of the state itself."""
    return pad(space.length.unsqueeze(1), (0, space.H.shape[1] - 1))


def orbit(step: Tensor, start: Tensor, doublings: int) -> Tensor:
    """(lane, m, 2^doublings + 1): start, E start, E^2 start, ..."""
    block, power = start.unsqueeze(2), step
    for _ in range(doublings):
        block = torch.cat((block, power @ block), 2)
        power = power @ power
    return torch.cat((block, power @ block[:, :, :1]), 2)
