"""When a trajectory is last outside a band around a point, on the dense output of one step."""

import torch
from torch import Tensor

from analogdeq.solve.lanes import Lanes
from analogdeq.solve.stepper import Segment, Stepper

POINTS = 6
"""Subintervals of a step, and again of the subinterval that holds the crossing."""


def note_exits(lanes: Lanes, stepper: Stepper, rows: Tensor, h: Tensor, band: float) -> None:
    """Note when, where and at what energy some lanes were last outside the band in the attempted step, if they were.

    Args:
        lanes: aimed ones; `exit_time`, `exit_energy` and `exit_state` are written.
        stepper: after an attempt, before `accept`.
        rows: (row,) the lanes to look at.
        h: (lane,) [tau]. The step of every lane.
        band: half width, in the maximum norm.
    """
    if rows.numel() == 0:
        return
    segment = stepper.segment(rows, h)
    theta = last_exit(segment, lanes.rest[rows], band)
    left = ~torch.isnan(theta)
    at, point = rows[left], theta.nan_to_num(0).unsqueeze(1)
    lanes.exit_time[at] = lanes.time[at] + theta[left] * h[at]
    lanes.exit_energy[at] = lanes.energy[at] + segment.energies(point).squeeze(1)[left]
    lanes.exit_state[at] = segment.states(point).squeeze(1)[left]


def last_exit(segment: Segment, target: Tensor, band: float) -> Tensor:
    """The largest fraction of each step at which its lane is outside the band.

    Two nested grids, and between two points the distance is taken to decay exponentially, as near a rest it does.

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
        far = distance(segment.states(theta), target)
        outside = far > band
        last = POINTS - outside.flip(1).to(torch.int8).argmax(1)
        if level == 0:
            never = ~outside.any(1)
            if bool(never.all()):
                return torch.full_like(low, torch.nan)
            ends_outside = outside[:, -1]
        last = last.clamp_max(POINTS - 1).unsqueeze(1)
        low = theta.gather(1, last).squeeze(1)
        width = width / POINTS
    before, after = far.gather(1, last).squeeze(1), far.gather(1, last + 1).squeeze(1).clamp_min(1e-3 * band)
    share = (before / band).log() / (before / after).log().clamp_min(1e-300)
    crossing = low + width * torch.where(before > after, share, 1.0).clamp(0, 1)
    crossing = torch.where(ends_outside, 1.0, crossing)
    return torch.where(never, torch.nan, crossing)


def distance(states: Tensor, target: Tensor) -> Tensor:
    """Largest |z - target| over the nodes, (row, point) float64, of states (row, point, node)."""
    return (states - target.unsqueeze(1)).abs_().amax(2).to(torch.float64)
