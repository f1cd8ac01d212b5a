"""The shapes of a model: what its builders are told."""

from dataclasses import dataclass
from typing import final

from analogdeq.errors import InputError

KINDS = ("hybrid", "digital", "feedforward")


@final
@dataclass(frozen=True)
class Stage:
    """One convolutional core: channels on a square image.

    Attributes:
        channels: C.
        side: [pixel].
    """

    channels: int
    side: int


def read_stages(text: str, image_side: int) -> tuple[Stage, ...]:
    """The stages of "48@32, 64@16".

    Args:
        text: channels@side of each stage.
        image_side: [pixel]. Of the image the first one sees.

    Raises:
        InputError: if a side does not divide the one before it.
    """
    stages = tuple(Stage(*map(int, part.strip().split("@"))) for part in text.split(","))
    before = image_side
    for stage in stages:
        if before % stage.side:
            raise InputError(
                f"stages {text!r}: an image of side {before} cannot shrink to {stage.side}; take a divisor of {before}"
            )
        before = stage.side
    return stages
