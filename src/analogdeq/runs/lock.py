"""One command at a time in a folder."""

import fcntl
from pathlib import Path
from typing import IO, Self, final

from analogdeq.errors import RunError


@final
class FolderLock:
    """Holds a folder until `release`, or until this process ends, be it by kill -9.

    Args:
        folder: an existing one.
        what: it is, for messages: "run".

    Raises:
        RunError: if another process holds it, or nothing can be written there.
    """

    def __init__(self, folder: Path, what: str) -> None:
        try:
            file = open(folder / ".lock", "w", encoding="utf-8")  # noqa: SIM115 - held until released
        except OSError as error:
            raise RunError(f"{folder}: the {what} directory cannot be written: {error}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise RunError(f"{folder}: another command is writing to this {what}; wait, or use another") from None
        self._file: IO[str] = file

    def release(self) -> None:
        """Let the folder go; twice is no harm."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
