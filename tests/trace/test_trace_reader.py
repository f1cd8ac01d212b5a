from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest
from made_up import make_settled

from analogdeq.errors import TraceError
from analogdeq.solve.trace import Steps
from analogdeq.trace import TraceWriter, open_trace


@pytest.fixture
def path(settled, header, tmp_path: Path) -> Path:
    with TraceWriter(tmp_path / "t.h5", header) as writer:
        trace = settled.trace
        writer.append(trace.time_s, trace.state, trace.power_W, trace.residual)
        writer.finish(settled, trace.steps)
    return tmp_path / "t.h5"


def set_version(path: Path, version: str) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = version


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(TraceError, match=r"there is no file .*gone\.h5"):
        open_trace(tmp_path / "gone.h5")


def test_a_run_that_did_not_finish_is_pointed_at(header, tmp_path: Path):
    TraceWriter(tmp_path / "t.h5", header).close()
    with pytest.raises(TraceError, match=r"did not finish yet, .*t\.h5\.part holds what there is"):
        open_trace(tmp_path / "t.h5")


def test_a_part_file_that_is_being_created_asks_for_patience(tmp_path: Path):
    path = tmp_path / "t.h5.part"
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.flush()
        content = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(TraceError, match="still creating it, so try again"):
        open_trace(path)


def test_the_writing_process_is_sent_to_another_one_to_watch(header, tmp_path: Path):
    writer = TraceWriter(tmp_path / "t.h5", header)
    with pytest.raises(TraceError, match="this very process is writing it"):
        open_trace(tmp_path / "t.h5.part")
    writer.close()
    open_trace(tmp_path / "t.h5.part").close()


@pytest.mark.parametrize("content", [b"", b"hello", b"time,state\n0,1\n" * 1000])
def test_a_file_that_is_not_hdf5_is_called_so(tmp_path: Path, content):
    (tmp_path / "x.h5").write_bytes(content)
    with pytest.raises(TraceError, match="not an HDF5 file"):
        open_trace(tmp_path / "x.h5")


def test_hdf5_of_another_kind_is_called_so(tmp_path: Path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(TraceError, match="not a trace: its format is None, expected 'analogdeq-trace'"):
        open_trace(tmp_path / "x.h5")


@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_called_so(path: Path, fraction):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(fraction * len(whole))])
    with pytest.raises(TraceError, match=r"truncated|damaged"):
        open_trace(path)


def test_a_newer_major_version_asks_for_an_upgrade(path: Path):
    set_version(path, "3.1")
    with pytest.raises(TraceError, match=r"written by a newer analogdeq \(trace format 3\.1; .* 1\.x to 2\.x.*upgrade"):
        open_trace(path)


def test_a_newer_minor_version_is_read(path: Path):
    set_version(path, "2.7")
    with open_trace(path) as trace:
        assert trace.is_finished


def test_a_file_of_version_1_is_read_like_one_of_today():
    """Written by the last analogdeq that wrote version 1, whose steps stand sample after sample."""
    settled = make_settled(sample=(4, 1, 2), n_times=20, n_nodes=3, terms=("crossbar", "drivers"))
    with open_trace(Path(__file__).parent / "files" / "format-1.0.h5") as old:
        assert old.is_finished
        assert old.result.t_settle_s[0] == float(settled.t_settle_s[4])
        read = old.to_trace()
    np.testing.assert_array_equal(read.state, settled.trace.state)
    np.testing.assert_array_equal(read.power_W, settled.trace.power_W)
    for field in fields(Steps):
        np.testing.assert_array_equal(getattr(read.steps, field.name), getattr(settled.trace.steps, field.name))


@pytest.mark.parametrize(
    ("start", "stop", "every"), [(0, None, 1), (3, 100, 1), (10, None, 7), (149, 150, 1), (-5, None, 2)]
)
def test_a_part_of_the_waveforms_can_be_read(path: Path, settled, start, stop, every):
    with open_trace(path) as trace:
        part = trace.to_trace(start, stop, every)
    rows = slice(start, stop, every)
    for name in ("time_s", "state", "power_W", "residual"):
        np.testing.assert_array_equal(getattr(part, name), getattr(settled.trace, name)[rows])
    assert part.steps.row_size.tolist() == settled.trace.steps.row_size.tolist()


def test_an_older_major_version_is_refused(path: Path):
    set_version(path, "0.9")
    with pytest.raises(TraceError, match=r"too old \(trace format 0\.9"):
        open_trace(path)


def test_a_version_that_is_none_is_refused(path: Path):
    set_version(path, "new")
    with pytest.raises(TraceError, match="'new' is not a version"):
        open_trace(path)


def test_a_lost_dataset_is_damage(path: Path):
    with h5py.File(path, "r+") as file:
        del file["run/trace/residual"]
    with pytest.raises(TraceError, match="damaged or incomplete"):
        open_trace(path)


def test_a_damaged_chunk_is_told_when_it_is_read(path: Path):
    with h5py.File(path) as file:
        chunk = file["run/trace/state"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(content)
    with open_trace(path) as trace:
        assert trace.time_s.shape == (150,)
        with pytest.raises(TraceError, match="damaged or incomplete"):
            _ = trace.state


def test_a_closed_file_says_so(path: Path):
    trace = open_trace(path)
    trace.close()
    with pytest.raises(TraceError, match="is closed"):
        _ = trace.time_s


def test_the_text_of_a_file_is_read_back(path: Path, header):
    with open_trace(path) as trace:
        assert (trace.title, trace.provenance) == (header.title, header.provenance)
        assert [v.text for v in trace.result.verdict] == ["settled", "diverged"]
