"""The directory of a run: never shared, never overwritten, its files whole or not there."""

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from small_runs import small_scenario

from analogdeq.errors import InputError, RunError
from analogdeq.runs import directory
from analogdeq.runs.directory import RunDirectory, write_whole
from analogdeq.scenario import load_scenario

HOLD = """
import sys, time
from pathlib import Path
from analogdeq.runs.directory import RunDirectory

run = RunDirectory.open(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with RunDirectory.create(small_scenario(), tmp_path / "run") as made:
        return made.path


def test_a_new_run_holds_its_resolved_scenario(run: Path) -> None:
    assert sorted(path.name for path in run.iterdir()) == [".lock", "scenario.toml"]
    assert load_scenario(run / "scenario.toml") == small_scenario()
    with RunDirectory.open(run) as opened:
        assert opened.scenario() == small_scenario()
        assert opened.scenario(["seeds.chip=5"]).seeds.chip == 5


def test_runs_that_begin_in_the_same_second_get_directories_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedClock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "StoppedClock":
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    monkeypatch.setattr(directory, "datetime", StoppedClock)
    scenario = small_scenario(f"output.directory={tmp_path / 'new' / 'runs'}")
    made = [RunDirectory.create(scenario) for _ in range(3)]
    assert [run.path.name for run in made] == [
        f"digits-crossbar-20260102-030405{suffix}" for suffix in ("", "-2", "-3")
    ]
    for run in made:
        assert run.scenario() == scenario
        run.release()


def test_a_directory_that_holds_a_run_is_refused_and_let_go(run: Path) -> None:
    before = (run / "scenario.toml").read_bytes()
    with pytest.raises(RunError, match=r"already holds a run of another scenario; choose another directory"):
        RunDirectory.create(small_scenario("seeds.chip=9"), run)
    with pytest.raises(RunError, match=r"already holds a run of this scenario; add --resume to go on with it"):
        RunDirectory.create(small_scenario(), run)
    assert (run / "scenario.toml").read_bytes() == before
    with RunDirectory.open(run):
        pass


def test_an_empty_directory_may_become_a_run_and_so_may_one_whose_run_was_killed_at_its_start(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("")
    (tmp_path / "scenario.toml.part").write_text("name =")
    with RunDirectory.create(small_scenario(), tmp_path) as run:
        assert run.path == tmp_path
        assert run.scenario() == small_scenario()


def test_a_directory_with_files_of_other_people_is_refused_by_their_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"holds 'notes\.txt', which is of no run; choose a directory that is empty"):
        RunDirectory.create(small_scenario(), tmp_path)
    (tmp_path / "a.csv").write_text("1")
    with pytest.raises(RunError, match=r"holds 'a\.csv' and 1 more"):
        RunDirectory.create(small_scenario(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "notes.txt"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunError, match="cannot be made"):
            RunDirectory.create(small_scenario(), path)
    with pytest.raises(RunError, match="cannot be made"):
        RunDirectory.create(small_scenario(f"output.directory={tmp_path / 'file'}"))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_second_process_is_refused_until_the_first_is_killed(run: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="another command is writing to this run"):
            RunDirectory.open(run)
        with pytest.raises(RunError, match="another command is writing to this run"):
            RunDirectory.create(small_scenario(), run)
        holder.kill()
    with RunDirectory.open(run):
        pass


def test_a_second_use_in_one_process_is_refused_until_the_first_lets_go(run: Path) -> None:
    with RunDirectory.open(run), pytest.raises(RunError, match="another command"):
        RunDirectory.open(run)
    first = RunDirectory.open(run)
    first.release()
    first.release()  # twice is no harm
    with RunDirectory.open(run):
        pass


def test_an_error_inside_lets_the_directory_go(run: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunDirectory.open(run):
        raise ZeroDivisionError
    with RunDirectory.open(run):
        pass


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_what_is_no_run_is_told_apart(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"not a run directory \(it has no scenario.toml\)"):
        RunDirectory.open(tmp_path / name)


def test_a_directory_that_cannot_be_locked_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be written"):
        RunDirectory(tmp_path / "nowhere").lock()


def test_only_files_that_exist_are_listed(run: Path, finished: Path) -> None:
    assert RunDirectory(run).files() == {"run directory": str(run)}
    listed = RunDirectory(finished).files()
    assert list(listed) == ["run directory", "report", "waveforms", "checkpoint", "metrics"]
    assert all(Path(path).exists() for path in listed.values())


def test_a_write_that_fails_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "summary.json"
    write_whole(file, b"before")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(RunError, match=r"summary\.json: cannot be written: .*No space left"):
            write_whole(file, b"after")
    assert file.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    write_whole(file, b"after")
    assert file.read_bytes() == b"after"
