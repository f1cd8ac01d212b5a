"""Tests that need the ngspice program say so when it is not there."""

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def ngspice() -> None:
    """Skip where ngspice is not on the PATH; the stored answer of data/spice/ is compared everywhere."""
    if shutil.which("ngspice") is None:
        pytest.skip("ngspice is not on the PATH")


@pytest.fixture
def pretended_ngspice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a shell script in ngspice's place."""

    def install(script: str) -> None:
        program = tmp_path / "bin" / "ngspice"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    return install
