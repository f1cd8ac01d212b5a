"""One small run, made once; whoever changes it takes a copy."""

import shutil
from pathlib import Path

import pytest
from small_runs import SILENT, make_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run: look, do not touch."""
    return make_run(tmp_path_factory.mktemp("runs") / "finished", SILENT)


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be damaged at will."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))
