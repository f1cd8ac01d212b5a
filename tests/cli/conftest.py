"""The command line as a person meets it: words in; exit code, standard output and standard error out."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analogdeq.cli import app

# A process started in the background may be deaf to ctrl-C, and hands that on; this one listens.
_LISTEN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
_MAIN = "from analogdeq.cli.app import main; main()"
PROGRAM = [sys.executable, "-W", "error::ResourceWarning", "-c", f"{_LISTEN}; {_MAIN}"]
SMALL = (
    "--set", "model.nodes=8", "--set", "model.inputs=8", "--set", "train.epochs=2", "--set", "train.batch_size=256",
    "--set", "task.test_limit=40", "--set", "trace.samples=2", "--set", "trace.interval_tau=0.5",
)  # fmt: skip
"""Makes a run that takes a second or two."""


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON object and nothing else."""
        return json.loads(self.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


Command = Callable[..., Answer]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs a command in this process, through the same `main` as the installed program, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["analogdeq", *map(str, words)])
        capsys.readouterr()
        try:
            app.main()
            code: Any = 0
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        assert isinstance(code, int), code
        assert "Traceback" not in captured.err
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A run that a process of its own made from end to end, and what it said."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    command = [*PROGRAM, "run", *SMALL, "--run-dir", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return folder, Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def finished(made: tuple[Path, Answer]) -> Path:
    """Its directory: look, do not touch."""
    return made[0]


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed at will."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))
