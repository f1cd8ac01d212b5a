"""Verdict, settling time and energy from a whole trajectory: the slow, independent way of the reference back ends.

The native loop decides as it steps. Here a path is complete when it is judged: sampled finely, searched backwards for
the last point outside the band, refined by a scalar root finder.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import brentq

from analogdeq.cores.core import Core, Drive, turn_of
from analogdeq.solve.certificate import WELL_INSIDE
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.outlook import look_ahead
from analogdeq.solve.rest import find_rest_for_band
from analogdeq.solve.trace import Float64
from analogdeq.solve.verdict import Verdict

CHUNK_TAU = 10.0
"""Back ends integrate this much between two looks."""
POINTS_PER_TAU = 32
SEARCH_BANDS = 1.0
RUNAWAY = 1e6
SAME_PERIOD = 0.02


@dataclass
class Path:
    """One sample's trajectory so far.

    Attributes:
        time: (point,) [tau].
        z: (point, node).
        energy: (point, term) [W tau].
        dense: time -> (z, energy) between the points.
        evaluations: spent on this path.
    """

    time: Float64
    z: Float64
    energy: Float64
    dense: Callable[[float], tuple[Float64, Float64]]
    evaluations: int


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a path shows, in units of tau."""

    verdict: Verdict
    z: Float64
    z_readout: Float64
    energy: Float64
    time_settle: float = float("nan")
    period: float = float("nan")


def judge(path: Path, core: Core, drive: Drive, options: SettleOptions) -> Judgement | None:
    """The verdict on a path, or None while it is open; `drive` has one row."""
    end = path.z[-1]
    motion = _motion(core, drive, end)
    if not motion <= RUNAWAY * (core.full_scale + float(drive.current.abs().max())):
        return _unsettled(path, Verdict.DIVERGED)
    band = options.band * core.full_scale
    if motion < SEARCH_BANDS * band:
        tensor = torch.as_tensor(end, dtype=core.dtype, device=core.device).unsqueeze(0)
        rest = find_rest_for_band(core, drive, tensor, band)
        if bool(rest.is_found):
            found = _settled(path, rest.z[0].double().cpu().numpy(), band, options.dwell_tau)
            if found is not None and _stays(core, drive, rest.z, tensor - rest.z, band):
                return found
    period = period_of(path, turn_of(core))
    if period is not None:
        return _unsettled(path, Verdict.OSCILLATING, period)
    if path.time[-1] >= options.max_time_tau * (1 - 1e-12):
        return _unsettled(path, Verdict.TIMED_OUT)
    return None


def period_of(path: Path, turn: float | None = None) -> float | None:
    """The period of a closed cycle: the two latest returns to the final state, equally far apart and equally close.

    States that are angles return to e^{i phi}: distances are to the nearest repetition after `turn`.
    """
    if path.time[-1] < CHUNK_TAU:
        return None
    offset = path.z - path.z[-1]
    if turn is not None:
        offset = offset - turn * np.round(offset / turn)
    squared = (offset**2).sum(1)
    inner = squared[1:-1]
    minima = 1 + np.flatnonzero((inner < squared[:-2]) & (inner <= squared[2:]))
    minima = minima[squared[minima] < 0.01 * squared.max()]
    if minima.size < 2:
        return None
    (t2, miss2), (t1, miss1) = (_parabola(path.time, squared, k) for k in minima[-2:])
    period, before = path.time[-1] - t1, t1 - t2
    scale = float(np.sqrt(squared[minima[-2] :].max()))
    # A decaying spiral was twice as far away two turns ago as one turn ago; a cycle was not.
    is_closed = abs(period - before) < SAME_PERIOD * period and miss2 <= 1.5 * miss1 + 1e-3 * scale
    return float(0.5 * (path.time[-1] - t2)) if is_closed else None


def _settled(path: Path, rest: Float64, band: float, dwell_tau: float) -> Judgement | None:
    distance = np.abs(path.z - rest).max(1)
    since_dwell = path.time >= path.time[-1] - dwell_tau
    if path.time[-1] < dwell_tau or distance[since_dwell].max() > 0.5 * band:
        return None
    outside = np.flatnonzero(distance > band)
    if outside.size == 0:
        return Judgement(
            verdict=Verdict.SETTLED, z=rest, z_readout=path.z[0], energy=path.energy[0], time_settle=float(path.time[0])
        )
    k = int(outside[-1])

    def excess(t: float) -> float:
        return float(np.abs(path.dense(t)[0] - rest).max() - band)

    low, high = float(path.time[k]), float(path.time[k + 1])
    crossing = float(brentq(excess, low, high, xtol=1e-9)) if excess(low) > 0 > excess(high) else low
    z, energy = path.dense(crossing)
    return Judgement(verdict=Verdict.SETTLED, z=rest, z_readout=z, energy=energy, time_settle=crossing)


def _stays(core: Core, drive: Drive, rest: torch.Tensor, offset: torch.Tensor, band: float) -> bool:
    """Whether a path that dwelt near a rest never leaves it: a saddle is left, and so is a band by what grows first."""
    if core.contraction_gap() > 0:
        return True
    outlook = look_ahead(core, drive, rest, offset, band)
    is_well_inside = float(offset.abs().max()) <= WELL_INSIDE * band
    return bool(outlook.stays) or (is_well_inside and bool(outlook.attracts))


def _unsettled(path: Path, verdict: Verdict, period: float = float("nan")) -> Judgement:
    return Judgement(verdict=verdict, z=path.z[-1], z_readout=path.z[-1], energy=path.energy[-1], period=period)


def _motion(core: Core, drive: Drive, z: Float64) -> float:
    tensor = torch.as_tensor(z, dtype=core.dtype, device=core.device).unsqueeze(0)
    return float((core.fixed_point_map(tensor, drive) - tensor).abs().max())


def _parabola(time: Float64, squared: Float64, k: int) -> tuple[float, float]:
    """Where the parabola through three neighbours has its minimum, and the distance there."""
    left, middle, right = squared[k - 1 : k + 2]
    curvature = max(left - 2 * middle + right, 1e-300)
    shift = 0.5 * (left - right) / curvature
    return float(time[k] + shift * (time[k + 1] - time[k])), float(
        np.sqrt(max(middle - 0.25 * (left - right) * shift, 0.0))
    )
