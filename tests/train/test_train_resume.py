"""A training that was cut off goes on as if it had not been."""

import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from training import fit, rows, same_bits, small_model, some_digits, trainer, untimed
from training import options as fit_options

from analogdeq.errors import CheckpointError, DataError
from analogdeq.train import fit as fit_module
from analogdeq.train.fit import Trainer

EPOCHS = 4
DIES_IN_EPOCH_THREE = """
import os, signal, sys, torch
from pathlib import Path
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from training import fit, trainer

training, steps = trainer(epochs=4), [0]

def count(module, args):
    steps[0] += training.model.training
    if steps[0] == 2 * 5 + 3:  # five steps an epoch
        os.kill(os.getpid(), signal.SIGKILL)

training.model.register_forward_pre_hook(count)
fit(training, Path(sys.argv[2]))
"""


RECIPE = """
import os, signal, sys, torch
from pathlib import Path
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from training import fit, rows
from analogdeq.build import build_data, build_fit_options, build_model
from analogdeq.scenario import load_scenario
from analogdeq.train.fit import Trainer

# All that the recipes use: a chain, spectral bounds, warm-up, cosine, augmentation, a random penalty, two groups.
scenario = load_scenario("cifar10", [
    "model.stages=6@8, 5@4", "model.inputs=4", "train.precision=full", "train.epochs=3", "train.batch_size=8",
    "task.train_limit=20", "task.test_limit=4", "task.checksums=none", "train.device=cpu",
    "train.penalty.probability=0.5", "train.warmup_epochs=1"])
folder, dies_in = Path(sys.argv[2]), int(sys.argv[3])
training = Trainer(build_model(scenario), build_data(scenario), build_fit_options(scenario))
if rows(folder):
    training.resume(folder / "checkpoint.pt", folder / "metrics.jsonl")
steps = [0]

def count(module, args):
    steps[0] += training.model.training
    if steps[0] == 3 * dies_in - 1:  # three steps an epoch
        os.kill(os.getpid(), signal.SIGKILL)

training.model.register_forward_pre_hook(count)
fit(training, folder)
"""


class StopHereError(Exception):
    """Raised to end a training early."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of four epochs that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    fit(trainer(epochs=EPOCHS), folder)
    return folder


def go_on(folder: Path) -> None:
    training = trainer(seed=77, epochs=EPOCHS)  # another start, so that nothing but the checkpoint can be the reason
    training.resume(folder / "checkpoint.pt", folder / "metrics.jsonl")
    fit(training, folder)


def assert_same(folder: Path, whole: Path) -> None:
    ours, expected = (torch.load(f / "checkpoint.pt", weights_only=True) for f in (folder, whole))
    assert same_bits(ours, expected)
    assert untimed(rows(folder)) == untimed(rows(whole))


def test_a_killed_process_resumes_to_the_same_bits(tmp_path: Path, whole: Path) -> None:
    command = [sys.executable, "-c", DIES_IN_EPOCH_THREE, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [row["epoch"] for row in rows(tmp_path)] == [1, 2]
    go_on(tmp_path)
    assert_same(tmp_path, whole)


def test_a_killed_training_of_the_cifar_recipe_resumes_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = tmp_path / "data" / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        table = {b"labels": draw.integers(0, 10, 4).tolist(), b"data": draw.integers(0, 256, (4, 3072), dtype=np.uint8)}
        (batches / name).write_bytes(pickle.dumps(table, protocol=2))
    monkeypatch.setenv("ANALOGDEQ_DATA", str(tmp_path / "data"))

    def run(folder: Path, dies_in_epoch: int) -> int:
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", RECIPE, str(Path(__file__).parent), str(folder), str(dies_in_epoch)]
        return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode

    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    assert run(undisturbed, 99) == 0
    assert run(killed, 3) == -signal.SIGKILL
    assert [row["epoch"] for row in rows(killed)] == [1, 2]
    assert run(killed, 99) == 0
    assert_same(killed, undisturbed)


@pytest.mark.parametrize("stop_after", [1, 2, 4])
def test_a_training_that_stopped_after_any_epoch_resumes_to_the_same_bits(
    tmp_path: Path, whole: Path, stop_after: int
) -> None:
    def stop(row: dict) -> None:
        if row["epoch"] == stop_after:
            raise StopHereError

    with pytest.raises(StopHereError):
        trainer(epochs=EPOCHS).fit(tmp_path / "checkpoint.pt", tmp_path / "metrics.jsonl", "name = 'small'", stop)
    go_on(tmp_path)
    assert_same(tmp_path, whole)


def test_a_row_whose_checkpoint_was_not_written_is_written_again(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = fit_module.save_checkpoint

    def fail_in_epoch_three(path: Path, content: dict) -> None:
        if content["epoch"] == 3:
            raise CheckpointError("the disk is full")
        save(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "save_checkpoint", fail_in_epoch_three)
        with pytest.raises(CheckpointError):
            fit(trainer(epochs=EPOCHS), tmp_path)
    assert [row["epoch"] for row in rows(tmp_path)] == [1, 2, 3]
    go_on(tmp_path)
    assert_same(tmp_path, whole)


def test_a_row_that_was_cut_short_is_written_again(tmp_path: Path, whole: Path) -> None:
    for name in ("checkpoint.pt", "metrics.jsonl"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes() + b'{"epoch": 5, "lo')
    go_on(tmp_path)
    assert_same(tmp_path, whole)


def test_rows_without_a_checkpoint_do_not_stay_beside_new_ones(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n')
    assert [row["epoch"] for row in fit(trainer(epochs=1), tmp_path)] == [1]


def test_resuming_at_the_end_changes_nothing(tmp_path: Path, whole: Path) -> None:
    for name in ("checkpoint.pt", "metrics.jsonl"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    go_on(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert (tmp_path / "checkpoint.pt").read_bytes() == (whole / "checkpoint.pt").read_bytes()


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, whole: Path) -> None:
    other = Trainer(small_model(nodes=9), some_digits(), fit_options())
    with pytest.raises(CheckpointError, match=r"another network.*core\.W.*\[8, 8\].*\[9, 9\]"):
        other.resume(whole / "checkpoint.pt", tmp_path / "metrics.jsonl")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.pop("model"),
        lambda content: content.pop("optimizer"),
        lambda content: content.pop("epoch"),
        lambda content: content.update(model=3),
        lambda content: content.update(model={"core.W": 3}),
        lambda content: content.update(optimizer=3),
        lambda content: content.update(optimizer={"state": {}, "param_groups": []}),
        lambda content: content.update(epoch="three"),
        lambda content: content.update(epoch=None),
    ],
)
def test_a_checkpoint_that_lacks_something_is_refused(tmp_path: Path, whole: Path, damage: object) -> None:
    content = torch.load(whole / "checkpoint.pt", weights_only=True)
    damage(content)  # type: ignore[operator]
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt"):
        trainer().resume(tmp_path / "checkpoint.pt", tmp_path / "metrics.jsonl")


def test_damaged_metrics_stop_a_resume_and_stay_as_they_are(tmp_path: Path, whole: Path) -> None:
    damaged = (whole / "metrics.jsonl").read_bytes().replace(b'"epoch": 2', b'"epoch": ?')
    (tmp_path / "metrics.jsonl").write_bytes(damaged)
    with pytest.raises(DataError, match="line 2 is damaged"):
        trainer().resume(whole / "checkpoint.pt", tmp_path / "metrics.jsonl")
    assert (tmp_path / "metrics.jsonl").read_bytes() == damaged
