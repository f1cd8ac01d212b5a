"""The UCI handwritten digits, 8 x 8 pixels, shipped with the package."""

from pathlib import Path

import numpy as np
import torch

from analogdeq.errors import DataError
from analogdeq.resources import resource_path
from analogdeq.tasks.dataset import Dataset

IMAGES, PIXELS, CLASSES, LEVELS = 1797, 64, 10, 16


def load_digits(path: Path | None = None) -> Dataset:
    """Read the digits; the split is a column of the file.

    Args:
        path: another file of the same form; the shipped one if None.

    Raises:
        DataError: if the file is missing, cut short, or holds anything but 1,797 images of 64 pixels from 0 to 16,
            some to train and some to test.
    """
    path = path or resource_path("data", "digits", "digits.csv")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the digits cannot be read: {error}") from None
    header = ["split", "label", *(f"p{k}" for k in range(PIXELS))]
    if not lines or lines[0].split(",") != header:
        raise DataError(f"{path}: the first line must be 'split,label,p0,...,p{PIXELS - 1}'; is this the digits file?")
    if len(lines) != IMAGES + 1:
        raise DataError(f"{path}: holds {len(lines) - 1} images, not {IMAGES}; the file is cut short or was edited")
    rows = [line.split(",") for line in lines[1:]]
    split = [row[0] for row in rows]
    if set(split) != {"train", "test"}:
        strange = [word for word in split if word not in ("train", "test")]
        said = f"it says {strange[0][:20]!r}" if strange else f"every row says {split[0]!r}"
        raise DataError(f"{path}: the column 'split' must say train for some images and test for others; {said}")
    try:
        table = np.array([row[1:] for row in rows], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path}: every image needs a label and {PIXELS} whole numbers: {error}") from None
    labels, pixels = table[:, 0], table[:, 1:]
    if pixels.shape[1] != PIXELS or pixels.min() < 0 or pixels.max() > LEVELS or not set(labels) <= set(range(CLASSES)):
        raise DataError(f"{path}: labels must be 0 to {CLASSES - 1} and pixels 0 to {LEVELS}, {PIXELS} of them")
    x = torch.tensor(pixels / LEVELS, dtype=torch.float32)
    y = torch.tensor(labels)
    test = torch.tensor([word == "test" for word in split])
    return Dataset(train_x=x[~test], train_y=y[~test], test_x=x[test], test_y=y[test], n_classes=CLASSES)
