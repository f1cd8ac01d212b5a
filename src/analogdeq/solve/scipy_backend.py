"""Settle with `scipy.integrate`: for stiff cores, and as a reference."""

import numpy as np
from scipy.integrate import solve_ivp
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.chunks import Curve, Rate, settle_each
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.reference import Judgement, Path
from analogdeq.solve.trace import Float64

_NAMES = {"scipy-radau": "Radau", "scipy-bdf": "BDF", "scipy-lsoda": "LSODA", "scipy-dop853": "DOP853"}


def settle_paths(
    core: Core, drive: Drive, z: Tensor, options: SettleOptions, until_tau: list[float]
) -> list[tuple[Judgement, Path]]:
    """Every sample's judgement and path.

    scipy measures its tolerance against |z|, so it is given rtol * band: the same accuracy where it matters, at the
    band.
    """
    tolerance = max(options.rtol * options.band, 1e-12)

    def integrate(derivative: Rate, y: Float64, begin: float, end: float, scale: Float64) -> Curve | None:
        try:
            with np.errstate(all="ignore"):
                solution = solve_ivp(
                    derivative, (begin, end), y, method=_NAMES[options.method], rtol=tolerance,
                    atol=tolerance * scale, dense_output=True,
                )  # fmt: skip
        except (ValueError, np.linalg.LinAlgError):  # a Jacobian that is not finite
            return None
        if not solution.success or not np.isfinite(solution.y[:, -1]).all():
            return None
        return lambda t: solution.sol(t).T

    return settle_each(core, drive, z, options, until_tau, integrate)
