"""What a settle asks for, as numbers that compiled code reads."""

from typing import NamedTuple

import torch

from analogdeq.cores.core import Core
from analogdeq.solve.attraction import KICK_BANDS
from analogdeq.solve.controller import finest_tolerance
from analogdeq.solve.loop import SEARCH_BANDS
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.rest import rounding, tolerance


class Control(NamedTuple):
    """Lengths in the units of the state, times in tau.

    Attributes:
        band: half width of the band.
        rtol: what a step may err by, relative to the motion, and an energy relative to itself.
        floor: what a step may err by besides.
        finest: what a share of the tolerance may not fall below.
        unseen: errors of an energy below this part of the largest power do not count.
        search_below: motion at which the rest is looked for.
        found: residual at which the rest is found.
        good_enough: residual that still counts where rounding ends the search.
        rounding: what a comparison of a few values of F may be wrong by.
        blur: what dz/ds may be wrong by.
        beside: searches begin this far beside the trajectory.
        max_time: budget.
        max_attempts: the loop gets what takes more.
        least_time: a sample that has not come this far after a few attempts is something else for the loop.
        is_contraction: whether F is one, so that every rest attracts.
    """

    band: float
    rtol: float
    floor: float
    finest: float
    unseen: float
    search_below: float
    found: float
    good_enough: float
    rounding: float
    blur: float
    beside: float
    max_time: float
    max_attempts: int
    least_time: float
    is_contraction: bool


ATTEMPTS, PER_RATE = 500, 8
"""Attempts of a sample, and so many more for every unit of the fastest rate: stability takes three or four."""
LEAST_TIME, LEAST_STEPS = 0.2, 5.0
"""In tau, and over the fastest rate, the less of which counts."""


def control_of(core: Core, options: SettleOptions, *, unseen: float, is_stiff: bool = False) -> Control:
    """The numbers that the loop goes by too.

    Args:
        core: the network.
        options: of the settle.
        unseen: errors of an energy below this part of the largest power do not count.
        is_stiff: whether speeds do not limit the steps.
    """
    band = float(options.band * core.full_scale)  # numbers of another type would be compiled for anew
    fastest = 1.0 if core.rate is None else float(core.rate.max())
    found, noise, is_contraction = tolerance(core, band), rounding(core), core.contraction_gap() > 0
    return Control(
        band=band,
        rtol=float(options.rtol),
        floor=float(options.atol * core.full_scale),
        finest=float(finest_tolerance(core, options.atol)),
        unseen=float(unseen),
        search_below=SEARCH_BANDS * band,
        found=found,
        good_enough=max(found, 4 * noise),
        rounding=8 * torch.finfo(core.dtype).eps * core.full_scale,
        blur=fastest * noise,
        beside=0.0 if is_contraction else KICK_BANDS * band,
        max_time=float(options.max_time_tau),
        max_attempts=int(min(ATTEMPTS + (0 if is_stiff else PER_RATE * fastest), options.max_steps)),
        least_time=min(LEAST_TIME, LEAST_STEPS / fastest),
        is_contraction=is_contraction,
    )
