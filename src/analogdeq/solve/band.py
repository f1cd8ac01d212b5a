"""When a trajectory is last outside a band around a point, on the dense output of one step."""

import torch
from torch import Tensor

from analogdeq.solve.stepper import Segment

POINTS = 6
"""Subintervals of a step, and again of the subinterval that holds the crossing."""


def last_exit(segment: Segment, target: Tensor, band: float) -> Tensor:
    """The largest fraction of each step at which its lane is outside the band.

    Two nested grids and one linear interpolation: a crossing is found to about 1e-3 of the step.

    Args:
        segment: attempted steps.
        target: (row, node) the centre of the band.
        band: half width, in the maximum norm.

    Returns:
        (row,) float64: 1 for a lane outside at the end of the step, NaN for one that never left.
    """
    low = torch.zeros(target.shape[0], dtype=torch.float64, device=target.device)
    width = torch.ones_like(low)
    never = torch.zeros_like(low, dtype=torch.bool)
    for level in range(2):
        fractions = torch.linspace(0, 1, POINTS + 1, dtype=torch.float64, device=target.device)
        theta = low.unsqueeze(1) + width.unsqueeze(1) * fractions
        excess = distance(segment.states(theta), target) - band
        outside = excess > 0
        last = POINTS - outside.flip(1).to(torch.int8).argmax(1)
        if level == 0:
            never = ~outside.any(1)
            ends_outside = outside[:, -1]
        last = last.clamp_max(POINTS - 1).unsqueeze(1)
        low = theta.gather(1, last).squeeze(1)
        width = width / POINTS
    before, after = excess.gather(1, last).squeeze(1), excess.gather(1, last + 1).squeeze(1)
    crossing = low + width * torch.where(before > after, before / (before - after).clamp_min(1e-300), 1.0).clamp(0, 1)
    crossing = torch.where(ends_outside, 1.0, crossing)
    return torch.where(never, torch.nan, crossing)


def distance(states: Tensor, target: Tensor) -> Tensor:
    """Largest |z - target| over the nodes, (row, point) float64, of states (row, point, node)."""
    return (states - target.unsqueeze(1)).abs_().amax(2).to(torch.float64)
