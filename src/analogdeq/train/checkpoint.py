"""Checkpoints: written whole or not at all, read without trusting them."""

import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from analogdeq.errors import CheckpointError

FORMAT = "analogdeq-checkpoint"
VERSION = 1
_DAMAGE = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    struct.error,
    zlib.error,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)
"""What reading damaged bytes has been seen to raise."""


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write `content` beside `path`, then rename: a crash keeps the checkpoint before.

    Tensors, numbers, text, and lists and dicts of them.

    Raises:
        CheckpointError: if it cannot be written, for example on a full disk.
        KeyboardInterrupt: as ever; torch's writer makes a RuntimeError of it.
    """
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            torch.save({"format": FORMAT, "version": VERSION, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        kept = "; the checkpoint before it is untouched" if path.exists() else ""
        raise CheckpointError(f"{path}: the checkpoint cannot be written: {error}{kept}") from None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; code hidden in the file is not run.

    Raises:
        CheckpointError: if the file is missing, damaged, of another kind or from a newer version.
    """
    try:
        _check_sums(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: there is no checkpoint; train first, or name the run directory that has one"
        ) from None
    except _DAMAGE as error:
        reason = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: damaged or not a checkpoint ({reason}); train again, or use another") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: a torch file, but not a checkpoint of this program")
    if content.get("version") != VERSION:
        raise CheckpointError(f"{path}: checkpoint version {content.get('version')}, this program reads {VERSION}")
    return content


def _check_sums(path: Path) -> None:
    """Compare every part with its checksum, which `torch.load` does not do."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
