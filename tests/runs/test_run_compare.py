"""Comparing runs: figures from their files, gathered by scenario, with what makes them incomparable."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_runs import SILENT, SMALL

from analogdeq.errors import InputError
from analogdeq.runs.compare import compare, train_seeds

QUICK = [*SMALL, "task.train_limit=128"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of a hybrid, one of each baseline."""
    folder = tmp_path_factory.mktemp("compared")
    return [
        *train_seeds("digits-crossbar", QUICK, 2, folder, SILENT),
        *train_seeds("digits-digital", QUICK, 1, folder, SILENT),
        *train_seeds("digits-feedforward", QUICK, 1, folder, SILENT),
    ]


def last_row(path: Path) -> dict:
    return json.loads((path / "metrics.jsonl").read_text().splitlines()[-1])


def test_runs_of_a_scenario_are_gathered_and_the_figures_are_those_of_their_files(runs: list[Path]) -> None:
    hybrid, digital, feedforward = compare(runs)["contenders"]
    assert [one["kind"] for one in (hybrid, digital, feedforward)] == ["hybrid", "digital", "feedforward"]
    assert hybrid["seeds"] == [0, 1]
    accuracies = [last_row(path)["test_accuracy"] for path in runs[:2]]
    assert hybrid["accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
    assert hybrid["accuracy"]["half_width_95"] == pytest.approx(12.706 * abs(np.diff(accuracies)[0]) / 2, rel=1e-3)
    assert hybrid["difference_from_first"] is None
    expected = last_row(runs[3])["test_accuracy"] - np.mean(accuracies)
    assert feedforward["difference_from_first"]["mean"] == pytest.approx(expected)
    assert feedforward["forward_evaluations"] == 1
    assert hybrid["forward_evaluations"] > digital["forward_evaluations"] > 1
    assert hybrid["parameters"] == 64 * 8 + 8 + 8 * 8 + 8 * 8 + 8 + 8 * 10 + 10
    assert hybrid["macs_measured"] > digital["macs_measured"] > feedforward["macs_measured"]


def test_what_makes_runs_incomparable_is_said(runs: list[Path], tmp_path: Path) -> None:
    assert compare(runs[:2])["warnings"] == []
    assert compare(runs[1:])["warnings"] == [
        "digits-crossbar has one seed: no interval",
        "digits-digital has one seed: no interval",
        "digits-feedforward has one seed: no interval",
    ]
    (other,) = train_seeds("digits-crossbar", [*QUICK, "task.test_limit=20", "train.epochs=2"], 1, tmp_path, SILENT)
    result = compare([*runs[:2], other])
    assert result["contenders"][1]["name"] == "digits-crossbar (2)"
    assert any("another task or another part" in warning for warning in result["warnings"])
    assert any("for 2 epochs, digits-crossbar for 1" in warning for warning in result["warnings"])


def test_what_has_been_trained_is_not_trained_again(runs: list[Path]) -> None:
    before = (runs[0] / "metrics.jsonl").read_bytes()
    assert train_seeds("digits-crossbar", QUICK, 2, runs[0].parent, SILENT) == runs[:2]
    assert (runs[0] / "metrics.jsonl").read_bytes() == before


def test_a_folder_of_another_scenario_is_refused(runs: list[Path]) -> None:
    with pytest.raises(InputError, match="holds a run of another scenario; choose another folder"):
        train_seeds("digits-crossbar", [*QUICK, "train.batch_size=64"], 1, runs[0].parent, SILENT)


def test_what_cannot_be_compared_is_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="training seed 0 is named already"):
        compare([runs[0], runs[0]])
    with pytest.raises(InputError, match="not a run directory"):
        compare([tmp_path])
