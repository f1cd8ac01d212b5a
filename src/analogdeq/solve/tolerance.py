"""What a step may err by."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.controller import SAFETY, SHRINK, error_share, finest_tolerance, spread_share
from analogdeq.solve.kinks import Kinks
from analogdeq.solve.lanes import Lanes
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.stepper import Stepper

_TINY = 1e-300


@final
@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What is thought of attempted steps.

    Attributes:
        ratio: (lane,) local error over tolerance, as if no kink were crossed.
        is_accurate: (lane,) bool. Whether they can be accepted.
        at_most: (lane,) [tau]. No longer steps are to be tried next; infinite but where a kink forbids.
    """

    ratio: Tensor
    is_accurate: Tensor
    at_most: Tensor | None = None

    def limited(self, h: Tensor) -> Tensor:
        """(lane,) [tau]: the steps h, where they are not too long."""
        return h if self.at_most is None else torch.minimum(h, self.at_most)


@final
class Tolerance:
    """Errors relative to the motion that is left, each step with its share of what the decay may err by.

    Args:
        core: the network.
        options: of the settle.
        drive: of the batch, one row per sample.
    """

    def __init__(self, core: Core, options: SettleOptions, drive: Drive) -> None:
        self._core, self._options, self._drive, self._kinks = core, options, drive, Kinks.of(core)

    def assess(
        self, lanes: Lanes, stepper: Stepper, error: Tensor, h: Tensor, motion: Tensor, gained: Tensor
    ) -> Assessment:
        """Local error against tolerance. Energies may err by rtol of their sum so far.

        Args:
            lanes: at the start of the step.
            stepper: after the attempt.
            error: (lane,) [1]. Its estimate.
            h: (lane,) [tau].
            motion: (lane,) [1]. max |F(z) - z| at the end of the step.
            gained: (lane, term) [W tau]. Energy of the step.
        """
        allowed = self._allowed(lanes, h, motion)
        ratio = error / allowed
        if gained.shape[1]:
            most = (self._options.rtol * (lanes.energy + gained)).clamp_min(_TINY)
            ratio = torch.maximum(ratio, (stepper.energy_error(h) / most).amax(1))
        is_accurate = ratio <= 1
        if self._kinks is None:
            return Assessment(ratio=ratio, is_accurate=is_accurate)
        at_most, rows = torch.full_like(ratio, torch.inf), torch.nonzero(is_accurate).squeeze(1)
        if rows.numel():
            lanes.evaluations[rows] += 1
            missed = self._kinks.error(stepper, rows, self._drive.rows(lanes.index[rows]), h)
            kinked = missed * lanes.motion[rows] / allowed[rows]
            is_accurate[rows] = is_smooth = ~(kinked > 1)  # as accurate as the estimate says where nothing moves
            # Of second order in the step is the error of a kink, whatever that of the method.
            share = (SAFETY * kinked.rsqrt()).clamp(SHRINK, SAFETY)
            at_most[rows] = (share * h[rows]).masked_fill(is_smooth, torch.inf)
        return Assessment(ratio=ratio, is_accurate=is_accurate, at_most=at_most)

    def _allowed(self, lanes: Lanes, h: Tensor, motion: Tensor) -> Tensor:
        """(lane,) [1]: what the state may err by in a step."""
        options, elapsed = self._options, lanes.time + h
        rate = (lanes.motion_start / motion).log_().abs_().div_(elapsed).nan_to_num_(0.0)
        floor = options.atol * self._core.full_scale
        if self._core.rate is None:
            allowed = (lanes.motion * options.rtol).add_(floor).mul_(error_share(rate, h))
            return allowed.clamp_min_(finest_tolerance(self._core, options.atol))
        # Otherwise fast nodes that follow slow ones would be held to rounding.
        return (lanes.motion * spread_share(rate, h, elapsed) * options.rtol).add_(floor)
