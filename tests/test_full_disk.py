"""A disk that is full at any moment of a run: one error that names the file, and everything before it intact."""

import contextlib
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from analogdeq.cli import app
from analogdeq.runs.evaluation import Evaluation
from analogdeq.scenario import load_scenario
from analogdeq.trace import open_trace
from analogdeq.train.checkpoint import load_checkpoint

SMALL = [
    "--set", "model.nodes=8", "--set", "model.inputs=8", "--set", "train.epochs=2", "--set", "train.batch_size=256",
    "--set", "task.test_limit=20", "--set", "trace.samples=1", "--set", "trace.interval_tau=0.5",
]  # fmt: skip
FULL_THEN_RUN = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
from analogdeq.cli.app import main
main()
"""


@contextlib.contextmanager
def files_no_larger_than(n_bytes: int) -> Iterator[None]:
    """Every write beyond that fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["analogdeq", *words])
    try:
        app.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize(
    ("n_bytes", "fails_at", "there_before"),
    [
        (300, "scenario.toml", []),
        (4_000, "checkpoint.pt", ["scenario.toml"]),
        (10_500, "checkpoint.pt", ["scenario.toml", "checkpoint.pt"]),  # the first is smaller: no optimizer state yet
        (24_000, "trace.h5", ["scenario.toml", "metrics.jsonl", "checkpoint.pt", "evaluation.npz", "summary.json"]),
        (1_000_000, "report.html", ["scenario.toml", "checkpoint.pt", "evaluation.npz", "trace.h5"]),
    ],
)
def test_a_run_on_a_full_disk_names_the_file_and_goes_on_when_there_is_room(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    n_bytes: int,
    fails_at: str,
    there_before: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with files_no_larger_than(n_bytes):
        code = command(monkeypatch, "run", *SMALL, "--run-dir", "run", "--json")
    said = capsys.readouterr()
    assert code == 1
    assert said.out == ""
    assert f"run/{fails_at}" in said.err
    assert "File too large" in said.err
    assert len(said.err.splitlines()) == 1
    names = {path.name for path in Path("run").iterdir()}
    assert set(there_before) <= names
    assert fails_at not in set(names) - set(there_before)
    assert not {name for name in names if name.endswith(".part")} - {"trace.h5.part"}
    _are_whole(Path("run"), there_before)

    if there_before:
        assert command(monkeypatch, "run", "--resume", "run", "--json") == 0
        assert json.loads(capsys.readouterr().out)["images"] == 20
    else:
        assert command(monkeypatch, "train", *SMALL, "--run-dir", "run") == 0


def _are_whole(run: Path, names: list[str]) -> None:
    readers = {
        "scenario.toml": load_scenario,
        "checkpoint.pt": load_checkpoint,
        "evaluation.npz": Evaluation.load,
        "summary.json": lambda path: json.loads(path.read_text()),
        "metrics.jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
        "trace.h5": lambda path: open_trace(path).close(),
    }
    for name in names:
        readers[name](run / name)


def test_a_later_failure_keeps_the_figures_and_the_report_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(monkeypatch, "run", *SMALL, "--set", "train.epochs=0", "--run-dir", "run") == 0
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    capsys.readouterr()
    with files_no_larger_than(3000):
        assert command(monkeypatch, "evaluate", "run", "--seed", "5") == 1
        assert "run/evaluation.npz" in capsys.readouterr().err
        assert command(monkeypatch, "report", "run") == 1
        assert "run/report.html" in capsys.readouterr().err
        assert command(monkeypatch, "simulate", "run", "--output", "run/trace.h5") == 1
        assert "run/trace.h5" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_a_process_of_its_own_ends_with_1_and_one_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [sys.executable, "-c", FULL_THEN_RUN, "run", *SMALL, "--run-dir", str(run), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {run / 'checkpoint.pt'}: the checkpoint cannot be written: ")
    assert load_scenario(run / "scenario.toml").model.nodes == 8
