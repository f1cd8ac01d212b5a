"""Metrics as JSON Lines: one row per epoch, readable while it grows."""

import json
import os
from pathlib import Path
from typing import Any

from analogdeq.errors import DataError

Row = dict[str, Any]


def append_metrics(path: Path, row: Row) -> None:
    """Add one row, on disk when the call returns.

    Raises:
        DataError: if it cannot be written.
    """
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DataError(f"{path}: metrics cannot be written: {error}; rows written before are kept") from None


def read_metrics(path: Path) -> list[Row]:
    """Every whole row; a last line that a crash cut short is left out.

    Raises:
        DataError: if the file cannot be read, or any other line is no row.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{path}: metrics cannot be read: {error}") from None
    whole = [line for line in lines if line.endswith(b"\n")]
    return [_row(line, f"{path}: line {k}") for k, line in enumerate(whole, 1)]


def cut_metrics(path: Path, last_epoch: int) -> None:
    """Drop rows after `last_epoch`, which a resumed run will write again.

    Raises:
        DataError: if the file is damaged or cannot be written; it is left as it was then.
    """
    if not path.exists():
        return
    rows = read_metrics(path)
    kept = [row for row in rows if row["epoch"] <= last_epoch]
    part = path.with_name(path.name + ".part")
    try:
        part.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DataError(f"{path}: metrics cannot be written: {error}; rows written before are kept") from None


def _row(line: bytes, place: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place} is damaged: {error}; correct it, or move the file away") from None
    if not isinstance(row, dict) or not isinstance(row.get("epoch"), int):
        raise DataError(f"{place} is no row of metrics, which has a whole number 'epoch'; move the file away")
    return row
