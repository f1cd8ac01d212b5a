"""Metrics: one row per line, readable while they grow and after a crash."""

import json
from pathlib import Path

import pytest

from analogdeq.errors import DataError
from analogdeq.train.metrics import append_metrics, cut_metrics, read_metrics


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.jsonl"
    for epoch in (1, 2, 3):
        append_metrics(path, {"epoch": epoch, "loss": 1 / epoch})
    return path


def test_every_row_is_one_line_of_json(file: Path) -> None:
    assert [json.loads(line) for line in file.read_text().splitlines()] == read_metrics(file)
    assert [row["epoch"] for row in read_metrics(file)] == [1, 2, 3]


def test_no_file_is_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl") == []


@pytest.mark.parametrize("end", [b'{"epoch": 4', b'{"epoch": 4}', b"\xff\xfe", b"\x00\x00"])
def test_a_last_line_that_was_not_finished_is_left_out(file: Path, end: bytes) -> None:
    file.write_bytes(file.read_bytes() + end)
    assert [row["epoch"] for row in read_metrics(file)] == [1, 2, 3]


@pytest.mark.parametrize("line", [b"{", b"nonsense", b"[1, 2]", b'{"loss": 1}', b'{"epoch": "two"}', b"\xff\xfe", b""])
def test_a_damaged_line_is_named_and_nothing_is_thrown_away(file: Path, line: bytes) -> None:
    lines = file.read_bytes().splitlines()
    damaged = b"\n".join([lines[0], line, lines[2]]) + b"\n"
    file.write_bytes(damaged)
    for use in (read_metrics, lambda path: cut_metrics(path, 1)):
        with pytest.raises(DataError, match=r"metrics\.jsonl: line 2 "):
            use(file)
    assert file.read_bytes() == damaged


def test_cutting_keeps_the_rows_up_to_an_epoch(file: Path) -> None:
    before = file.read_bytes()
    cut_metrics(file, 3)
    assert file.read_bytes() == before
    cut_metrics(file, 1)
    assert [row["epoch"] for row in read_metrics(file)] == [1]
    cut_metrics(file, 0)
    assert read_metrics(file) == []
    assert [path.name for path in file.parent.iterdir()] == ["metrics.jsonl"]


def test_cutting_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    cut_metrics(tmp_path / "metrics.jsonl", 1)
    assert list(tmp_path.iterdir()) == []


def test_metrics_that_cannot_be_written_or_read_are_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        append_metrics(tmp_path / "nowhere" / "metrics.jsonl", {"epoch": 1})
    with pytest.raises(DataError, match="cannot be read"):
        read_metrics(tmp_path)
