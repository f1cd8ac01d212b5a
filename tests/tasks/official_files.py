"""Small files in the official formats of CIFAR-10 and ImageNet-32."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np


def images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), dtype=np.uint8)


def cifar_batch(n: int = 4, seed: int = 0, **changes: Any) -> dict[bytes, Any]:
    labels = np.random.default_rng(seed + 100).integers(0, 10, n).tolist()
    table = {b"batch_label": b"made up", b"labels": labels, b"data": images(n, seed)}
    return {**table, **{name.encode(): value for name, value in changes.items()}}


def write_cifar(folder: Path, *, protocol: int = 2, n: int = 4) -> Path:
    """A `cifar-10-batches-py` of n images a file."""
    batches = folder / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    for k, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        (batches / name).write_bytes(pickle.dumps(cifar_batch(n, k), protocol=protocol))
    return batches


def write_imagenet(train: Path, val: Path, n: int = 3) -> None:
    """The eleven files, with text keys, a mean, and labels from 1."""
    for folder in (train, val):
        folder.mkdir(parents=True, exist_ok=True)
    for k in range(1, 11):
        labels = [1, 1000, 100 * k][:n]
        table = {"data": images(n, k), "labels": labels, "mean": np.zeros(3072)}
        (train / f"train_data_batch_{k}").write_bytes(pickle.dumps(table))
    (val / "val_data").write_bytes(pickle.dumps({"data": images(n, 0), "labels": [1, 500, 1000][:n]}))
