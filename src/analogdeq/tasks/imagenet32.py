"""ImageNet downsampled to 32 x 32 pixels, in its official files."""

from pathlib import Path

import numpy as np
import torch

from analogdeq.errors import DataError
from analogdeq.tasks.batch import read_batch
from analogdeq.tasks.dataset import Dataset
from analogdeq.tasks.folders import data_folder

TRAIN = tuple(f"train_data_batch_{k}" for k in range(1, 11))
TEST = ("val_data",)
FOLDERS = ("imagenet32", "Imagenet32_train", "Imagenet32_val", ".")
"""Where the files may lie in the data folder: together, as the official archives unpack, or in the folder itself."""
CLASSES = 1000


def load_imagenet32(folder: Path | None = None) -> Dataset:
    """1,281,167 training and 50,000 validation images of 3 x 32 x 32 pixels, uint8; labels in the files count from 1.

    The files need an account at image-net.org, so nothing is downloaded here.

    Args:
        folder: holds the files, see `FOLDERS`; `data_folder()` if None.

    Raises:
        DataError: if a file is missing or damaged.

    Source: P. Chrabaszcz, I. Loshchilov, F. Hutter, arXiv:1707.08819.
    """
    folder = data_folder() if folder is None else folder
    (train_x, train_y), (test_x, test_y) = (_read(folder, names) for names in (TRAIN, TEST))
    return Dataset(train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y, n_classes=CLASSES)


def _read(folder: Path, names: tuple[str, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    parts = [read_batch(_find(folder, name), first_label=1, n_classes=CLASSES) for name in names]
    images, labels = zip(*parts, strict=True)
    return torch.from_numpy(np.concatenate(images)), torch.from_numpy(np.concatenate(labels))


def _find(folder: Path, name: str) -> Path:
    for place in FOLDERS:
        if (folder / place / name).is_file():
            return folder / place / name
    places = ", ".join(str(folder / place) for place in FOLDERS)
    raise DataError(
        f"ImageNet-32 has no {name}; looked in {places}. Download the 32 x 32 archives from image-net.org, unpack them "
        "there, or name another folder with --data-dir"
    )
