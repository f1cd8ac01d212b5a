"""The norms of digital layers."""

import math

from torch import nn

from analogdeq.errors import InputError
from analogdeq.models.shapes import NORMS

CHANNELS_PER_GROUP = 8


def norm_of(kind: str, channels: int) -> nn.Module:
    """A norm of images with so many channels; group norms have about one group per eight of them.

    Raises:
        InputError: for an unknown kind.
    """
    if kind == "group":
        return nn.GroupNorm(math.gcd(channels, max(1, channels // CHANNELS_PER_GROUP)), channels)
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    raise InputError(f"unknown norm {kind!r}; known: {', '.join(NORMS)}")
