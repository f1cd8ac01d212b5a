from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from analogdeq.errors import InputError, TraceError
from analogdeq.trace import TraceWriter, open_trace, write_trace


def append_some(writer, settled, start, stop):
    t = settled.trace
    writer.append(t.time_s[start:stop], t.state[start:stop], t.power_W[start:stop], t.residual[start:stop])


def test_blocks_of_any_size_add_up_to_the_same_file(settled, header, tmp_path: Path):
    with TraceWriter(tmp_path / "t.h5", header) as writer:
        for start, stop in [(0, 1), (1, 1), (1, 70), (70, 150)]:
            append_some(writer, settled, start, stop)
        writer.finish(settled, settled.trace.steps)
    with open_trace(tmp_path / "t.h5") as trace:
        np.testing.assert_array_equal(trace.state, settled.trace.state)
        np.testing.assert_array_equal(trace.time_s, settled.trace.time_s)


def test_the_file_has_its_final_name_only_when_it_is_finished(settled, header, tmp_path: Path):
    with TraceWriter(tmp_path / "t.h5", header) as writer:
        append_some(writer, settled, 0, 150)
        assert [p.name for p in tmp_path.iterdir()] == ["t.h5.part"]
        writer.finish(settled, settled.trace.steps)
    assert [p.name for p in tmp_path.iterdir()] == ["t.h5"]


def test_an_exception_leaves_what_was_appended_in_a_readable_part_file(settled, header, tmp_path: Path):
    def break_down() -> None:
        with TraceWriter(tmp_path / "t.h5", header) as writer:
            append_some(writer, settled, 0, 100)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_down()
    with open_trace(tmp_path / "t.h5.part") as trace:
        assert not trace.is_finished
        assert trace.scenario_toml == header.scenario_toml
        np.testing.assert_array_equal(trace.state, settled.trace.state[:100])
        assert trace.to_trace().steps.row_size.tolist() == [0, 0]
        with pytest.raises(TraceError, match="unfinished"):
            _ = trace.result
    with h5py.File(tmp_path / "t.h5.part") as plain:
        assert plain["run/trace/state"].shape == (100, 2, 5)


def test_forgetting_finish_is_an_error_that_says_what_was_kept(settled, header, tmp_path: Path):
    message = r"finish\(\) was not called; 7 time points up to 6e-10 s are kept in .*t\.h5\.part"
    with pytest.raises(TraceError, match=message), TraceWriter(tmp_path / "t.h5", header) as writer:
        append_some(writer, settled, 0, 7)


def test_two_writers_on_one_path_are_refused(header, tmp_path: Path):
    writer = TraceWriter(tmp_path / "t.h5", header)
    for overwrite in (False, True):
        with pytest.raises(TraceError, match="being written by another run"):
            TraceWriter(tmp_path / "t.h5", header, overwrite=overwrite)
    writer.close()


def test_a_dead_runs_file_is_replaced_only_on_request(settled, header, tmp_path: Path):
    TraceWriter(tmp_path / "t.h5", header).close()
    with pytest.raises(TraceError, match="left by a run that did not finish"):
        TraceWriter(tmp_path / "t.h5", header)
    with TraceWriter(tmp_path / "t.h5", header, overwrite=True) as writer:
        append_some(writer, settled, 0, 150)
        writer.finish(settled, settled.trace.steps)
    with open_trace(tmp_path / "t.h5") as trace:
        assert trace.is_finished


def test_a_finished_file_is_replaced_only_on_request_and_only_when_the_new_one_is_finished(
    settled, header, tmp_path: Path
):
    path = tmp_path / "t.h5"
    path.write_text("precious")
    with pytest.raises(TraceError, match="exists already"):
        TraceWriter(path, header)
    with TraceWriter(path, header, overwrite=True) as writer:
        append_some(writer, settled, 0, 10)
        assert path.read_text() == "precious"
        writer.finish(settled, settled.trace.steps)
    with open_trace(path) as trace:
        assert len(trace.time_s) == 10


def test_a_missing_folder_is_named(header, tmp_path: Path):
    with pytest.raises(TraceError, match=r"cannot write .*nowhere"):
        TraceWriter(tmp_path / "nowhere" / "t.h5", header)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("time_s", (3, 1), r"time_s has shape \(3, 1\)"),
        ("state", (3, 2, 4), r"state has shape \(3, 2, 4\); expected \(3, 2, 5\) = \(time, sample, node\)"),
        ("power_W", (3, 2), r"power_W has shape \(3, 2\); expected \(3, 2, 3\)"),
        ("residual", (2, 2), r"residual has shape \(2, 2\); expected \(3, 2\)"),
    ],
)
def test_a_block_of_the_wrong_shape_is_refused_and_nothing_is_written(header, tmp_path: Path, name, shape, message):
    block = {
        "time_s": np.arange(3.0),
        "state": np.zeros((3, 2, 5)),
        "power_W": np.zeros((3, 2, 3)),
        "residual": np.zeros((3, 2)),
    }
    writer = TraceWriter(tmp_path / "t.h5", header)
    with pytest.raises(InputError, match=message):
        writer.append(**{**block, name: np.zeros(shape)})
    assert writer.n_times == 0
    writer.append(**block)
    writer.close()


@pytest.mark.parametrize("times", [[0.0, 0.0], [1.0, 0.5], [0.0, np.nan], [0.0, np.inf]])
def test_time_must_increase(header, tmp_path: Path, times):
    writer = TraceWriter(tmp_path / "t.h5", header)
    with pytest.raises(InputError, match="time_s must be finite, increasing"):
        writer.append(times, np.zeros((2, 2, 5)), np.zeros((2, 2, 3)), np.zeros((2, 2)))
    writer.append([5.0], np.zeros((1, 2, 5)), np.zeros((1, 2, 3)), np.zeros((1, 2)))
    with pytest.raises(InputError, match="later than 5 s"):
        writer.append([5.0], np.zeros((1, 2, 5)), np.zeros((1, 2, 3)), np.zeros((1, 2)))
    writer.close()


def test_a_result_of_another_batch_is_refused(settled, settled_of, header, tmp_path: Path):
    writer = TraceWriter(tmp_path / "t.h5", header)
    steps = settled.trace.steps
    with pytest.raises(InputError, match="sample 3 was recorded, but only 2"):
        writer.finish(settled_of(batch=2, sample=(0, 1)), steps)
    with pytest.raises(InputError, match=r"z has shape \(6, 4\)"):
        writer.finish(settled_of(n_nodes=4), steps)
    with pytest.raises(InputError, match="the ledger has"):
        writer.finish(settled_of(terms=()), steps)
    with pytest.raises(InputError, match="row_size"):
        writer.finish(settled, settled_of(sample=(0, 1, 2)).trace.steps)
    writer.close()


def test_a_closed_writer_takes_no_more(settled, header, tmp_path: Path):
    writer = TraceWriter(tmp_path / "t.h5", header)
    writer.close()
    with pytest.raises(TraceError, match="is closed"):
        append_some(writer, settled, 0, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample": np.zeros(0, dtype=np.int64)}, "at least one sample"),
        ({"n_nodes": 0}, "n_nodes is 0"),
        ({"band": 0.0}, "band is 0"),
        ({"band": float("nan")}, "band is nan"),
        ({"supply_terms": ("driver",)}, r"\['driver'\] are not among the power terms"),
        ({"supply_terms": ()}, "supply_terms is empty"),
        ({"terms": ("a b", "a-b"), "supply_terms": ("a b",)}, "share a dataset name"),
        ({"title": "a\0b"}, "NUL"),
        ({"provenance": {"argv": "\udcff"}}, "argv is not valid Unicode"),
    ],
)
def test_a_header_that_cannot_be_stored_is_refused(settled, header_of, changes, message):
    with pytest.raises(InputError, match=message):
        header_of(settled, **changes)


def test_a_settle_without_waveforms_cannot_be_written(settled_of, tmp_path: Path):
    bare = replace(settled_of(), trace=None)
    with pytest.raises(InputError, match="recorded no waveforms"):
        write_trace(tmp_path / "t.h5", bare, title="", scenario_toml="", provenance={}, band=1e-3, supply_terms=())


def test_a_file_written_in_whole_chunks_has_no_room_to_spare(settled_of, header_of, tmp_path: Path):
    settled = settled_of(sample=tuple(range(8)), batch=8, n_times=640, n_nodes=64)
    write = TraceWriter(tmp_path / "t.h5", header_of(settled))
    for start in range(0, 640, 64):
        append_some(write, settled, start, start + 64)
    write.finish(settled, settled.trace.steps)
    assert (tmp_path / "t.h5").stat().st_size < 1.1 * settled.trace.state.nbytes
