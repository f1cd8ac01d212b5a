"""Random changes to training images, a whole batch at once, on whatever device the batch is."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Generator, Tensor
from torch.nn import functional

from analogdeq.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class Draw:
    """One random change per image.

    Attributes:
        down: (image,) int64. First row of the crop in the padded image.
        right: (image,) int64. First column.
        flip: (image,) bool.
    """

    down: Tensor
    right: Tensor
    flip: Tensor

    def rows(self, index: Tensor) -> "Draw":
        """The changes of some images."""
        return Draw(down=self.down[index], right=self.right[index], flip=self.flip[index])


@final
@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Pad with zeros, crop to the size before at random, flip left to right at random.

    Attributes:
        pad: [pixel] on every side.
        flip: probability.

    Raises:
        InputError: if `pad` is negative or `flip` no probability.

    Source: the augmentation of C.-Y. Lee et al., AISTATS 2015, as K. He et al., CVPR 2016, section 4.2, use it: 4, 1/2.
    """

    pad: int = 4
    flip: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if self.pad < 0 or not 0 <= self.flip <= 1:
            raise InputError(f"augmentation pad = {self.pad} must not be negative, flip = {self.flip} within 0 to 1")

    def draw(self, n: int, generator: Generator) -> Draw:
        """The changes of n images."""
        places = torch.randint(2 * self.pad + 1, (2, n), generator=generator)
        return Draw(down=places[0], right=places[1], flip=torch.rand(n, generator=generator) < self.flip)

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        """(image, channel, height, width), changed; every image by its own draw, without a loop."""
        (height, width), device = x.shape[2:], x.device
        columns = torch.arange(width, device=device).expand(len(x), width)
        columns = torch.where(draw.flip.to(device).unsqueeze(1), columns.flip(1), columns)
        columns = columns + draw.right.to(device).unsqueeze(1)
        rows = torch.arange(height, device=device) + draw.down.to(device).unsqueeze(1)
        padded = functional.pad(x, [self.pad] * 4)
        images = torch.arange(len(x), device=device)[:, None, None, None]
        channels = torch.arange(x.shape[1], device=device)[None, :, None, None]
        return padded[images, channels, rows[:, None, :, None], columns[:, None, None, :]]
