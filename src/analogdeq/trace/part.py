"""The file `<path>.part` while it is written: one writer, room on the disk before every write, and its final name."""

import errno
import os
from pathlib import Path
from typing import final

from analogdeq.errors import TraceError

try:
    import fcntl
except ImportError:  # not on this system: then two writers are told apart by the file's existence alone
    fcntl = None  # type: ignore[assignment]

CANNOT_RESERVE = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""What a file system answers that has no way to reserve room."""


@final
class PartFile:
    """One writer's claim on a path.

    HDF5 cannot recover from a failed write: it crashes the process when it closes the file. So a full disk has to be
    met before HDF5 meets it: `reserve` asks the file system for the room, and its refusal is a plain `OSError`.

    Attributes:
        final_path: the name the file gets when it is finished.
        path: `final_path` with ".part" appended.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        """Create `<path>.part`.

        Raises:
            TraceError: if the finished file or another writer's file is in the way, or the folder cannot be written.
        """
        self.final_path = path
        self.path = path.with_name(path.name + ".part")
        if path.exists() and not overwrite:
            raise TraceError(f"{path} exists already; choose another name, or pass overwrite=True to replace it")
        self._descriptor = self._claim(overwrite)

    def lock(self) -> None:
        """Mark the file as being written, for other writers; readers are let in.

        Call it once HDF5 reads and writes in SWMR mode: before, HDF5 may hold a lock of its own on the file.
        """
        if fcntl is not None:
            _try_lock(self._descriptor, fcntl.LOCK_SH)

    def reserve(self, end: int, n_bytes: int) -> None:
        """Make sure that `n_bytes` fit behind byte `end`.

        Raises:
            OSError: if they do not.
        """
        if not hasattr(os, "posix_fallocate"):
            return
        try:
            os.posix_fallocate(self._descriptor, end, n_bytes)
        except OSError as error:
            if error.errno not in CANNOT_RESERVE:
                raise

    def trim(self, end: int) -> None:
        """Give back what was reserved behind byte `end`."""
        os.ftruncate(self._descriptor, end)

    def publish(self) -> None:
        """Put the file under its final name, for good even if the power fails next."""
        os.fsync(self._descriptor)
        os.replace(self.path, self.final_path)
        folder = os.open(self.final_path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def release(self) -> None:
        """Give up the claim; the file stays."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Give up the claim and the file."""
        self.path.unlink(missing_ok=True)
        self.release()

    def _claim(self, overwrite: bool) -> int:
        try:
            return self._create()
        except FileExistsError:
            self._clear_the_way(overwrite)
        try:
            return self._create()
        except FileExistsError:
            raise TraceError(f"{self.path} is being written by another run; choose another name") from None

    def _create(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            raise
        except OSError as error:
            raise TraceError(
                f"cannot write {self.path}: {error.strerror}; choose a folder that can be written"
            ) from error

    def _clear_the_way(self, overwrite: bool) -> None:
        if _is_locked(self.path):
            raise TraceError(f"{self.path} is being written by another run; wait for it, or choose another name")
        if not overwrite:
            raise TraceError(
                f"{self.path} was left by a run that did not finish; open_trace reads what it holds. "
                "Move it away, or pass overwrite=True to replace it"
            )
        self.path.unlink(missing_ok=True)


def _is_locked(path: Path) -> bool:
    """Is a living writer's lock on the file?"""
    if fcntl is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # it was finished and renamed in between
        return False
    try:
        return not _try_lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nothing can be said
        return True
    return True
