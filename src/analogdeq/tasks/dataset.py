"""A labelled data set with a fixed split."""

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from analogdeq.errors import InputError

LEVELS = 255
"""The brightest value of images stored as whole numbers."""


@final
@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images and classes.

    Attributes:
        train_x: (image, pixel) or (image, channel, height, width). float32 from 0 to 1, or uint8 from 0 to 255.
        train_y: (image,) int64.
        test_x: like `train_x`.
        test_y: (image,) int64.
        n_classes: classes are 0 to n_classes - 1.
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    n_classes: int

    def hold_out(self, n: int | None) -> "Dataset":
        """The last n training images in the place of the test images, and no longer trained on.

        Raises:
            InputError: if no training image would be left.
        """
        if n is None:
            return self
        if n >= len(self.train_y):
            raise InputError(
                f"{n} images cannot be held out of {len(self.train_y)} training images; hold out fewer, so that some "
                "are left to train on"
            )
        (x, test_x), (y, test_y) = ((whole[:-n], whole[-n:]) for whole in (self.train_x, self.train_y))
        return replace(self, train_x=x, train_y=y, test_x=test_x, test_y=test_y)

    def limit_test(self, n: int | None) -> "Dataset":
        """The same with only the first n test images."""
        return self if n is None else replace(self, test_x=self.test_x[:n], test_y=self.test_y[:n])

    def limit_train(self, n: int | None) -> "Dataset":
        """The same with only the first n training images."""
        return self if n is None else replace(self, train_x=self.train_x[:n], train_y=self.train_y[:n])

    def to(self, device: torch.device) -> "Dataset":
        """The same on a device."""
        moved = {name: getattr(self, name).to(device) for name in ("train_x", "train_y", "test_x", "test_y")}
        return replace(self, **moved)


def pixels(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Images as numbers from 0 to 1, whichever way they are stored."""
    return x.to(dtype) / LEVELS if x.dtype == torch.uint8 else x.to(dtype)
