"""What an archive may hold, in every version of Python."""

import io
import tarfile
from pathlib import Path

import pytest

from analogdeq.errors import DataError
from analogdeq.tasks.download import _unpack


def archive_of(folder: Path, *members: tarfile.TarInfo) -> Path:
    path = folder / "data.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            content = b"content" if member.isfile() else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_an_archive_is_unpacked_where_python_has_no_filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    monkeypatch.setattr(tarfile.TarFile, "extraction_filter", staticmethod(lambda info, _path: info), raising=False)
    _unpack(archive_of(tmp_path, member("wanted/file")), tmp_path, "wanted")
    assert (tmp_path / "wanted" / "file").read_bytes() == b"content"


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside"),
        member("/outside"),
        member("wanted/../../outside"),
        member("wanted/link", tarfile.SYMTYPE, "/outside"),
        member("wanted/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: info.name,
)
def test_an_archive_that_reaches_outside_is_refused_whole(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    path = archive_of(tmp_path, member("wanted/file"), bad)
    with pytest.raises(DataError, match="no plain file or folder"):
        _unpack(path, tmp_path / "to", "wanted")
    assert not (tmp_path / "to").exists()
