"""One sample's whole trajectory, integrated chunk by chunk by somebody else's solver until it can be judged."""

from collections.abc import Callable
from typing import final

import numpy as np
import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.flow import Flow
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.reference import CHUNK_TAU, POINTS_PER_TAU, Judgement, Path, judge
from analogdeq.solve.trace import Float64
from analogdeq.solve.verdict import Verdict

SHORTEST_CHUNK_TAU = 0.1
"""A chunk that fails is tried again at a quarter of its length, down to this."""
HUGE = 1e3
"""Where a solver gives up beyond this many full scales, the sample has diverged."""

Rate = Callable[[float, Float64], Float64]
Curve = Callable[[Float64], Float64]
Integrate = Callable[[Rate, Float64, float, float, Float64], Curve | None]
"""(derivative, y, begin, end, scale) -> times (point,) to states (point, n), or None where the solver failed.

`scale` (n,) is the size that each component's absolute tolerance is relative to.
"""


def settle_each(
    core: Core, drive: Drive, z: Tensor, options: SettleOptions, until_tau: list[float], integrate: Integrate
) -> list[tuple[Judgement, Path]]:
    """Every sample's judgement and path, each on its own, so that no sample disturbs another."""
    rows = torch.arange(z.shape[0], device=z.device).unsqueeze(1)
    return [
        _Sample(core, drive.rows(row), z[row]).settle(options, until, integrate)
        for row, until in zip(rows, until_tau, strict=True)
    ]


@final
class _Sample:
    """One sample's path while it grows."""

    def __init__(self, core: Core, drive: Drive, z: Tensor) -> None:
        self._core, self._drive, self._n = core, drive, core.n_nodes
        self._flow = Flow(core, drive)
        self._is_sound = bool(torch.isfinite(drive.current).all() and torch.isfinite(z).all())
        start = self._flow.start(z)[0].double().cpu().numpy()
        self._times, self._values = [np.zeros(1)], [start[None]]
        self._pieces: list[tuple[float, Curve]] = [(0.0, lambda _t: start[None])]

    def settle(self, options: SettleOptions, until_tau: float, integrate: Integrate) -> tuple[Judgement, Path]:
        """Integrate until the path can be judged and is `until_tau` long."""
        if not self._is_sound:
            return self._ended(Verdict.DIVERGED), self._path()
        y, judgement, length = self._values[0][0], None, CHUNK_TAU
        scale = self._scale(y)
        while True:
            begin = float(self._times[-1][-1])
            limit = np.inf if judgement is not None else options.max_time_tau
            end = min(begin + length, limit)
            curve = integrate(self._derivative, y, begin, end, scale)
            if curve is None and length > SHORTEST_CHUNK_TAU:
                length /= 4
                continue
            if curve is None:
                is_huge = np.abs(y[: self._n]).max() > HUGE * self._core.full_scale
                return judgement or self._ended(Verdict.DIVERGED if is_huge else Verdict.TIMED_OUT), self._path()
            y = self._extend(curve, begin, end)
            judgement = judgement or judge(self._path(), self._core, self._drive, options)
            if judgement is not None and end >= until_tau:
                return judgement, self._path()

    def _extend(self, curve: Curve, begin: float, end: float) -> Float64:
        """Add a chunk's points; returns its last state."""
        grid = np.linspace(begin, end, max(2, round((end - begin) * POINTS_PER_TAU) + 1))[1:]
        values = curve(grid)
        if begin == 0:
            self._pieces.clear()
        self._pieces.append((begin, curve))
        self._times.append(grid)
        self._values.append(values)
        last: Float64 = values[-1]
        return last

    def _path(self) -> Path:
        values = np.concatenate(self._values)
        return Path(
            np.concatenate(self._times), values[:, : self._n], values[:, self._n :], self._dense, self._flow.evaluations
        )

    def _dense(self, t: float) -> tuple[Float64, Float64]:
        k = max(0, sum(begin <= t for begin, _ in self._pieces) - 1)
        value = self._pieces[k][1](np.array([t]))[0]
        return value[: self._n], value[self._n :]

    def _derivative(self, _s: float, y: Float64) -> Float64:
        tensor = torch.as_tensor(y, dtype=self._core.dtype, device=self._core.device).unsqueeze(0)
        rate: Float64 = self._flow(tensor)[0].double().cpu().numpy()
        return rate

    def _scale(self, y: Float64) -> Float64:
        """Watts times tau are far below what suits z; measured by their own size they are as accurate.

        A term that begins at 0 has none yet, and gets a hundredth of the largest.
        """
        scale = np.ones_like(y)
        power = np.abs(self._derivative(0.0, y)[self._n :])
        scale[self._n :] = np.maximum(power, max(1e-2 * power.max(initial=0.0), 1e-300))
        return scale

    def _ended(self, verdict: Verdict) -> Judgement:
        last = self._values[-1][-1]
        z, energy = last[: self._n], last[self._n :]
        return Judgement(verdict=verdict, z=z, z_readout=z, energy=energy)
