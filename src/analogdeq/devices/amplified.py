"""A preset whose devices err more than the measured ones, by one factor: for training and for margins."""

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
class AmplifiedRead:
    """Another read noise, `factor` times as large.

    Attributes:
        noise: the measured one.
        factor: [1].
    """

    noise: ReadNoise
    factor: float

    def sigma_S(self, G_S: Tensor, target_S: Tensor, t_s: float) -> Tensor:
        """[S]. `factor` times the measured standard deviation."""
        return self.factor * self.noise.sigma_S(G_S, target_S, t_s)


def amplified(preset: DevicePreset, factor: float) -> DevicePreset:
    """The same devices with `factor` times the standard deviation of programming and of reading.

    What is scaled: `sigma_S`, `deviation`, `mismatch_alpha` and `read_noise`. What is not, because it is no error of
    one write or one read: drift, relaxation, retention, faults, levels. Clipping at zero conductance comes after.

    Args:
        preset: the measured statistics.
        factor: [1]. 1 gives the preset itself; 0 devices without these errors.

    Raises:
        RangeError: for a factor that is negative or not finite, or devices programmed by pulses, whose error is the
            outcome of a simulation.
    """
    if not 0 <= factor < math.inf:
        raise RangeError(f"amplification = {factor} of device {preset.name!r} must be finite and not negative")
    if factor == 1:
        return preset
    if preset.pulses is not None:
        raise RangeError(
            f"device {preset.name!r} is programmed by pulses, so its error has no size to amplify by {factor:g}; widen "
            "the band of write-verify instead (device.write_tolerance), or take amplification 1"
        )
    deviation, read = preset.deviation, preset.read_noise
    if deviation is not None:
        deviation = replace(deviation, sigmas_S=tuple(Scaled(curve, 1.0, factor) for curve in deviation.sigmas_S))
    return replace(
        preset,
        sigma_S=tuple(factor * c for c in preset.sigma_S),
        mismatch_alpha=factor * preset.mismatch_alpha,
        deviation=deviation,
        read_noise=None if read is None else AmplifiedRead(read, factor),
    )
