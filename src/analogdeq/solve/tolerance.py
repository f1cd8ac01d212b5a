"""What a step may err by."""

from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core
from analogdeq.solve.controller import error_share, finest_tolerance, spread_share
from analogdeq.solve.lanes import Lanes
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.stepper import Stepper

_TINY = 1e-300


@final
class Tolerance:
    """Errors relative to the motion that is left, each step with its share of what the decay may err by."""

    def __init__(self, core: Core, options: SettleOptions) -> None:
        self._core, self._options = core, options

    def ratio(self, lanes: Lanes, stepper: Stepper, error: Tensor, h: Tensor, motion: Tensor, gained: Tensor) -> Tensor:
        """(lane,): local error over tolerance; at most 1 is accepted. Energies may err by rtol of their sum so far.

        Args:
            lanes: at the start of the step.
            stepper: after the attempt.
            error: (lane,) [1]. Its estimate.
            h: (lane,) [tau].
            motion: (lane,) [1]. max |F(z) - z| at the end of the step.
            gained: (lane, term) [W tau]. Energy of the step.
        """
        options = self._options
        elapsed = lanes.time + h
        rate = (lanes.motion_start / motion).log_().abs_().div_(elapsed).nan_to_num_(0.0)
        floor = options.atol * self._core.full_scale
        if self._core.rate is None:
            allowed = (lanes.motion * options.rtol).add_(floor).mul_(error_share(rate, h))
            ratio = error / allowed.clamp_min_(finest_tolerance(self._core, options.atol))
        else:  # fast nodes that follow slow ones would be held to rounding
            allowed = lanes.motion * spread_share(rate, h, elapsed) * options.rtol
            ratio = error / allowed.add_(floor)
        if gained.shape[1] == 0:
            return ratio
        allowed = (options.rtol * (lanes.energy + gained)).clamp_min(_TINY)
        return torch.maximum(ratio, (stepper.energy_error(h) / allowed).amax(1))
