"""A preset that errs more, or less, than was measured: to study what a network bears, and to train for it."""

import math
from dataclasses import dataclass, replace
from typing import final

from torch import Tensor

from analogdeq.devices.curve import Scaled
from analogdeq.devices.preset import DevicePreset
from analogdeq.devices.read_noise import ReadNoise
from analogdeq.errors import RangeError


@final
@dataclass(frozen=True)
class AmplifiedReadNoise:
    """Read noise `factor` times as large at every conductance and time.

    Attributes:
        noise: as measured.
        factor: [1]. Of the standard deviation.
    """

    noise: ReadNoise
    factor: float

    def sigma_S(self, G_S: Tensor, target_S: Tensor, t_s: float) -> Tensor:
        """[S]. Standard deviation of a read at time t."""
        return self.factor * self.noise.sigma_S(G_S, target_S, t_s)


def amplified(preset: DevicePreset, *, programming: float = 1.0, read: float = 1.0) -> DevicePreset:
    """The preset with its programming error and its read noise multiplied; drift, faults and all else as they were.

    The draws stay: a device that landed one standard deviation above its target does so still.

    Args:
        preset: as measured.
        programming: [1]. Factor of the standard deviation of the programmed conductance; 0 programmes exactly.
        read: [1]. Factor of the standard deviation of a read.

    Raises:
        RangeError: for a negative or infinite factor, or a programming error that is simulated pulse by pulse.
    """
    for name, factor in (("programming", programming), ("read", read)):
        if not (0 <= factor < math.inf):
            raise RangeError(f"the {name} noise cannot be multiplied by {factor}; want a finite factor, not negative")
    noise = preset.read_noise
    if noise is not None and read != 1:
        preset = replace(preset, read_noise=AmplifiedReadNoise(noise, read))
    if programming == 1:
        return preset
    if preset.pulses is not None:
        raise RangeError(
            f"device {preset.name!r} is programmed by simulated pulses; its error has no factor, vary "
            "device.write_tolerance instead"
        )
    deviation = preset.deviation
    if deviation is not None:
        deviation = replace(deviation, sigmas_S=tuple(Scaled(curve, 1.0, programming) for curve in deviation.sigmas_S))
    return replace(
        preset,
        sigma_S=tuple(programming * c for c in preset.sigma_S),
        mismatch_alpha=programming * preset.mismatch_alpha,
        deviation=deviation,
    )
