"""The folder of a study: what is studied, the rows so far, and a lock."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, final

import torch

import analogdeq
from analogdeq.errors import InputError, RunError
from analogdeq.runs.directory import write_whole
from analogdeq.runs.lock import FolderLock
from analogdeq.runs.study.point import Figures

Manifest = dict[str, Any]
"""What makes two studies the same: kind, scenario, options, network and versions, all JSON."""

_LEFT_OVER = (".lock", "scenario.toml.part", "networks")
"""What a study that was killed before its manifest was written leaves."""


def versions() -> dict[str, str]:
    """Of what decides the figures."""
    return {"analogdeq": analogdeq.__version__, "torch": torch.__version__}


@final
class StudyFolder:
    """The files of one study.

    Rows are JSON Lines, appended whole and on disk before the next point counts as measured; a row that a crash cut
    short is measured again. Rows are known by their content, so their order does not matter.

    Args:
        path: an existing folder; held until `release`.

    Raises:
        RunError: if another command works in it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest_file = path / "study.json"
        self.scenario_file = path / "scenario.toml"
        self.rows_file = path / "rows.jsonl"
        self.table = path / "results.csv"
        self.summary = path / "summary.json"
        self._lock = FolderLock(path, "study")

    @classmethod
    def begin(cls, path: Path, scenario_toml: str, manifest: Manifest) -> "StudyFolder":
        """A folder for this study: a new one, an empty one, or the one that holds this very study.

        Raises:
            RunError: if it holds another study or other files, another command works in it, or it cannot be written.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            found = sorted(one.name for one in path.iterdir() if one.name not in _LEFT_OVER)
        except OSError as error:
            raise RunError(f"{path}: the study directory cannot be made: {error}") from None
        if found and not (path / "study.json").is_file():
            raise RunError(f"{path}: holds {found[0]!r} and no study; choose a directory that is empty or new")
        folder = cls(path)
        try:
            if folder.manifest_file.is_file():
                folder._refuse_another(manifest)
            else:
                write_whole(folder.scenario_file, scenario_toml.encode())
                folder.write_manifest(manifest)
        except BaseException:
            folder.release()
            raise
        return folder

    @classmethod
    def resume(cls, path: Path) -> "StudyFolder":
        """The folder of a study that was begun before.

        Raises:
            InputError: if it holds none.
            RunError: if another command works in it, or it was begun with other versions.
        """
        if not (path / "study.json").is_file():
            raise InputError(f"{path}: holds no study (it has no study.json); name the folder of one that was begun")
        folder = cls(path)
        try:
            folder._refuse_another(folder.manifest() | {"versions": versions()})
        except BaseException:
            folder.release()
            raise
        return folder

    def __enter__(self) -> Self:
        """The folder, which is let go when the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let the folder go."""
        self._lock.release()

    def manifest(self) -> Manifest:
        """What is studied here.

        Raises:
            RunError: if it cannot be read.
        """
        try:
            content = json.loads(self.manifest_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.manifest_file}: damaged: {error}; begin the study in another folder") from None
        if not isinstance(content, dict):
            raise RunError(f"{self.manifest_file}: is no manifest of a study; begin it in another folder")
        return content

    def write_manifest(self, manifest: Manifest) -> None:
        """Say what is studied here."""
        write_whole(self.manifest_file, (json.dumps(manifest, indent=2) + "\n").encode())

    def append(self, key: str, figures: Figures) -> None:
        """Add one row, on disk when the call returns.

        Raises:
            RunError: if it cannot be written.
        """
        line = (json.dumps({"key": key, **figures}, allow_nan=False) + "\n").encode()
        try:
            with open(self.rows_file, "ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunError(f"{self.rows_file}: cannot be written: {error}; the rows before are kept") from None

    def rows(self) -> dict[str, Figures]:
        """The figures measured so far, by key; what a crash left of a last row is cut off.

        Raises:
            RunError: if any other row is damaged.
        """
        if not self.rows_file.exists():
            return {}
        content = self.rows_file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            write_whole(self.rows_file, whole)
        found = {}
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                found[row.pop("key")] = row
            except (ValueError, KeyError, AttributeError, TypeError):
                raise RunError(
                    f"{self.rows_file}: line {number} is damaged; delete that line, its point is measured again then"
                ) from None
        return found

    def _refuse_another(self, wanted: Mapping[str, Any]) -> None:
        here = self.manifest()
        for name in ("kind", "scenario", "network", "options", "versions"):
            if here.get(name) != wanted.get(name):
                raise RunError(
                    f"{self.path}: holds another study: {_difference(name, here.get(name), wanted.get(name))}; "
                    "choose another folder"
                )


def _difference(name: str, here: Any, wanted: Any) -> str:
    """In words, as far down as one entry of a table."""
    if isinstance(here, dict) and isinstance(wanted, dict):
        key = next(key for key in {**here, **wanted} if here.get(key) != wanted.get(key))
        return _difference(f"{name}.{key}", here.get(key), wanted.get(key))
    if name in ("scenario", "network"):
        return f"its {'scenario' if name == 'scenario' else 'trained network'} is another one"
    return f"{name} is {json.dumps(here)} there and {json.dumps(wanted)} here"
