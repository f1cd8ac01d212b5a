"""Fetch an archive once, check it, unpack it."""

import tarfile
from pathlib import Path, PurePosixPath
from typing import final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from analogdeq.errors import DataError


def fetch_archive(url: str, md5: str, folder: Path, wanted: str) -> None:
    """Download a .tar.gz to `folder`, verify it, and unpack the folder `wanted` of it there.

    An archive that is there already and has the right checksum is not downloaded again. The unpacked folder appears
    whole or not at all.

    Raises:
        DataError: if it cannot be downloaded, has another checksum, or cannot be unpacked.
    """
    import pooch

    name = url.rsplit("/", 1)[-1]
    bar = _Bar(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        downloader = pooch.HTTPDownloader(progressbar=bar, timeout=30)
        archive = pooch.retrieve(url, known_hash=f"md5:{md5}", fname=name, path=folder, downloader=downloader)
    except ValueError as error:  # what pooch raises for a checksum
        raise DataError(f"{url}: the download is not the official file: {' '.join(str(error).split())}") from None
    except Exception as error:  # noqa: BLE001 - the network fails in the ways of every library below pooch
        raise DataError(
            f"{folder / wanted} is missing, and {url} cannot be downloaded ({type(error).__name__}); copy the data "
            "there from elsewhere, or name their folder with --data-dir"
        ) from None
    finally:
        bar.close()
    _unpack(Path(archive), folder, wanted)


def _unpack(archive: Path, folder: Path, wanted: str) -> None:
    part = folder / f"{wanted}.part"
    try:
        with tarfile.open(archive) as tar:
            _check(archive, tar.getmembers())
            # Python before 3.11.4 has no filters; what it would unpack has been looked at above.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(part)
        (part / wanted).rename(folder / wanted)
        part.rmdir()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise DataError(f"{archive}: cannot be unpacked: {error}") from None


def _check(archive: Path, members: list[tarfile.TarInfo]) -> None:
    """Refuse an archive that holds anything but files and folders beneath the place where it is unpacked."""
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
            raise DataError(
                f"{archive}: cannot be unpacked: it holds {member.name!r}, which is no plain file or folder"
            )


@final
class _Bar:
    """A progress bar on standard error, in the shape pooch asks for (that of tqdm)."""

    def __init__(self, name: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task(f"downloading {name}", total=None)
        self._is_open = False

    @property
    def total(self) -> float:
        """Bytes to come."""
        return self._progress.tasks[0].total or 0.0

    @total.setter
    def total(self, size: float) -> None:
        self._progress.update(self._task, total=size)
        self._progress.start()
        self._is_open = True

    def update(self, size: int) -> None:
        """`size` more bytes have come."""
        self._progress.update(self._task, advance=size)

    def reset(self) -> None:
        """Back to the start: pooch does so before it fills the bar a last time."""
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._is_open:
            self._progress.stop()
            self._is_open = False
