"""Batches of 32 x 32 colour images in the layout CIFAR-10 introduced."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analogdeq.errors import DataError
from analogdeq.tasks.unpickle import unpickle

SIDE, COLOURS = 32, 3
NUMBERS = COLOURS * SIDE * SIDE

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def read_batch(path: Path, *, first_label: int, n_classes: int, md5: str | None = None) -> tuple[Images, Labels]:
    """Images and classes of one file.

    Args:
        path: a pickled dict with "data", (image, 3072) uint8, red plane first, and "labels".
        first_label: the label of class 0.
        n_classes: how many classes there are.
        md5: the checksum the file must have; None for any.

    Returns:
        (image, 3, 32, 32) and (image,), classes from 0.

    Raises:
        DataError: if the file is missing, has another checksum, is damaged, or holds anything else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 is not None and found != md5:
        raise DataError(
            f"{path}: its MD5 is {found}, the official file's {md5}; it is damaged or another file. Fetch it again, or "
            "take it as it is with --set task.checksums=none"
        )
    table = unpickle(path, content)
    data, labels = table.get("data"), table.get("labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != NUMBERS:
        said = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"{path}: 'data' must be uint8 of shape (image, {NUMBERS}), it is {said}")
    classes = _classes(labels, path) - first_label
    if len(classes) != len(data) or not len(data):
        raise DataError(f"{path}: {len(data)} images but {len(classes)} labels; the file is damaged or was edited")
    if classes.min() < 0 or classes.max() >= n_classes:
        low, high = int(classes.min()) + first_label, int(classes.max()) + first_label
        raise DataError(
            f"{path}: labels must lie within {first_label} to {first_label + n_classes - 1}, "
            f"they go from {low} to {high}"
        )
    return data.reshape(-1, COLOURS, SIDE, SIDE), classes


def _classes(labels: object, path: Path) -> Labels:
    try:
        table = np.asarray(labels)
    except (ValueError, TypeError):
        table = np.empty(0, dtype=object)
    if table.ndim != 1 or not np.issubdtype(table.dtype, np.integer):
        raise DataError(f"{path}: 'labels' must be a list of whole numbers, one per image")
    return table.astype(np.int64)
