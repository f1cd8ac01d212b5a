"""Settle with `scipy.integrate`: one sample at a time, for stiff cores and as a reference."""

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.flow import Flow
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.reference import CHUNK_TAU, POINTS_PER_TAU, Judgement, Path, judge
from analogdeq.solve.trace import Float64
from analogdeq.solve.verdict import Verdict

_NAMES = {"scipy-radau": "Radau", "scipy-bdf": "BDF", "scipy-lsoda": "LSODA", "scipy-dop853": "DOP853"}


def settle_paths(core: Core, drive: Drive, z: Tensor, options: SettleOptions) -> list[tuple[Judgement, Path]]:
    """Every sample's judgement and path.

    scipy measures its tolerance against |z|, so it is given rtol * band: the same accuracy where it matters, at the
    band.
    """
    rows = torch.arange(z.shape[0], device=z.device).unsqueeze(1)
    return [_settle_one(core, drive.rows(row), z[row], options) for row in rows]


def _settle_one(core: Core, drive: Drive, z: Tensor, options: SettleOptions) -> tuple[Judgement, Path]:
    flow = Flow(core, drive)

    def derivative(_s: float, y: Float64) -> Float64:
        tensor = torch.as_tensor(y, dtype=core.dtype, device=core.device).unsqueeze(0)
        return flow(tensor)[0].double().cpu().numpy()

    n = core.n_nodes
    y = flow.start(z)[0].double().cpu().numpy()
    tolerance = options.rtol * options.band
    path = Path(np.zeros(1), y[None, :n], y[None, n:], lambda _t: (y[:n], y[n:]), 1)
    if not bool(torch.isfinite(drive.current).all()):
        return Judgement(verdict=Verdict.DIVERGED, z=y[:n], z_readout=y[:n], energy=y[n:]), path
    pieces: list[tuple[float, object]] = []
    # Watts times tau are far below the tolerance that suits z; scaled by their own size they get the same relative
    # accuracy.
    scale = np.ones_like(y)
    scale[n:] = np.maximum(np.abs(derivative(0.0, y)[n:]), 1e-300)

    def dense(t: float) -> tuple[Float64, Float64]:
        k = max(0, sum(start <= t for start, _ in pieces) - 1)
        value = pieces[k][1](t)  # type: ignore[operator]
        return value[:n], value[n:]

    while True:
        begin = float(path.time[-1])
        end = min(begin + CHUNK_TAU, options.max_time_tau)
        grid = np.linspace(begin, end, max(2, round((end - begin) * POINTS_PER_TAU) + 1))
        with np.errstate(all="ignore"):
            solution = solve_ivp(
                derivative, (begin, end), y, method=_NAMES[options.method], rtol=max(tolerance, 1e-12),
                atol=tolerance * scale, dense_output=True,
            )  # fmt: skip
        path.evaluations = flow.evaluations
        if not solution.success or not np.isfinite(solution.y[:, -1]).all():
            return Judgement(verdict=Verdict.DIVERGED, z=y[:n], z_readout=y[:n], energy=y[n:]), path
        pieces.append((begin, solution.sol))
        y = solution.y[:, -1]
        values = solution.sol(grid[1:]).T
        path = Path(
            np.concatenate((path.time, grid[1:])),
            np.concatenate((path.z, values[:, :n])),
            np.concatenate((path.energy, values[:, n:])),
            dense,
            flow.evaluations,
        )
        judgement = judge(path, core, drive, options)
        if judgement is not None:
            return judgement, path
