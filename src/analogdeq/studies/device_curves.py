"""A preset's error and ageing, drawn from many simulated devices: what `analogdeq devices plot` shows."""

import math
from dataclasses import replace

import numpy as np
import torch

from analogdeq.devices.array import DeviceArray, Surroundings
from analogdeq.devices.clock import Age
from analogdeq.devices.preset import DevicePreset
from analogdeq.devices.streams import Streams

DEVICES = 2_000
"""Drawn per state."""
_POINTS = 33
_STATES = (0.25, 0.5, 1.0)


def error_curve(preset: DevicePreset, g_max_S: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(point,) targets and (point,) standard deviations [S] of what devices hold at their first read."""
    low_S, high_S = preset.window_S(g_max_S)
    target_S = torch.linspace(low_S, high_S, _POINTS, dtype=torch.float64)
    each = target_S.unsqueeze(1).expand(_POINTS, DEVICES).contiguous()
    held_S = _array(replace(preset, faults=None), each, g_max_S, seed).conductance_S(Age())
    return target_S.numpy(), held_S.std(1).numpy()


def ageing_curve(preset: DevicePreset, g_max_S: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(time,) ages [s], (state,) targets [S], (time, state, 3) 5th, 50th, 95th percentile of G / G_target.

    No times where the preset's source measured none.
    """
    low_S, high_S = preset.window_S(g_max_S)
    states_S = torch.tensor([low_S + share * (high_S - low_S) for share in _STATES], dtype=torch.float64)
    limits = preset.validity.time
    first_s = max(limits.low, 1.0)
    if not (first_s < limits.high < math.inf):
        return np.empty(0), states_S.numpy(), np.empty((0, len(_STATES), 3))
    each = states_S.unsqueeze(1).expand(-1, DEVICES).contiguous()
    array = _array(replace(preset, faults=None), each, g_max_S, seed)
    times_s = np.geomspace(first_s, limits.high, 25).clip(first_s, limits.high)
    held = torch.stack([array.conductance_S(Age(stays=((float(t), 300.0),))) / each for t in times_s])
    levels = torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)
    return times_s, states_S.numpy(), held.quantile(levels, dim=2).permute(1, 2, 0).numpy()


def _array(preset: DevicePreset, target_S: torch.Tensor, g_max_S: float, seed: int) -> DeviceArray:
    low_S, high_S = preset.window_S(g_max_S)
    # A weight of its whole conductance: the partner rests at the low end, and R_f makes the largest weight 1.
    around = Surroundings(g_min_S=low_S, g_max_S=high_S, feedback_ohm=1 / (high_S - low_S), read_V=0.1)
    return DeviceArray(
        preset, target_S, torch.full_like(target_S, low_S), around, streams=Streams(seed), array="plus", cycle=0,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
