"""Settle with `torchdiffeq`, kept from its known traps.

The guard rails: dimensionless time (its step floor is absolute), one sample at a time (it shares one step and one
mean error over a batch), chunks instead of its event search, and a bounded number of steps.
"""

import torch
from scipy.interpolate import CubicHermiteSpline
from torch import Tensor
from torchdiffeq import odeint

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.chunks import Curve, Rate, settle_each
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.reference import POINTS_PER_TAU, Judgement, Path
from analogdeq.solve.trace import Float64


def settle_paths(
    core: Core, drive: Drive, z: Tensor, options: SettleOptions, until_tau: list[float]
) -> list[tuple[Judgement, Path]]:
    """Every sample's judgement and path; tolerance as for scipy, rtol * band against |z|."""
    tolerance = max(options.rtol * options.band, 4 * torch.finfo(z.dtype).eps)

    def integrate(derivative: Rate, y: Float64, begin: float, end: float, scale: Float64) -> Curve | None:
        size = torch.as_tensor(scale)

        def scaled(_s: Tensor, x: Tensor) -> Tensor:
            return torch.as_tensor(derivative(0.0, (x * size).numpy())) / size

        grid = torch.linspace(begin, end, max(2, round((end - begin) * POINTS_PER_TAU) + 1), dtype=torch.float64)
        try:
            x = odeint(
                scaled, torch.as_tensor(y) / size, grid, rtol=tolerance, atol=tolerance, method="dopri5",
                options={"norm": _largest, "max_num_steps": options.max_steps},
            )  # fmt: skip
        except AssertionError:  # how torchdiffeq says "max_num_steps exceeded" and "underflow in dt"
            return None
        if not bool(torch.isfinite(x[-1]).all()):
            return None
        values = (x * size).numpy()
        slopes = torch.stack([torch.as_tensor(derivative(0.0, value)) for value in values]).numpy()
        spline = CubicHermiteSpline(grid.numpy(), values, slopes)
        return lambda t: spline(t)

    return settle_each(core, drive, z, options, until_tau, integrate)


def _largest(error: Tensor) -> Tensor:
    """Every component must meet the tolerance, not their mean."""
    return error.abs().max()
