import errno
import os
from pathlib import Path

import pytest

from analogdeq.errors import ReportError
from analogdeq.report import write_report


def test_the_page_and_its_pictures_are_written(data, tmp_path: Path):
    paths = write_report(data, tmp_path / "run")
    assert paths[0] == tmp_path / "run" / "report.html"
    assert {p.name for p in paths[1:]} == {
        "waveforms.png",
        "settling_time.png",
        "energy.png",
        "energy_terms.png",
        "eigenvalues.png",
        "training.png",
    }
    written = {p for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert written == set(paths)
    assert all(p.read_bytes()[:4] == b"\x89PNG" for p in paths[1:])


def test_a_report_can_be_written_again(changed, tmp_path: Path):
    small = changed(waveforms=None, eigenvalues=None, metrics=[])
    assert write_report(small, tmp_path) == write_report(small, tmp_path)


def test_a_full_disk_leaves_the_old_report_and_says_so(changed, tmp_path: Path, monkeypatch):
    (tmp_path / "report.html").write_text("the old one")

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ReportError, match=r"cannot write .*report\.html: No space left on device"):
        write_report(changed(waveforms=None), tmp_path)
    assert (tmp_path / "report.html").read_text() == "the old one"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_is_a_file_is_told(changed, tmp_path: Path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ReportError, match="cannot write"):
        write_report(changed(waveforms=None), tmp_path / "run")
