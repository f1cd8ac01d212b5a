"""Waveforms: on their grid, of the right sample, as long as asked for, the same in memory and in the sink."""

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from analogdeq.errors import InputError
from analogdeq.solve.record import Record
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.solve.trace import StepLog, Steps, Trace
from helpers import NATIVE, Nodal, chip, plain_core, quiet_amplifier, random_core, random_inputs, settle_core, tensor

EVERY = pytest.mark.parametrize("method", NATIVE)


class ListSink:
    """Keeps what it is given, and checks that it comes in the order it is promised to."""

    def __init__(self, n_samples: int) -> None:
        self.blocks: list[list[tuple[np.ndarray, ...]]] = [[] for _ in range(n_samples)]
        self.time_s = np.empty(0)
        self.logs: list[StepLog] = []

    def write(self, position: int, first: int, *block: np.ndarray) -> None:
        assert first == sum(len(state) for state, *_ in self.blocks[position])
        assert 0 < len(block[0]) <= 64
        self.blocks[position].append(tuple(values.copy() for values in block))

    def complete(self, time_s: np.ndarray) -> None:
        self.time_s = np.concatenate((self.time_s, time_s))

    def log_steps(self, log: StepLog) -> None:
        self.logs.append(log)

    def joined(self, position: int) -> list[np.ndarray]:
        return [np.concatenate(parts) for parts in zip(*self.blocks[position], strict=True)]

    def step_log(self) -> StepLog:
        return StepLog(**{f.name: np.concatenate([getattr(x, f.name) for x in self.logs]) for f in fields(StepLog)})


def traced(out: Settled) -> Trace:
    assert out.trace is not None
    return out.trace


def steps_of(trace: Trace, column: int) -> slice:
    ends = np.cumsum(trace.steps.row_size)
    return slice(int(ends[column] - trace.steps.row_size[column]), int(ends[column]))


@EVERY
@pytest.mark.parametrize("interval_tau", [0.05, 0.3, 7.0])
def test_rows_stand_on_an_even_grid_in_seconds_from_zero(method: str, interval_tau: float) -> None:
    core = random_core(4, seed=1, tau_s=1e-8)
    out = settle(
        core, random_inputs(2, 3, seed=2), method=method, record=Record(samples=(1,), interval_tau=interval_tau)
    )
    trace = traced(out)
    np.testing.assert_allclose(trace.time_s, np.arange(len(trace.time_s)) * interval_tau * 1e-8, rtol=1e-12, atol=0)
    end_tau = out.t_end_s[1].item() / 1e-8
    assert trace.time_s[-1] / 1e-8 >= end_tau - interval_tau - 1e-6
    assert trace.state.shape == (len(trace.time_s), 1, 4)
    assert (trace.state.dtype, trace.time_s.dtype) == (np.float32, np.float64)


@EVERY
def test_the_first_row_is_the_initial_state(method: str) -> None:
    z0 = tensor([[0.3, -0.2], [0.9, 0.1]])
    out = settle(plain_core([[0.5, 0.1], [0.0, 0.2]]), torch.zeros(2, 2, dtype=torch.float64), z0=z0, method=method,
                 record=Record(samples=(1, 0)))  # fmt: skip
    np.testing.assert_allclose(traced(out).state[0], z0.flip(0).numpy(), rtol=1e-6)


@EVERY
def test_samples_come_in_the_order_they_were_asked_for(method: str) -> None:
    core, u = random_core(4, seed=1), random_inputs(9, 3, seed=2)
    several = traced(settle(core, u, method=method, record=Record(samples=(7, 0, 4))))
    assert several.sample.tolist() == [7, 0, 4]
    for column, k in enumerate((7, 0, 4)):
        alone = traced(settle(core, u[k : k + 1], method=method, record=Record(samples=(0,))))
        rows = len(alone.time_s)
        np.testing.assert_allclose(several.state[:rows, column], alone.state[:, 0], atol=1e-5)


@EVERY
def test_power_and_residual_are_those_of_the_recorded_state(method: str) -> None:
    placed = chip(random_core(4, seed=1))
    u = random_inputs(3, 3, seed=2)
    trace = traced(settle(placed, u, method=method, record=Record(samples=(2, 1), interval_tau=0.5)))
    assert trace.terms == placed.power_terms
    for column, k in enumerate((2, 1)):
        z = tensor(trace.state[:, column])
        alive = torch.isfinite(z).all(1)
        drive = placed.drive(u[k : k + 1].expand(len(z), -1))
        residual = (placed.fixed_point_map(z, drive) - z).abs().amax(1)
        np.testing.assert_allclose(trace.residual[alive, column], residual[alive].numpy(), atol=1e-6)
        nodal = Nodal.of(placed, u[k])
        watts = np.stack([nodal.powers_W(0.1 * state)[:4] for state in z[alive].numpy()])
        np.testing.assert_allclose(trace.power_W[alive, column], watts, rtol=1e-4, atol=1e-5 * watts.max())


@EVERY
def test_recording_changes_no_result(method: str) -> None:
    placed, u = chip(random_core(6, seed=1)), random_inputs(12, 3, seed=2)
    plain = settle(placed, u, method=method, compiled=False)
    watched = settle(
        placed, u, method=method, compiled=False, record=Record(samples=(0, 5), interval_tau=0.01, until_tau=40.0)
    )
    assert torch.equal(plain.verdict_code, watched.verdict_code)
    assert torch.equal(plain.steps, watched.steps)
    torch.testing.assert_close(plain.t_settle_s, watched.t_settle_s, rtol=1e-9, atol=0)
    torch.testing.assert_close(plain.energy_J, watched.energy_J, rtol=1e-9, atol=0)


@EVERY
def test_a_sink_gets_the_rows_of_the_trace_in_order_and_the_settle_keeps_none(method: str) -> None:
    sink = ListSink(3)
    core, u = random_core(4, seed=1), random_inputs(6, 3, seed=2)
    record = Record(samples=(5, 2, 0), interval_tau=0.02, until_tau=30.0)
    trace = traced(settle(core, u, method=method, record=record))
    assert settle(core, u, method=method, record=replace(record, sink=sink)).trace is None
    assert sum(map(len, sink.blocks)) > 9, "rows are handed on while the settle runs"
    np.testing.assert_array_equal(sink.time_s, trace.time_s)
    for position in range(3):
        for mine, theirs in zip(sink.joined(position), (trace.state, trace.power_W, trace.residual), strict=True):
            np.testing.assert_array_equal(mine, theirs[: len(mine), position])
            assert not np.isfinite(theirs[len(mine) :, position]).any()
    steps = Steps.of_log(sink.step_log(), 3)
    for f in fields(Steps):
        np.testing.assert_array_equal(getattr(steps, f.name), getattr(trace.steps, f.name))


def test_a_reference_back_end_feeds_a_sink_too() -> None:
    sink = ListSink(2)
    core, u = random_core(3, seed=1), random_inputs(3, 3, seed=2)
    record = Record(samples=(1, 0), interval_tau=0.1)
    trace = traced(settle(core, u, method="scipy-lsoda", record=record))
    assert settle(core, u, method="scipy-lsoda", record=replace(record, sink=sink)).trace is None
    for position in range(2):
        state = sink.joined(position)[0]
        np.testing.assert_array_equal(state, trace.state[: len(state), position])
        assert not np.isfinite(trace.state[len(state) :, position]).any()
    np.testing.assert_array_equal(sink.time_s, trace.time_s)


@EVERY
def test_recording_goes_on_after_settling_until_the_time_asked_for(method: str) -> None:
    out = settle_core([[0.5]], b=[0.5], method=method, record=Record(samples=(0,), interval_tau=0.25, until_tau=60.0))
    trace = traced(out)
    assert out.t_settle_s.item() < 20
    assert trace.time_s[-1] + 0.25 >= 60.0
    late = trace.state[trace.time_s > out.t_settle_s.item() + 10]
    assert np.isfinite(trace.state).all()
    np.testing.assert_allclose(late[:, 0, 0], out.z.item(), atol=1e-5)


@EVERY
@pytest.mark.parametrize("until_tau", [10.0, 300.0])
def test_recording_ends_soon_after_the_time_asked_for(method: str, until_tau: float) -> None:
    """A state at rest lets steps grow without bound; the trace must not grow with them."""
    out = settle_core([[0.5]], method=method, record=Record(samples=(0,), interval_tau=1.0, until_tau=until_tau))
    assert until_tau - 1 <= traced(out).time_s[-1] <= until_tau + 10


def test_after_its_end_a_samples_rows_are_nan() -> None:
    core = plain_core([[0.0, 0.0], [0.0, 0.95]])
    u = tensor([[1.0, 0.0], [0.0, 0.5], [math.nan, 0.0]])
    out = settle(core, u, record=Record(samples=(0, 1, 2), interval_tau=0.1))
    trace = traced(out)
    for column in range(3):
        alive = np.isfinite(trace.state[:, column]).all(1)
        last = int(np.flatnonzero(alive)[-1])
        assert alive[: last + 1].all(), "no holes before the end"
        assert trace.time_s[last] == pytest.approx(out.t_end_s[column].item(), abs=0.11)
        for rows in (trace.residual, trace.power_W):
            assert not np.isfinite(rows[last + 1 :, column]).any()
    assert last == 0, "a NaN sample has its initial state and no more"


@EVERY
def test_a_sample_that_is_integrated_again_leaves_the_others_alone(method: str) -> None:
    """The fast node's samples are found inside their band and start over; the slow node's are long on their way."""
    core = plain_core([[-8.0, 0.0], [0.0, 0.9]])
    u = tensor([[1.0, 0.01], [0.01, 0.9], [0.5, 0.0], [0.0, 0.1]])
    whole = traced(settle(core, u, method=method, record=Record(samples=(0, 1, 2, 3), interval_tau=0.1)))
    for k in range(4):
        part = traced(settle(core, u, method=method, record=Record(samples=(k,), interval_tau=0.1)))
        alone = traced(settle(core, u[k : k + 1], method=method, record=Record(samples=(0,), interval_tau=0.1)))
        rows = len(alone.time_s)
        np.testing.assert_allclose(whole.state[:rows, k], alone.state[:, 0], atol=1e-5)
        np.testing.assert_allclose(part.state[:rows, 0], alone.state[:, 0], atol=1e-5)


@EVERY
def test_every_attempt_is_listed_with_its_time_length_error_and_fate(method: str) -> None:
    core = random_core(5, seed=3, radius=1.1, tau_s=1e-8)
    out = settle(core, random_inputs(3, 3, seed=2), method=method, record=Record(samples=(2, 0)))
    steps = traced(out).steps
    assert steps.row_size.sum() == len(steps.time_s) == len(steps.dt_s) == len(steps.error_norm) == len(steps.accepted)
    for column, k in enumerate((2, 0)):
        mine = steps_of(traced(out), column)
        time, dt, ok = steps.time_s[mine], steps.dt_s[mine], steps.accepted[mine]
        assert time[0] == 0.0
        assert (dt > 0).all()
        np.testing.assert_array_equal(ok, steps.error_norm[mine] <= 1)
        np.testing.assert_allclose(time[1:], (time + np.where(ok, dt, 0.0))[:-1], rtol=1e-9, atol=1e-20)
        assert ok.sum() >= out.steps[k].item()
        assert (~ok).sum() >= out.rejected[k].item()


@EVERY
def test_the_steps_of_a_lone_sample_are_those_it_was_charged_for(method: str) -> None:
    out = settle(random_core(5, seed=1), random_inputs(1, 3, seed=2), method=method, record=Record(samples=(0,)))
    steps = traced(out).steps
    charged = out.steps.item() + out.rejected.item()
    assert steps.accepted[:charged].sum() == out.steps.item()
    # The linearised circuit told when it ends; the recording goes on until then.
    assert len(steps.accepted) > charged
    last = steps.time_s[-1] + steps.dt_s[-1]
    assert last == pytest.approx(out.t_end_s.item(), rel=1e-9, abs=0)


@EVERY
@pytest.mark.parametrize("gain", [1.2, 5.0])
def test_recording_a_runaway_ends(method: str, gain: float) -> None:
    core = plain_core([[gain]], [1.0], activation="relu", dtype=torch.float32)
    out = settle(core, torch.zeros(1, 1), method=method, record=Record(samples=(0,), interval_tau=1.0, until_tau=600.0))
    assert out.verdict[0].text == "diverged"
    assert len(traced(out).time_s) < 700


@pytest.mark.parametrize("until_tau", [math.inf, math.nan, -1.0])
def test_a_time_to_record_until_must_be_finite_and_not_negative(until_tau: float) -> None:
    with pytest.raises(InputError, match="until_tau"):
        Record(samples=(0,), until_tau=until_tau)


@pytest.mark.parametrize("samples", [(), (0, 0), (-1,), (1, 2, 1)])
def test_samples_to_record_must_be_distinct_rows(samples: Any) -> None:
    with pytest.raises(InputError, match="must be distinct rows of the batch, at least one"):
        Record(samples=samples)


@pytest.mark.parametrize("interval_tau", [0.0, -0.1, math.nan, math.inf])
def test_a_recording_interval_must_be_positive(interval_tau: float) -> None:
    with pytest.raises(InputError, match=r"interval_tau = .* must be positive and finite"):
        Record(samples=(0,), interval_tau=interval_tau)


def test_a_sample_outside_the_batch_cannot_be_recorded() -> None:
    with pytest.raises(InputError, match="record asks for sample 3, but the batch has 3"):
        settle(random_core(3, seed=0), random_inputs(3, 3, seed=0), record=Record(samples=(0, 3)))


def test_a_sink_that_fails_is_heard() -> None:
    class Full(ListSink):
        def write(self, position: int, first: int, *block: np.ndarray) -> None:
            raise OSError("disk full")

    record = Record(samples=(0,), sink=Full(1))
    with pytest.raises(OSError, match="disk full"):
        settle(random_core(3, seed=0), random_inputs(1, 3, seed=0), record=record)


def test_energy_is_the_area_under_the_recorded_power() -> None:
    placed = chip(random_core(5, seed=4), amplifier=quiet_amplifier())
    out = settle(placed, random_inputs(1, 3, seed=5), rtol=1e-5, record=Record(samples=(0,), interval_tau=0.005))
    trace, t_s = traced(out), out.t_settle_s.item()
    inside = trace.time_s <= t_s
    t, watts = trace.time_s[inside], trace.power_W[inside, 0].astype(float)
    joules = np.trapezoid(watts, t, axis=0) + watts[-1] * (t_s - t[-1])
    assert out.ledger is not None
    for k, name in enumerate(("crossbar_J", "feedback_J", "node_J", "drivers_J")):
        assert joules[k] == pytest.approx(getattr(out.ledger, name).item(), rel=1e-3, abs=0)
