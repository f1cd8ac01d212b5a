"""A writer in another process: watched, killed, and out of room."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from analogdeq.errors import TraceError
from analogdeq.trace import TraceWriter, open_trace

PROGRAM = """
import sys
from pathlib import Path
from made_up import make_header, make_settled
from analogdeq.trace import TraceWriter
settled = make_settled()
t = settled.trace
with TraceWriter(Path(sys.argv[1]), make_header(settled)) as writer:
    for start in range(0, 150, 50):
        block = slice(start, start + 50)
        writer.append(t.time_s[block], t.state[block], t.power_W[block], t.residual[block])
        print("appended", flush=True)
        sys.stdin.readline()
    writer.finish(settled, t.steps)
print("finished", flush=True)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that appends 50 time points whenever it is sent a line."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "t.h5")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        yield process
        process.kill()


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_reader_in_another_process_sees_every_block_and_the_end(writer, settled, tmp_path: Path):
    wait_for(writer, "appended")
    with open_trace(tmp_path / "t.h5.part") as trace:
        for n_times in (50, 100, 150):
            trace.refresh()
            assert not trace.is_finished
            assert len(trace.time_s) == n_times
            np.testing.assert_array_equal(trace.state, settled.trace.state[:n_times])
            go_on(writer)
            wait_for(writer, "appended" if n_times < 150 else "finished")
        trace.refresh()
        assert trace.is_finished
        np.testing.assert_array_equal(trace.steps.dt_s, settled.trace.steps.dt_s)
        assert trace.result.t_settle_s[0] == float(settled.t_settle_s[0])
    assert [p.name for p in tmp_path.iterdir()] == ["t.h5"]


def test_a_second_writer_is_refused_while_the_first_process_lives(writer, header, tmp_path: Path):
    wait_for(writer, "appended")
    with pytest.raises(TraceError, match="being written by another run"):
        TraceWriter(tmp_path / "t.h5", header, overwrite=True)


def test_a_killed_writer_leaves_a_readable_part_file(writer, settled, header, tmp_path: Path):
    wait_for(writer, "appended")
    go_on(writer)
    wait_for(writer, "appended")
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    part = tmp_path / "t.h5.part"
    with open_trace(part) as trace:
        assert not trace.is_finished
        np.testing.assert_array_equal(trace.state, settled.trace.state[:100])
        assert trace.scenario_toml == header.scenario_toml
    with h5py.File(part, swmr=True) as plain:
        assert plain["run/trace/time"].shape == (100,)
    renamed = part.rename(tmp_path / "renamed.h5")
    with pytest.raises(TraceError, match=r"did not finish; give it a name that ends in \.part"):
        open_trace(renamed)
    renamed.rename(part)
    TraceWriter(tmp_path / "t.h5", header, overwrite=True).close()


FULL_DISK = """
import resource, sys
from pathlib import Path
from made_up import make_header, make_settled
from analogdeq.errors import TraceError
from analogdeq.trace import TraceWriter
settled = make_settled(sample=tuple(range(8)), batch=8, n_nodes=64, n_times=1000)
t = settled.trace
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with TraceWriter(Path(sys.argv[1]), make_header(settled)) as writer:
        for start in range(0, 1000, 64):
            block = slice(start, start + 64)
            writer.append(t.time_s[block], t.state[block], t.power_W[block], t.residual[block])
except TraceError as error:
    print(error)
"""


def run_with_a_limit(path: Path, limit: int) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(limit)], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_full_disk_ends_in_an_error_that_says_what_was_kept_and_keeps_it(settled_of, tmp_path: Path):
    message = run_with_a_limit(tmp_path / "t.h5", 1_500_000)
    assert "could not write the last block: File too large; " in message
    n_times = int(message.split("; ")[1].split()[0])
    assert n_times >= 64
    assert f"are kept in {tmp_path / 't.h5.part'}; open_trace reads them" in message
    expected = settled_of(sample=tuple(range(8)), batch=8, n_nodes=64, n_times=1000).trace
    with open_trace(tmp_path / "t.h5.part") as trace:
        np.testing.assert_array_equal(trace.state, expected.state[:n_times])
    with h5py.File(tmp_path / "t.h5.part") as plain:  # closed in good order
        time = plain["run/trace/time"][:]
        assert np.isfinite(time[:n_times]).all()
        assert len(time) <= n_times + 64, "one block of a sample at the most"
        assert np.isnan(time[n_times:]).all(), "rows that only some samples reached are no time points"


def test_a_disk_without_room_for_the_header_leaves_nothing(tmp_path: Path):
    message = run_with_a_limit(tmp_path / "t.h5", 10_000)
    assert "File too large; free some room" in message
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_hdf5_itself_refuses_is_told_in_the_same_way(settled, header, tmp_path: Path, monkeypatch):
    writer = TraceWriter(tmp_path / "t.h5", header)
    trace = settled.trace
    writer.append(trace.time_s[:50], trace.state[:50], trace.power_W[:50], trace.residual[:50])

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("file write failed: no space\nmore words")

    monkeypatch.setattr(h5py.Dataset, "resize", refuse)
    with pytest.raises(TraceError, match=r"file write failed: no space; 50 time points up to 4.9e-09 s are kept in"):
        writer.append(trace.time_s[50:], trace.state[50:], trace.power_W[50:], trace.residual[50:])
    with open_trace(tmp_path / "t.h5.part") as kept:
        np.testing.assert_array_equal(kept.state, trace.state[:50])
