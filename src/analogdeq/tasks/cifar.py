"""CIFAR-10 in its official python batches."""

from pathlib import Path

import numpy as np
import torch

from analogdeq.errors import DataError
from analogdeq.tasks.batch import read_batch
from analogdeq.tasks.dataset import Dataset
from analogdeq.tasks.download import fetch_archive
from analogdeq.tasks.folders import data_folder

FOLDER = "cifar-10-batches-py"
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
TRAIN_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
TEST_MD5 = {"test_batch": "40351d587109b95175f43aff81a1287e"}
CLASSES = 10


def load_cifar10(folder: Path | None = None, *, checksums: str = "official", url: str = URL) -> Dataset:
    """50,000 training and 10,000 test images of 3 x 32 x 32 pixels, uint8.

    Args:
        folder: holds `cifar-10-batches-py`; `data_folder()` if None. If it does not, the archive is downloaded.
        checksums: "official": every file must have its published MD5; "none": any file in the official format will do.
        url: where the archive is.

    Raises:
        DataError: if the files are missing and cannot be downloaded, or any of them is damaged.

    Source: A. Krizhevsky, Learning multiple layers of features from tiny images, technical report (2009).
    """
    folder = data_folder() if folder is None else folder
    batches = folder / FOLDER
    if not batches.is_dir():
        fetch_archive(url, ARCHIVE_MD5, folder, FOLDER)
    missing = [name for name in (*TRAIN_MD5, *TEST_MD5) if not (batches / name).is_file()]
    if missing:
        raise DataError(f"{batches}: has no {missing[0]}; remove the folder to fetch it anew, or complete it")
    (train_x, train_y), (test_x, test_y) = (_read(batches, of, checksums) for of in (TRAIN_MD5, TEST_MD5))
    return Dataset(train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y, n_classes=CLASSES)


def _read(folder: Path, md5: dict[str, str], checksums: str) -> tuple[torch.Tensor, torch.Tensor]:
    parts = [
        read_batch(
            folder / name, first_label=0, n_classes=CLASSES, md5=known if checksums == "official" else None
        )
        for name, known in md5.items()
    ]  # fmt: skip
    images, labels = zip(*parts, strict=True)
    return torch.from_numpy(np.concatenate(images)), torch.from_numpy(np.concatenate(labels))
