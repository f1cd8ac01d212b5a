"""Settle with `torchdiffeq`: one step size shared by the batch, kept from its known traps.

The guard rails: dimensionless time (its step floor is absolute), the error norm is the worst sample's and not the
batch's mean, the horizon grows chunk by chunk (its event search stops at the first sample), and the number of steps is
bounded.
"""

import numpy as np
import torch
from scipy.interpolate import CubicHermiteSpline
from torch import Tensor
from torchdiffeq import odeint

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.flow import Flow
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.reference import CHUNK_TAU, POINTS_PER_TAU, Judgement, Path, judge
from analogdeq.solve.trace import Float64
from analogdeq.solve.verdict import Verdict


def settle_paths(core: Core, drive: Drive, z: Tensor, options: SettleOptions) -> list[tuple[Judgement, Path]]:
    """Every sample's judgement and path; tolerance as for scipy, rtol * band against |z|."""
    batch, n = z.shape
    flow = Flow(core, drive)
    # A NaN sample would poison the shared step of all others, so it runs with a silent drive and is judged by its own.
    is_sound = torch.isfinite(drive.current).all(1)
    if not bool(is_sound.all()):
        quiet = Drive(drive.current.nan_to_num(0, 0, 0), drive.standing_power_W.nan_to_num(0, 0, 0))
        flow = Flow(core, quiet)
    power_scale = flow(flow.start(z))[:, n:].abs().amax(0).clamp_min(1e-300)
    y = flow.start(z)
    scale = torch.cat((torch.ones(n, dtype=z.dtype, device=z.device), power_scale))
    tolerance = max(options.rtol * options.band, 4 * torch.finfo(z.dtype).eps)
    blocks_y, blocks_dy, times = [y.unsqueeze(0)], [flow(y).unsqueeze(0)], [np.zeros(1)]
    judged: dict[int, tuple[Judgement, Path]] = {}
    begin = 0.0
    while len(judged) < batch:
        end = min(begin + CHUNK_TAU, options.max_time_tau)
        grid = torch.linspace(begin, end, max(2, round((end - begin) * POINTS_PER_TAU) + 1), dtype=torch.float64)
        try:
            values = _integrate(flow, y, grid, scale, tolerance, options.max_steps)
        except AssertionError:  # how torchdiffeq says "max_num_steps exceeded" and "underflow in dt"
            return _give_up(judged, blocks_y, blocks_dy, times, n, flow.evaluations)
        y, begin = values[-1], end
        blocks_y.append(values[1:])
        blocks_dy.append(torch.stack([flow(value) for value in values[1:]]))
        times.append(grid[1:].numpy())
        t = np.concatenate(times)
        ys, dys = (torch.cat(b).double().cpu().numpy() for b in (blocks_y, blocks_dy))
        for k in range(batch):
            if k in judged:
                continue
            row = torch.tensor([k], device=z.device)
            path = _path(t, ys[:, k], dys[:, k], n, flow.evaluations)
            if not bool(is_sound[k]):
                nan_end = Judgement(
                    verdict=Verdict.DIVERGED, z=ys[0, k, :n], z_readout=ys[0, k, :n], energy=ys[0, k, n:]
                )
                judged[k] = (nan_end, _path(t[:1], ys[:1, k], dys[:1, k], n, 1))
            else:
                judgement = judge(path, core, drive.rows(row), options)
                if judgement is not None:
                    judged[k] = (judgement, path)
        runaway = [k for k, (judgement, _) in judged.items() if judgement.verdict is Verdict.DIVERGED]
        y[runaway] = blocks_y[0][0, runaway]  # back to the start, so that they stop shortening everyone's step
    return [judged[k] for k in range(batch)]


def _give_up(
    judged: dict[int, tuple[Judgement, Path]],
    blocks_y: list[Tensor],
    blocks_dy: list[Tensor],
    times: list[Float64],
    n: int,
    evaluations: int,
) -> list[tuple[Judgement, Path]]:
    """The shared step got stuck: every open sample times out where it is."""
    t = np.concatenate(times)
    ys, dys = (torch.cat(b).double().cpu().numpy() for b in (blocks_y, blocks_dy))
    for k in range(ys.shape[1]):
        if k not in judged:
            last = ys[-1, k]
            stuck = Judgement(verdict=Verdict.TIMED_OUT, z=last[:n], z_readout=last[:n], energy=last[n:])
            judged[k] = (stuck, _path(t, ys[:, k], dys[:, k], n, evaluations))
    return [judged[k] for k in range(ys.shape[1])]


def _integrate(flow: Flow, y: Tensor, grid: Tensor, scale: Tensor, tolerance: float, max_steps: int) -> Tensor:
    def derivative(_s: Tensor, x: Tensor) -> Tensor:
        return flow(x * scale) / scale

    def worst_sample(error: Tensor) -> Tensor:
        return error.abs().amax(-1).amax() if error.ndim > 1 else error.abs().amax()

    options = {"norm": worst_sample, "max_num_steps": max_steps}
    values: Tensor = odeint(
        derivative, y / scale, grid.to(y.device), rtol=tolerance, atol=tolerance, method="dopri5", options=options
    )
    return values * scale


def _path(t: Float64, y: Float64, dy: Float64, n: int, evaluations: int) -> Path:
    spline = CubicHermiteSpline(t, y, dy) if t.size > 1 else None

    def dense(at: float) -> tuple[Float64, Float64]:
        value = y[0] if spline is None else spline(at)
        return value[:n], value[n:]

    return Path(t, y[:, :n], y[:, n:], dense, evaluations)
