"""Loss that its source counts in steps of training: a clock of steps, and what it leaves."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from analogdeq.errors import RangeError

if TYPE_CHECKING:
    from analogdeq.devices.preset import DevicePreset


@final
@dataclass(frozen=True, kw_only=True)
class StepLeak:
    """G(t) = G_rest + (G - G_rest) exp(-t / (step_s life)), life = lifetime_steps (1 + spread N), one N per device.

    A mini-batch in which (1 - 1/life) of the state is left, many times over. A life is taken to be at least a hundredth
    of the mean.

    Attributes:
        lifetime_steps: [1]. Mean lifetime, in mini-batches.
        spread: [1]. Device-to-device standard deviation of the lifetime, relative.
        rest: [1]. Where the state goes, from 0 (G_min) to 1 (G_max) of the window.
        step_s: [s]. How long a mini-batch lasts, which no source says; None: unknown, and the device does not age.
    """

    lifetime_steps: float
    spread: float
    rest: float
    step_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse values no leak has.

        Raises:
            RangeError: naming them.
        """
        sound = 0 < self.lifetime_steps < math.inf and 0 <= self.spread < math.inf and 0 <= self.rest <= 1
        if not sound or (self.step_s is not None and not (0 < self.step_s < math.inf)):
            raise RangeError(f"a leak needs a positive lifetime and step, spread >= 0 and rest in 0 to 1, got {self}")

    def apply(self, G_S: Tensor, low_S: float, high_S: float, t_s: float, normal: Tensor) -> Tensor:
        """[S]. What is left of each conductance after `t_s`.

        Raises:
            RangeError: if nobody has said how long a step lasts.
        """
        if self.step_s is None:
            raise RangeError(
                "this device's leak is counted in mini-batches; say how long one lasts (device.step_s) to let it age"
            )
        life = self.lifetime_steps * (1 + self.spread * normal).clamp_min(0.01)
        rest_S = low_S + (high_S - low_S) * self.rest
        return rest_S + (G_S - rest_S) * torch.exp(-t_s / (self.step_s * life))


def clocked(preset: "DevicePreset", step_s: float) -> "DevicePreset":
    """The preset with a mini-batch of `step_s` [s]; its figures then hold for one mean lifetime.

    Raises:
        RangeError: for a device without such a leak.
    """
    if preset.leak is None:
        raise RangeError(f"device {preset.name!r} has no leak that is counted in steps; leave device.step_s at 'none'")
    leak = replace(preset.leak, step_s=step_s)
    time = replace(preset.validity.time, high=leak.lifetime_steps * step_s, note="one mean lifetime")
    return replace(preset, leak=leak, validity=replace(preset.validity, time=time))
