"""Naive mapping beside hardware-aware training: what is trained, what is put on which chip, what is printed."""

import csv
import io
from dataclasses import asdict
from pathlib import Path

import pytest

from analogdeq.errors import InputError
from analogdeq.runs.hardware_table import TRAININGS, ChipRow, hardware_csv, hardware_rows, hardware_table

SMALL = (
    "model.nodes=8", "model.inputs=6", "task.train_limit=40", "task.test_limit=30", "train.epochs=1",
)  # fmt: skip


class Silent:
    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Nothing."""


def test_every_network_meets_every_chip_at_every_age_and_nothing_is_trained_twice(tmp_path: Path) -> None:
    def rows() -> list[ChipRow]:
        return hardware_rows(
            "digits-hardware-aware", SMALL, seeds=1, chips=2, ages_s=(0.0, 3600.0), folder=tmp_path, progress=Silent()
        )

    first = rows()
    found = {(row.training, row.train_seed, row.chip_seed, row.age_s) for row in first}
    assert found == {(name, 0, chip, age) for name in TRAININGS for chip in (0, 1) for age in (0.0, 3600.0)}
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("checkpoint.pt")}
    assert len(written) == 3
    assert rows() == first
    assert {path: path.stat().st_mtime_ns for path in written} == written
    kinds = {name: type(value) for name, value in asdict(first[0]).items()}
    read = list(csv.DictReader(io.StringIO(hardware_csv(first))))
    assert [ChipRow(**{name: kinds[name](value) for name, value in row.items()}) for row in read] == first


def test_losses_are_counted_from_the_naive_network_on_its_ideal_core_seed_by_seed() -> None:
    rows = [
        ChipRow(
            training=training, train_seed=seed, chip_seed=chip, age_s=0.0, accuracy=accuracy, accuracy_ideal=ideal,
            unsettled=1,
        )
        for training, ideal, accuracies in (("naive", 0.9, (0.8, 0.7)), ("hardware-aware", 0.5, (0.86, 0.9)))
        for seed in (0, 1)
        for chip, accuracy in enumerate(accuracies)
    ]  # fmt: skip
    naive, aware = hardware_table(rows).splitlines()[2:]
    assert naive == "| naive | 90.00 ± 0.00 % | 0 s | 75.00 ± 0.00 % | 15.00 ± 0.00 % | 70.00 % | 4 |"
    assert aware == "| hardware-aware | 50.00 ± 0.00 % | 0 s | 88.00 ± 0.00 % | 2.00 ± 0.00 % | 86.00 % | 4 |"


def test_a_scenario_that_trains_on_ideal_cores_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trains on ideal cores"):
        hardware_rows("digits-crossbar", (), seeds=1, chips=1, ages_s=(0.0,), folder=tmp_path, progress=Silent())
