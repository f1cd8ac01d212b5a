"""The shapes of a model: what its builders are told."""

from dataclasses import dataclass
from typing import final

from analogdeq.errors import InputError

KINDS = ("hybrid", "digital", "feedforward")
ENCODERS = ("strided", "pooled")
NORMS = ("group", "batch")


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


@final
@dataclass(frozen=True, kw_only=True)
class DigitalLayers:
    """What stands before each convolutional core, and before the readout.

    Attributes:
        encoder: "strided": before each core one convolution, strided to the core's side, into `inputs` channels.
            "pooled": one convolution of the whole image into `inputs` channels, and before each core a maximum over
            the pixels that become one; all further channels are the core's before.
        norm: "group": over groups of channels of each image. "batch": of each channel over a batch, and in evaluation
            by running means, when it is a scale and a shift that U and b could hold.
        dropout: probability of a number to be left out in training, before each core and before the classes.
        readout_side: rows and columns of averages in which the readout sees the last image, which may have fewer.

    Source: Y. Wu, K. He, ECCV 2018, and S. Ioffe, C. Szegedy, ICML 2015, for the norms; N. Srivastava et al., JMLR
    15:1929 (2014), for dropout.
    """

    encoder: str = "strided"
    norm: str = "group"
    dropout: float = 0.0
    readout_side: int = 2


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
