"""Chips side by side: what evaluated runs measured, and whether it is at equal accuracy."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_runs import SILENT, SMALL

from analogdeq.errors import DataError
from analogdeq.runs.compare import compare, train_seeds
from analogdeq.runs.compare_chips import OnChip, comparability, mean_on_chip, read_chip


def evaluated(accuracy: float, energy_J: float, **more: Any) -> dict[str, Any]:
    return {
        "images": 400,
        "accuracy_chip": accuracy,
        "fraction_not_settled": 0.0,
        "t_settle_s": {"p50": 2e-8, "p95": 3e-8, "max": 4e-8},
        "energy_J": {"mean": energy_J, "p95": 2 * energy_J},
        **more,
    }


def chip(accuracy: float) -> OnChip:
    found = mean_on_chip([evaluated(accuracy, 1e-9)])
    assert found is not None
    return found


def test_the_mean_is_over_the_evaluated_runs() -> None:
    found = mean_on_chip([evaluated(0.9, 1e-9), evaluated(1.0, 3e-9)])
    assert found is not None
    assert (found.runs, found.images) == (2, 400)
    assert found.accuracy == pytest.approx(0.95)
    assert found.energy_J == pytest.approx(2e-9, rel=1e-6, abs=0)
    assert found.settle_p50_s == pytest.approx(2e-8, rel=1e-6, abs=0)
    assert found.settle_p50_cycles is None
    assert mean_on_chip([]) is None


def test_cycles_are_those_of_oscillators() -> None:
    found = mean_on_chip([evaluated(0.9, 1e-9, t_settle_cycles={"p50": 19.0})])
    assert found is not None
    assert found.settle_p50_cycles == 19.0


def test_equal_accuracy_is_what_that_many_images_cannot_tell_apart() -> None:
    """At 0.9 and 400 images a difference has a standard deviation of 2.12 points, so 4.16 can be told."""
    assert "4.2 can be told from 400 images" in comparability("b", chip(0.9), "a", chip(0.9))
    assert "are equally accurate" in comparability("b", chip(0.87), "a", chip(0.9))
    assert "are not equally accurate" in comparability("b", chip(0.84), "a", chip(0.9))


def test_a_run_that_was_only_trained_has_no_chip(tmp_path: Path) -> None:
    assert read_chip(tmp_path) is None
    (tmp_path / "summary.json").write_text("{}")
    assert read_chip(tmp_path) is None
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(DataError, match="analogdeq evaluate"):
        read_chip(tmp_path)


def test_two_kinds_of_core_stand_side_by_side_with_their_joules(tmp_path: Path) -> None:
    (one,) = train_seeds("digits-crossbar", [*SMALL, "task.train_limit=64"], 1, tmp_path, SILENT)
    other = tmp_path / "other"
    shutil.copytree(one, other)
    text = (other / "scenario.toml").read_text()
    (other / "scenario.toml").write_text(text.replace('name = "digits-crossbar"', 'name = "second"'))
    (one / "summary.json").write_text(json.dumps(evaluated(0.9, 5e-9)))
    (other / "summary.json").write_text(json.dumps(evaluated(0.5, 1e-9, t_settle_cycles={"p50": 19.0})))
    result = compare([one, other])
    first, second = result["contenders"]
    assert (first["chip"]["energy_J"], second["chip"]["energy_J"]) == (5e-9, 1e-9)
    assert second["chip"]["settle_p50_cycles"] == 19.0
    assert any("not equally accurate" in warning for warning in result["warnings"])
