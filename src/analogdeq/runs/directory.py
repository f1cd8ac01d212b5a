"""The directory one command writes."""

import fcntl
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self, final

from analogdeq.errors import InputError, RunError
from analogdeq.scenario import Scenario, dump_scenario, load_scenario


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
        self._lock: IO[str] | None = None

    @classmethod
    def create(cls, scenario: Scenario, path: Path | None = None) -> "RunDirectory":
        """A new, locked directory that holds the resolved scenario.

        Args:
            scenario: what will be run.
            path: where; a new name with the time under the scenario's output directory if None.

        Raises:
            RunError: if the directory already holds a run, or cannot be written.
        """
        try:
            folder = _new_folder(scenario) if path is None else path
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{path or scenario.output.directory}: the run directory cannot be made: {error}") from None
        run = cls(folder)
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
        try:
            file = open(self.path / ".lock", "w", encoding="utf-8")  # noqa: SIM115 - held for the life of the run
        except OSError as error:
            raise RunError(f"{self.path}: the run directory cannot be written: {error}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise RunError(f"{self.path}: another command is writing to this run; wait, or use another") from None
        self._lock = file

    def release(self) -> None:
        """Let the directory go."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _begin(self, scenario: Scenario) -> None:
        if self.scenario_file.exists():
            raise RunError(
                f"{self.path}: already holds a run; choose another directory, or add --resume to go on with it"
            )
        write_whole(self.scenario_file, dump_scenario(scenario).encode())


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
