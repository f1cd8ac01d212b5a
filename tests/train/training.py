"""A network of eight nodes and a slice of the digits: epochs that take a fraction of a second."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analogdeq.models.hybrid import HybridDEQ, digits_model
from analogdeq.tasks.dataset import Dataset
from analogdeq.tasks.digits import load_digits
from analogdeq.train.fit import Trainer
from analogdeq.train.options import FitOptions


@cache
def some_digits() -> Dataset:
    all_of_them = load_digits()
    return Dataset(
        train_x=all_of_them.train_x[:150],
        train_y=all_of_them.train_y[:150],
        test_x=all_of_them.test_x[:50],
        test_y=all_of_them.test_y[:50],
        n_classes=10,
    )


def small_model(seed: int = 0, *, nodes: int = 8) -> HybridDEQ:
    return digits_model(
        pixels=64,
        inputs=6,
        nodes=nodes,
        classes=10,
        activation="tanh",
        analog_init_gain=0.5,
        tau_s=1e-8,
        gain=1.0,
        generator=torch.Generator().manual_seed(seed),
    )


def options(epochs: int = 2, **changes: Any) -> FitOptions:
    return FitOptions(
        **{
            "epochs": epochs,
            "batch_size": 32,
            "lr_digital": 3e-3,
            "lr_analog": 3e-3,
            "weight_decay": 1e-4,
            "spectral_bound": 0.9,
            "input_noise": 0.1,
            **changes,
        }
    )


def trainer(seed: int = 0, **changes: Any) -> Trainer:
    return Trainer(small_model(seed), some_digits(), options(**changes))


def fit(training: Trainer, folder: Path) -> list[dict[str, Any]]:
    """Train to the end with the files of `folder`; the rows of its metrics."""
    training.fit(folder / "checkpoint.pt", folder / "metrics.jsonl", "name = 'small'", lambda row: None)
    return rows(folder)


def rows(folder: Path) -> list[dict[str, Any]]:
    """The metrics, read without the package."""
    file = folder / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def untimed(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the one column that may differ between equal trainings."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in table]


def same_bits(one: Any, two: Any) -> bool:
    """Whether two nests of dicts, lists and tensors are equal to the last bit."""
    if isinstance(one, Tensor):
        return isinstance(two, Tensor) and one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return isinstance(two, dict) and one.keys() == two.keys() and all(same_bits(one[k], two[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same_bits, one, two))
    return bool(one == two)
