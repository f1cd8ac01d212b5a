"""A settle that records into a file: the same as in memory, in constant memory, and there when the run is killed."""

import os
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from made_up import make_header, make_settled

from analogdeq.errors import InputError, TraceError
from analogdeq.solve.record import BLOCK, STEP_BLOCK, Record, Recorder
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.solve.trace import StepLog, Steps, Trace
from analogdeq.trace import TraceHeader, TraceWriter, open_trace
from helpers import chip, plain_core, random_core, random_inputs, tensor


def assert_same(file: Trace, memory: Trace) -> None:
    for name in ("time_s", "sample", "state", "power_W", "residual"):
        np.testing.assert_array_equal(getattr(file, name), getattr(memory, name), err_msg=name)
    for field in fields(Steps):
        np.testing.assert_array_equal(getattr(file.steps, field.name), getattr(memory.steps, field.name))


def header_for(core, samples: tuple[int, ...], settled: Settled, band: float = 1e-3) -> TraceHeader:
    terms = tuple(core.power_terms)
    return TraceHeader(
        title="stream",
        scenario_toml="",
        provenance={},
        sample=np.array(samples),
        n_nodes=core.n_nodes,
        band=band,
        terms=terms,
        supply_terms=terms[-1:],
        energy_terms=tuple(settled.ledger.terms_J()) if settled.ledger else (),
    )


FEEDBACK = plain_core([[-8.0, 0.0], [0.0, 0.9]])
CASES = {
    "of a chip": (chip(random_core(6, seed=1)), random_inputs(12, 3, seed=2)),
    "with samples that are integrated again": (FEEDBACK, tensor([[1.0, 0.01], [0.01, 0.9], [0.5, 0.0], [0.0, 0.1]])),
    "with a sample that is NaN": (plain_core([[0.5]]), tensor([[0.3], [np.nan], [0.9], [0.0]])),
}


@pytest.mark.parametrize("case", CASES)
def test_the_file_of_a_settle_is_its_trace_in_memory(case: str, tmp_path: Path) -> None:
    core, u = CASES[case]
    record = {"samples": (3, 0, 1), "interval_tau": 0.02, "until_tau": 12.0}
    memory = settle(core, u, record=Record(**record))
    with TraceWriter(tmp_path / "t.h5", header_for(core, (3, 0, 1), memory)) as writer:
        streamed = settle(core, u, record=Record(**record, sink=writer))
        assert streamed.trace is None
        writer.finish(streamed)
    with open_trace(tmp_path / "t.h5") as file:
        assert_same(file.to_trace(), memory.trace)
        assert file.result.verdict == [memory.verdict[k] for k in (3, 0, 1)]


def test_the_log_of_a_sample_that_is_integrated_again_holds_both_times_and_the_table_the_last() -> None:
    core, u = CASES["with samples that are integrated again"]
    logs: list[StepLog] = []

    class Log:
        def write(self, *_: object) -> None: ...
        def complete(self, *_: object) -> None: ...
        def log_steps(self, log: StepLog) -> None:
            logs.append(log)

    settle(core, u, record=Record(samples=(0, 1, 2, 3), sink=Log()))
    (log,) = logs
    steps = Steps.of_log(log, 4)
    starts = [int(((log.time_s == 0) & log.accepted & (log.position == k)).sum()) for k in range(4)]
    assert max(starts) == 2, "at least one sample starts over here"
    for k, end in enumerate(np.cumsum(steps.row_size)):
        mine = slice(end - steps.row_size[k], end)
        assert steps.row_size[k] <= (log.position == k).sum()
        assert (steps.row_size[k] == (log.position == k).sum()) == (starts[k] == 1)
        went_on = steps.time_s[mine][:-1] + np.where(steps.accepted[mine], steps.dt_s[mine], 0)[:-1]
        np.testing.assert_allclose(steps.time_s[mine][1:], went_on, rtol=1e-12)


class Counter:
    """Looks at what it is given and lets it go."""

    def __init__(self) -> None:
        self.n_bytes = self.n_attempts = self.lead = 0
        self.n_rows: dict[int, int] = {}

    def write(self, position: int, first: int, *block: np.ndarray) -> None:
        self.n_bytes += sum(values.nbytes for values in block)
        self.n_rows[position] = first + len(block[0])
        self.lead = max(self.lead, max(self.n_rows.values()) - min(self.n_rows.values()))

    def complete(self, time_s: np.ndarray) -> None:
        pass

    def log_steps(self, log: StepLog) -> None:
        self.n_attempts += log.position.size


def test_memory_stays_constant_however_long_the_trace_is_and_however_far_apart_its_samples_are() -> None:
    """Sample 0 rests from the start and takes steps thousands of rows long, the other does not."""
    torch.manual_seed(0)
    core = random_core(64, seed=1, inputs=64, dtype=torch.float32)
    core = plain_core(core.W, dtype=torch.float32)
    u = torch.stack((torch.zeros(64), torch.randn(64)))
    sink = Counter()
    record = Record(samples=(0, 1), interval_tau=5e-4, until_tau=30.0, sink=sink)
    buffer = 2 * BLOCK * (64 + 1) * 4
    tracemalloc.start()
    try:
        settle(core, u, record=record)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sink.n_bytes > 50 * buffer
    assert sink.n_bytes > 10 * peak
    assert peak < 16 * buffer
    assert sink.lead > 20 * BLOCK, "the samples were far apart"


class Still:
    """A stepper whose states never change."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes

    def segment(self, rows: torch.Tensor, h: torch.Tensor) -> "Still":
        return self

    def states(self, theta: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*theta.shape, self.nodes, dtype=torch.float64)


def test_memory_stays_constant_however_long_the_step_table_is() -> None:
    lanes, attempts = 64, 4000
    core = plain_core(np.zeros((2, 2)))
    u, sink = torch.zeros(lanes, 2, dtype=torch.float64), Counter()
    recorder = Recorder(Record(samples=tuple(range(lanes)), interval_tau=1e6, sink=sink), core, core.drive(u))
    slots, h = torch.arange(lanes), torch.full((lanes,), 0.25, dtype=torch.float64)
    recorder.start(slots, u)
    buffer = STEP_BLOCK * 5 * 8
    tracemalloc.start()
    try:
        for k in range(attempts):
            recorder.observe(Still(2), slots, k * h, h, h, h > 0)
        recorder.finish()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sink.n_attempts == lanes * attempts > 50 * STEP_BLOCK
    assert peak < 5 * buffer


PROGRAM = """
import resource, sys
from pathlib import Path
import numpy as np, torch
sys.path.insert(0, sys.argv[2])
import analogdeq.solve.record
from analogdeq.cores.rc import RCCore
from analogdeq.solve.record import Record
from analogdeq.solve.settle import settle
from analogdeq.trace import TraceHeader, TraceWriter

torch.set_num_threads(1)
n = 128
torch.manual_seed(0)
core = RCCore(0.5 * torch.randn(n, n) / n**0.5, torch.eye(n), torch.zeros(n), tau_s=1.0)
u = torch.stack((torch.zeros(n), torch.randn(n)))
header = TraceHeader(title="", scenario_toml="", provenance={}, sample=np.arange(2), n_nodes=n, band=1e-3)


def resident_bytes():
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() if statm.exists() else 0


resident = []


class Telling:
    def __init__(self, writer, pause):
        self.writer, self.pause = writer, pause
        self.write, self.log_steps = writer.write, writer.log_steps

    def complete(self, time_s):
        self.writer.complete(time_s)
        resident.append(resident_bytes())
        if self.pause:
            print(self.writer.n_times, flush=True)
            sys.stdin.readline()


def record(path, interval_tau, pause=False):
    with TraceWriter(path, header, overwrite=True) as writer:
        sink = Telling(writer, pause)
        settled = settle(core, u, record=Record(samples=(0, 1), interval_tau=interval_tau, until_tau=30.0, sink=sink))
        writer.finish(settled)


if sys.argv[3] == "memory":
    record(sys.argv[1], 0.05)
    before, resident = resident_bytes(), []
    record(sys.argv[1], 0.001)
    print(max(resident) - before)
else:
    analogdeq.solve.record.STEP_BLOCK = 8
    record(sys.argv[1], 0.01, pause=True)
"""


def program(path: Path, what: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(path), str(Path(__file__).parent), what]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read from /proc")
def test_a_process_that_writes_a_long_trace_does_not_grow(tmp_path: Path) -> None:
    done = subprocess.run(program(tmp_path / "t.h5", "memory"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    with h5py.File(tmp_path / "t.h5") as file:
        state = file["run/trace/state"]
        assert state.shape[0] > 30_000
        n_bytes = state.size * 4
    assert int(done.stdout) < 0.5 * n_bytes, "some 10 MB of working memory, whatever the length"


def test_a_killed_settle_leaves_every_complete_row_and_the_steps_it_handed_on(tmp_path: Path) -> None:
    whole = subprocess.Popen(
        program(tmp_path / "t.h5", "watched"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with whole as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(4):
            n_times = int(process.stdout.readline())
            process.stdin.write("\n")
            process.stdin.flush()
        n_times = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
    with open_trace(tmp_path / "t.h5.part") as trace:
        assert not trace.is_finished
        assert len(trace.time_s) == n_times == 5 * BLOCK
        assert np.isfinite(trace.state).all()
        np.testing.assert_allclose(trace.time_s, np.arange(n_times) * 0.01, rtol=1e-12)
        assert (trace.state[:, 0] == 0).all()
        assert (trace.state[-1, 1] != 0).any()
        steps = trace.steps
        assert steps.row_size.sum() % 8 == 0
        assert (steps.row_size > 0).all()
        mine = steps.time_s[steps.row_size[0] :], steps.dt_s[steps.row_size[0] :], steps.accepted[steps.row_size[0] :]
        np.testing.assert_allclose(mine[0][1:], (mine[0] + np.where(mine[2], mine[1], 0))[:-1], rtol=1e-12)
    with h5py.File(tmp_path / "t.h5.part", swmr=True) as plain:
        rows = {plain["run/trace"][name].shape[0] for name in ("time", "state", "power", "residual")}
        assert len(rows) == 1, "one length for all, so that other tools can open the file"
        assert np.isnan(plain["run/trace/time"][n_times:]).all()


def test_steps_logged_before_a_crash_are_in_the_part_file(tmp_path: Path) -> None:
    settled = make_settled()
    writer = TraceWriter(tmp_path / "t.h5", make_header(settled))
    log = settled.trace.steps.log()
    writer.log_steps(log)
    writer.close()
    with open_trace(tmp_path / "t.h5.part") as trace:
        np.testing.assert_array_equal(trace.steps.dt_s, settled.trace.steps.dt_s)
        assert trace.steps.row_size.tolist() == settled.trace.steps.row_size.tolist()


def test_rows_out_of_place_are_refused_and_leave_the_file_as_it_was(tmp_path: Path) -> None:
    settled = make_settled()
    t = settled.trace
    writer = TraceWriter(tmp_path / "t.h5", make_header(settled))
    block = (t.state[:10, 0], t.power_W[:10, 0], t.residual[:10, 0])
    for position, first in ((0, 1), (2, 0), (-1, 0)):
        with pytest.raises(InputError, match=f"row {first} of sample {position} does not come next"):
            writer.write(position, first, *block)
    with pytest.raises(InputError, match=r"state has shape \(10, 4\); expected \(10, 5\) = \(row, node\)"):
        writer.write(0, 0, block[0][:, :4], *block[1:])
    writer.write(0, 0, *block)
    with pytest.raises(InputError, match="rows of single samples were written; 0 of them are complete"):
        writer.append(t.time_s[:2], t.state[:2], t.power_W[:2], t.residual[:2])
    with pytest.raises(InputError, match="attempts of samples 0 to 2 were logged, but 2 samples"):
        writer.log_steps(make_settled(sample=(0, 1, 2), seed=1).trace.steps.log())
    writer.write(1, 0, *(values[:4] for values in block))
    writer.complete(t.time_s[:10])
    writer.log_steps(t.steps.log())
    with pytest.raises(InputError, match="attempted steps were logged already"):
        writer.finish(settled, t.steps)
    writer.finish(settled)
    with open_trace(tmp_path / "t.h5") as trace:
        np.testing.assert_array_equal(trace.state[:, 0], t.state[:10, 0])
        np.testing.assert_array_equal(trace.state[:4, 1], t.state[:4, 0])
        assert np.isnan(trace.state[4:, 1]).all()


def test_a_full_disk_during_a_settle_keeps_what_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core, u = random_core(16, seed=1), random_inputs(2, 3, seed=2)
    settled = settle(core, u, record=Record(samples=(0, 1), interval_tau=0.01))
    writer = TraceWriter(tmp_path / "t.h5", header_for(core, (0, 1), settled))
    complete = writer.complete

    def fill_up(time_s: np.ndarray) -> None:
        complete(time_s)
        if writer.n_times >= 3 * BLOCK:
            monkeypatch.setattr(os, "posix_fallocate", refuse)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "complete", fill_up)
    with pytest.raises(TraceError, match=r"No space left on device; 192 time points up to 1\.91e-08 s are kept in"):
        settle(core, u, record=Record(samples=(0, 1), interval_tau=0.01, sink=writer))
    with open_trace(tmp_path / "t.h5.part") as trace:
        np.testing.assert_array_equal(trace.state, settled.trace.state[:192])
