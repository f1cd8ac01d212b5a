"""The command line as a person meets it: words in; exit code, standard output and standard error out."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, SMALL, Answer, Command

from analogdeq.cli import app


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
