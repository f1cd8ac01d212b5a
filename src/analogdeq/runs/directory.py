"""The directory one command writes."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, final

from analogdeq.errors import InputError, RunError, ScenarioError
from analogdeq.runs.lock import FolderLock
from analogdeq.scenario import Scenario, dump_scenario, load_scenario

_OWN_BEFORE_BEGINNING = (".lock", "scenario.toml.part")
"""What a command that was killed at its start leaves."""


@final
class RunDirectory:
    """The files of one run, by name, and a lock that keeps a second command from writing among them.

    Args:
        path: an existing run directory; `create` makes a new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scenario_file = path / "scenario.toml"
        self.metrics = path / "metrics.jsonl"
        self.checkpoint = path / "checkpoint.pt"
        self.evaluation = path / "evaluation.npz"
        self.summary = path / "summary.json"
        self.trace = path / "trace.h5"
        self.report = path / "report.html"
        self.figures = path / "figures"
        self._lock: FolderLock | None = None

    @classmethod
    def create(cls, scenario: Scenario, path: Path | None = None) -> "RunDirectory":
        """A new, locked directory that holds the resolved scenario.

        Args:
            scenario: what will be run.
            path: where; a new name with the time under the scenario's output directory if None.

        Raises:
            RunError: if the directory already holds a run or other files, or cannot be written.
        """
        try:
            folder = _new_folder(scenario) if path is None else path
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{path or scenario.output.directory}: the run directory cannot be made: {error}") from None
        run = cls(folder)
        run._refuse_other_files(scenario)  # before the lock, which is a file too
        run.lock()
        try:
            run._begin(scenario)
        except RunError:
            run.release()
            raise
        return run

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """An existing, now locked directory.

        Raises:
            InputError: if it is no run directory.
            RunError: if another command is writing to it.
        """
        run = cls(path)
        if not run.scenario_file.is_file():
            raise InputError(f"{path}: not a run directory (it has no scenario.toml); name one that 'run' made")
        run.lock()
        return run

    def __enter__(self) -> Self:
        """The directory, which is let go when the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def scenario(self, overrides: Sequence[str] = ()) -> Scenario:
        """The resolved scenario of the run, with changes as `--set` spells them."""
        return load_scenario(self.scenario_file, overrides)

    def files(self) -> dict[str, str]:
        """The paths a person asks for, by what they are; only those that exist."""
        named = {
            "run directory": self.path,
            "report": self.report,
            "waveforms": self.trace,
            "checkpoint": self.checkpoint,
            "metrics": self.metrics,
        }
        return {name: str(path) for name, path in named.items() if path.exists()}

    def lock(self) -> None:
        """Hold the directory until `release`, or until this process ends, be it by kill -9.

        Raises:
            RunError: if another process holds it, or nothing can be written there.
        """
        self._lock = FolderLock(self.path, "run")

    def release(self) -> None:
        """Let the directory go."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _refuse_other_files(self, scenario: Scenario) -> None:
        """A run among other people's files would mix with them, and overwrite those of its own names."""
        if self.scenario_file.exists():
            return  # a run: `_begin` says whose
        found = sorted(path.name for path in self.path.iterdir() if path.name not in _OWN_BEFORE_BEGINNING)
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise RunError(
                f"{self.path}: holds {found[0]!r}{more}, which is of no run; choose a directory that is empty or new"
            )

    def _begin(self, scenario: Scenario) -> None:
        if self.scenario_file.exists():
            raise RunError(f"{self.path}: already holds a run{self._whose(scenario)}")
        write_whole(self.scenario_file, dump_scenario(scenario).encode())

    def _whose(self, scenario: Scenario) -> str:
        """What to do about the run that is there."""
        try:
            is_same = dump_scenario(self.scenario()) == dump_scenario(scenario)
        except ScenarioError as error:
            return f", whose scenario.toml cannot be read ({error.problems[0]}); choose another directory"
        if is_same:
            return " of this scenario; add --resume to go on with it, or choose another directory"
        return " of another scenario; choose another directory, or add --resume to go on with that run"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        RunError: if it cannot be written; what was there before stays.
    """
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot be written: {error}; everything written before is kept") from None


def _new_folder(scenario: Scenario) -> Path:
    """runs/NAME-YYYYMMDD-HHMMSS, with a number behind it where that exists."""
    base = Path(scenario.output.directory)
    base.mkdir(parents=True, exist_ok=True)
    stem = f"{scenario.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    for suffix in ("", *(f"-{k}" for k in range(2, 1000))):
        folder = base / (stem + suffix)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise RunError(f"{base}: a thousand runs began in this second; choose a directory of your own with --run-dir")
