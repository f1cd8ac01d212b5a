"""What the loop goes by between two steps, brought to the host in one go.

On an accelerator whoever asks for one number waits until everything that was launched before is done.
"""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.solve.lanes import Lanes
from analogdeq.solve.recurrence import ONSET_TAU

SMALLEST_STEP = 1e-12
"""[tau]. A step this small means the derivative is not finite nearby."""
FAR = 8.0
"""Times the motion at which equilibria are looked for. Faster lanes have several steps before them: each divides the
motion by e, more or less, and the band is twenty times farther down."""


def is_remote(device: torch.device) -> bool:
    """Whether questions to tensors there wait for what was launched before."""
    return device.type != "cpu"


@final
@dataclass(frozen=True, kw_only=True)
class Signs:
    """What may have to be done before the next step.

    Attributes:
        is_far: nothing for several steps: every lane is fast, young and sound.
        may_aim: a lane may be slow enough for its equilibrium to be looked for.
        may_end: a verdict may be due.
        may_return: the next step may end at an age at which cycles are looked for.
    """

    is_far: bool
    may_aim: bool
    may_end: bool
    may_return: bool

    @classmethod
    def of(cls, lanes: Lanes, period: Tensor, search_below: float) -> "Signs":
        """Look at all lanes; waits for the device once.

        Args:
            lanes: as the last step has left them.
            period: (lane,) [tau]. Of cycles that it closed, else NaN.
            search_below: motion at which equilibria are looked for.
        """
        h = torch.minimum(lanes.h, lanes.until - lanes.time)
        goes_on = (lanes.motion <= lanes.motion_limit).logical_and_(lanes.time < lanes.until - 2 * SMALLEST_STEP)
        goes_on.logical_and_(lanes.h >= 0.1 * SMALLEST_STEP).logical_and_(period.isnan())
        questions = (
            lanes.motion > FAR * search_below,
            lanes.motion > search_below,
            goes_on,
            lanes.time + h <= ONSET_TAU,
        )
        is_fast, is_moving, is_going_on, is_young = torch.stack(questions).all(1).tolist()
        return cls(
            is_far=is_fast and is_going_on and is_young,
            may_aim=not is_moving,
            may_end=not is_going_on,
            may_return=not is_young,
        )
