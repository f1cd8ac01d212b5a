"""Two processes, started as torchrun starts them, learn what one does; and their shares add up to the batch."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed
from training import rows

from analogdeq.errors import InputError
from analogdeq.train.workers import ALONE, Workers, joined_workers

SCENARIO = """
base = "digits-crossbar"
name = "two-processes"
[model]
nodes = 8
inputs = 6
weights = "spectral"
[task]
train_limit = 106  # batches of 21 split unevenly, and the last one, of one image, leaves a process idle
test_limit = 51
[train]
epochs = 2
batch_size = 21
gradient_tol = 1e-12
input_noise = 0.1
[train.penalty]
jacobian = 0.3
residual = 0.1
[settle]
dtype = "float64"
"""


FORK = """
import json, os, sys, traceback
import analogdeq.runs.workflow, torch.distributed  # once, for all of them
from analogdeq.cli.app import main

children = []
for k, job in enumerate(json.loads(sys.argv[1])):
    child = os.fork()
    if child == 0:
        os.environ.update(job["env"])
        sys.argv = ["analogdeq", *job["words"]]
        log = os.open(f"{k}.err", os.O_CREAT | os.O_WRONLY)
        os.dup2(log, 1), os.dup2(log, 2)
        code = 99
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush(), sys.stdout.flush()
        os._exit(code)
    children.append(child)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""
"""Starts one process per job from one that has imported everything, which takes longer than the jobs."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def torchrun(world: int, *words: str) -> list[dict]:
    """The jobs `torchrun --nproc-per-node WORLD -m analogdeq WORDS` starts."""
    port = free_port()
    return [
        {
            "words": words,
            "env": {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world),
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            },
        }
        for rank in range(world)
    ]  # fmt: skip


def start(folder: Path, jobs: list[dict]) -> list[int]:
    """Exit codes of the jobs; what they said is in 0.err, 1.err, ..."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FORK, json.dumps(jobs)],
        cwd=folder, env=environment, text=True, capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


needs_gloo = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available() and hasattr(os, "fork")),
    reason="needs gloo and fork",
)


@needs_gloo
def test_two_processes_give_the_one_process_result(tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text(SCENARIO)
    alone = {"words": ["train", "scenario.toml", "--run-dir", "one", "--json"], "env": {}}
    codes = start(tmp_path, [alone, *torchrun(2, "train", "scenario.toml", "--run-dir", "two", "--json")])
    assert codes == [0, 0, 0], [(tmp_path / f"{k}.err").read_text() for k in range(3)]
    one, two = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("one", "two"))
    assert one["model"].keys() == two["model"].keys()
    for name, value in one["model"].items():
        if "vectors" not in name:  # of power iteration: where they stand for one singular value, their sign is free
            torch.testing.assert_close(two["model"][name], value, atol=2e-6, rtol=1e-5)
    for ours, theirs in zip(rows(tmp_path / "two"), rows(tmp_path / "one"), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-6)
        assert ours["penalty"] == pytest.approx(theirs["penalty"], rel=1e-5)
        assert ours["train_accuracy"] == theirs["train_accuracy"]
        assert ours["test_accuracy"] == theirs["test_accuracy"]


@needs_gloo
def test_a_mistake_in_the_first_process_ends_all_of_them(tmp_path: Path) -> None:
    assert start(tmp_path, torchrun(2, "train", "no-such-scenario")) == [2, 1]
    assert "no-such-scenario" in (tmp_path / "0.err").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.err", "1.err"]


@pytest.mark.parametrize("batch", [1, 2, 7, 8])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_shares_are_the_batch_and_weighted_means_are_its_mean(batch: int, world: int) -> None:
    all_of_them, values = torch.arange(batch), torch.randn(batch, dtype=torch.float64)
    everyone = [Workers(rank, world) for rank in range(world)]
    counted = [w.share(all_of_them) for w in everyone if w.weight(batch) > 0]
    assert sorted(torch.cat(counted).tolist()) == all_of_them.tolist()
    assert all(len(w.share(all_of_them)) > 0 for w in everyone)
    mean = sum(w.weight(batch) * values[w.share(all_of_them)].mean() for w in everyone) / world
    torch.testing.assert_close(mean, values.mean())


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with joined_workers() as workers:
        assert workers == ALONE
        assert workers.is_first
        assert workers.tell("word") == "word"
        assert workers.sums([1.5]) == [1.5]
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(InputError, match="WORLD_SIZE"), joined_workers():
        pass
