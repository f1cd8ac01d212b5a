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
    """Every whole row; a last line that a crash cut short is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def cut_metrics(path: Path, last_epoch: int) -> None:
    """Drop rows after `last_epoch`, which a resumed run will write again."""
    rows = [row for row in read_metrics(path) if row["epoch"] <= last_epoch]
    part = path.with_name(path.name + ".part")
    part.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    os.replace(part, path)
