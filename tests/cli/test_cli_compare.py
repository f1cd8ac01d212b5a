"""`analogdeq compare`, `--data-dir`, and models no chip is made of, from the command line."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from command_line import Command

QUICK = (
    "--set", "model.nodes=8", "--set", "model.inputs=6", "--set", "train.epochs=1", "--set", "train.batch_size=64",
    "--set", "task.train_limit=64", "--set", "task.test_limit=20",
)  # fmt: skip


def test_scenarios_are_trained_and_put_side_by_side(cli: Command, tmp_path: Path) -> None:
    words = ("compare", "digits-crossbar", "digits-digital", "digits-feedforward", "--seeds", 2, *QUICK)
    answer = cli(*words)
    assert answer.code == 0, answer.err
    for word in ("test accuracy", "parameters", "evaluations forward", "wall time", "digits-feedforward", "±"):
        assert word in answer.out
    assert len(list((tmp_path / "runs" / "compare").iterdir())) == 6
    again = cli("compare", *(tmp_path / "runs" / "compare").glob("*seed0"), "--json").json
    assert {one["kind"] for one in again["contenders"]} == {"hybrid", "digital", "feedforward"}
    assert len(again["warnings"]) == 3


@pytest.mark.parametrize("kind", ["digital", "feedforward"])
def test_a_chip_of_a_baseline_is_refused_before_training(cli: Command, tmp_path: Path, kind: str) -> None:
    answer = cli("run", f"digits-{kind}", *QUICK)
    assert answer.code == 2
    assert f"kind = '{kind}'" in answer.err
    assert "analogdeq train" in answer.err
    assert not (tmp_path / "runs").exists()


def test_train_prints_what_the_model_is_made_of(cli: Command) -> None:
    answer = cli("train", "digits-crossbar", *QUICK)
    parameters = 64 * 6 + 6 + 8 * 8 + 8 * 6 + 8 + 8 * 10 + 10
    assert f"{parameters:,}  (20 % in equilibria)" in answer.out
    assert "multiply-accumulates" in answer.out


def test_photographs_are_learnt_from_the_folder_that_is_named(
    cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALOGDEQ_DATA", "/nowhere")  # also puts it back afterwards
    folder, draw = tmp_path / "data" / "cifar-10-batches-py", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        table = {b"data": draw.integers(0, 256, (6, 3072), dtype=np.uint8), b"labels": list(range(6))}
        (folder / name).write_bytes(pickle.dumps(table))
    words = ("--set", "task.name=cifar10", "--set", "model.inputs=4", "--set", "model.nodes=8")
    words = (*words, "--set", "train.epochs=1", "--data-dir", tmp_path / "data")
    refused = cli("train", "digits-crossbar", *words)
    assert refused.code == 1
    assert "MD5" in refused.err
    answer = cli("train", "digits-crossbar", *words, "--set", "task.checksums=none", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["last_epoch"]["epoch"] == 1
