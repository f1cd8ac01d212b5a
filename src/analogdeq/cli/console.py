"""Progress bars and tables for people; silence for machines."""

import json
import sys
from typing import Any, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table


@final
class ConsoleProgress:
    """One bar per stage, on standard error, so that standard output stays clean.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "ConsoleProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Move a stage's bar, making it if it is new."""
        if stage not in self._tasks:
            self._progress.start()  # not before: an error that comes first needs no empty line above it
            self._tasks[stage] = self._progress.add_task(stage, total=total, note=note)
        self._progress.update(self._tasks[stage], completed=done, total=total, note=note)


def print_table(title: str, rows: list[tuple[str, str]]) -> None:
    """Two columns, name and value; rows with an empty name and value draw a rule."""
    table = Table(title=title, show_header=False, title_justify="left", min_width=60)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, value in rows:
        if name or value:
            table.add_row(name, value)
        else:
            table.add_section()
    Console().print(table, markup=False, highlight=False)


def print_files(files: dict[str, str]) -> None:
    """Where the files are: one line each, never broken, so that a path can be copied."""
    width = max(map(len, files), default=0)
    for name, path in files.items():
        sys.stdout.write(f"{name:{width}s}  {path}\n")


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(content, indent=2) + "\n")
