import shlex
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from analogdeq.trace import origin, provenance


def test_it_names_seeds_versions_command_and_time():
    record = provenance({"chip": 3, "noise": 4}, ["/usr/bin/analogdeq", "run", "a b.toml"])
    assert (record["seed_chip"], record["seed_noise"]) == ("3", "4")
    assert shlex.split(record["argv"]) == ["analogdeq", "run", "a b.toml"]
    assert {"python", "numpy", "torch", "h5py", "analogdeq", "platform", "git_commit", "git_dirty"} <= set(record)
    created = datetime.fromisoformat(record["created"])
    assert created.utcoffset() is not None
    assert created.utcoffset().total_seconds() == 0
    assert all(isinstance(value, str) for value in record.values())


def test_it_leaks_no_folder_of_this_machine():
    record = provenance({}, ["analogdeq"])
    for value in record.values():
        assert str(Path.home()) not in value
        assert str(Path(__file__).resolve().parents[2]) not in value


def test_an_empty_command_and_one_that_is_not_text_are_stored():
    assert provenance({}, [])["argv"] == ""
    assert "\\udcff" in provenance({}, ["analogdeq", "\udcff"])["argv"]


def test_outside_a_clone_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(origin, "__file__", str(tmp_path / "origin.py"))
    monkeypatch.chdir(tmp_path)
    assert provenance({}, [])["git_commit"] == "unknown"


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert provenance({}, [])["git_dirty"] == "unknown"


def test_a_package_that_is_not_installed_has_an_unknown_version(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(origin, "PACKAGES", ("no-such-package",))
    assert provenance({}, [])["no-such-package"] == "unknown"


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
def test_inside_a_clone_the_commit_and_local_changes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "a")
    monkeypatch.setattr(origin, "__file__", str(tmp_path / "origin.py"))
    assert provenance({}, [])["git_commit"] == git("rev-parse", "HEAD")
    assert provenance({}, [])["git_dirty"] == "false"
    (tmp_path / "a").write_text("2")
    assert provenance({}, [])["git_dirty"] == "true"
