"""A labelled data set with a fixed split."""

from dataclasses import dataclass
from typing import final

from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images and classes.

    Attributes:
        train_x: (image, pixel) float32, 0 to 1.
        train_y: (image,) int64.
        test_x: (image, pixel) float32, 0 to 1.
        test_y: (image,) int64.
        n_classes: classes are 0 to n_classes - 1.
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    n_classes: int

    def limit_test(self, n: int | None) -> "Dataset":
        """The same with only the first n test images."""
        if n is None:
            return self
        return Dataset(
            train_x=self.train_x,
            train_y=self.train_y,
            test_x=self.test_x[:n],
            test_y=self.test_y[:n],
            n_classes=self.n_classes,
        )
