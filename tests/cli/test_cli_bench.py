"""`analogdeq bench adjoint` and `bench train`: what they write and what they refuse."""

import csv
from pathlib import Path

import pytest
from command_line import Command

ADJOINT = ("bench", "adjoint", "--levels", "0.1", "--budgets", "8", "--samples", "2", "--draws", "1", "--out", "here")


def test_bench_adjoint_writes_rows_a_table_and_a_picture_of_both_cores(cli: Command, tmp_path: Path) -> None:
    answer = cli(*ADJOINT, "--epochs", "0")
    assert answer.code == 0, answer.err
    rows = list(csv.DictReader((tmp_path / "here" / "adjoint.csv").read_text().splitlines()))
    assert {row["core"] for row in rows} == {"random", "trained"}
    assert {row["noise"] for row in rows} == {"none", "fresh", "frozen", "additive"}
    assert {row["budget"] for row in rows} == {"8"}
    table = (tmp_path / "here" / "adjoint.txt").read_text()
    assert "trained: 64 nodes, 2 samples" in table
    assert table.strip() in answer.out
    assert (tmp_path / "here" / "adjoint.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("levels", ["", "ten", "0.1,-1", "0.1;0.2"])
def test_bench_adjoint_refuses_levels_that_are_no_numbers(cli: Command, levels: str) -> None:
    answer = cli("bench", "adjoint", "--levels", levels)
    assert answer.code == 2
    assert "separated by commas" in answer.err


def test_bench_train_prints_one_json_object_with_every_ratio(cli: Command) -> None:
    answer = cli(
        "bench", "train", "--nodes", 8, "--batch", 2, "--repeat", 1, "--threads", 1, "--max-error", 0.05, "--json"
    )
    assert answer.code == 0, answer.err
    assert answer.json["rows"][0]["over_plain"] == 1
    assert answer.json["spec"]["nodes"] == 8
