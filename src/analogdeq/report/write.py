"""Write a report: the pictures as PNG files, and the page that holds them all."""

import contextlib
import os
import tempfile
from os import PathLike
from pathlib import Path

from analogdeq.errors import ReportError
from analogdeq.report.data import ReportData
from analogdeq.report.html import render_html
from analogdeq.report.pictures import draw_pictures


def write_report(data: ReportData, directory: str | PathLike[str]) -> list[Path]:
    """Write `figures/*.png` and `report.html` into `directory`.

    Each file appears whole or not at all; one that was there before is replaced.

    Args:
        data: the run.
        directory: made if it is not there.

    Returns:
        the files, `report.html` first.

    Raises:
        ReportError: if a file cannot be written.
    """
    folder = Path(directory)
    pictures = list(draw_pictures(data))
    contents = {folder / "report.html": render_html(data, pictures).encode()}
    contents |= {folder / "figures" / f"{picture.name}.png": picture.png for picture in pictures}
    for path, content in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, content)
        except OSError as error:
            raise ReportError(
                f"cannot write {path}: {error.strerror}; free some room or choose another folder"
            ) from error
    return list(contents)


def _write_whole(path: Path, content: bytes) -> None:
    """A temporary file beside `path`, then a rename, which either happens or does not."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp keeps others out; a report is there to be handed over
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
