"""Hardware-aware training: which chips the minibatches settle on."""

from typing import Literal, final

from pydantic import Field, ValidationInfo, field_validator

from analogdeq.scenario.quantity import Ratio, Second
from analogdeq.scenario.section import Section, broken_rule
from analogdeq.scenario.text import Slug


@final
class Hardware(Section):
    """Hardware-aware training; off by default. W, U and b go through the chip, encoder and readout are digital."""

    draws: Literal["none", "minibatch"] = "none"
    """"minibatch": every minibatch settles on a new chip of `[circuit]` that holds the weights as they are then, and
    gradients pass straight through its devices (docs/hardware-aware.md). "none": on the ideal core."""

    preset: Slug | None = None
    """Name of the device preset trained with; "none" is that of `[device]`, on which the network is evaluated."""

    amplification: Ratio = Field(default=1.0, ge=0, le=100)
    """Factor on programming error and read noise of the devices trained with; drift stays as measured."""

    youngest_s: Second | None = Field(default=None, gt=0, le=1e12)
    """Least age of a chip, from which ages are drawn log-uniformly up to `oldest_s`; "none" for both: first read."""

    oldest_s: Second | None = Field(default=None, gt=0, le=1e12)
    """Greatest age of a chip, within the preset's range of time unless `device.allow` says "time"."""

    compensation: Literal["on", "off"] = "on"
    """Whether global drift compensation acts right before an aged chip is read."""

    read_noise: Literal["on", "off"] = "on"
    """Whether every minibatch reads the devices with noise: one read for all its images."""

    clip_rms: Ratio | None = Field(default=None, gt=1, le=100)
    """After each step W, U and b are clipped to this multiple of their root mean square, because the largest weight
    sets the size of all errors; "none" leaves them. Acts with `draws = "none"` too."""

    @field_validator("oldest_s")
    @classmethod
    def _has_both_ends(cls, oldest_s: float | None, info: ValidationInfo) -> float | None:
        youngest_s = info.data.get("youngest_s")
        if (youngest_s is None) != (oldest_s is None):
            raise broken_rule(("youngest_s", "oldest_s"), "ages need both ends; give both or neither")
        if youngest_s is not None and oldest_s is not None and youngest_s > oldest_s:
            raise broken_rule(("youngest_s", "oldest_s"), "the youngest chip must not be older than the oldest")
        return oldest_s
