"""The loop's logic, with scripted steppers: states known in closed form, errors prescribed.

The scripted stepper knows where each sample is at any time and is told how large an error to report. What the loop then
does with its clocks, verdicts and lanes can be compared with what it must do.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.band import last_exit
from analogdeq.solve.controller import error_share, next_step
from analogdeq.solve.loop import SettleLoop
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.outcome import Outcome, empty_outcome
from analogdeq.solve.rest import find_rest, flow_eigenvalues
from analogdeq.solve.settle import settle
from analogdeq.solve.slabs import Batch
from analogdeq.solve.verdict import Verdict
from helpers import plain_core, random_inputs, tensor

Errors = Callable[[int, Tensor, Tensor], Tensor]
"""(attempt, sample, time) -> the error to report per lane, in units of what is allowed."""


def no_error(_attempt: int, sample: Tensor, _time: Tensor) -> Tensor:
    return torch.zeros(len(sample), dtype=torch.float64)


class ScriptedSegment:
    """Exact states between two times."""

    def __init__(self, stepper: "Scripted", rows: Tensor, h: Tensor) -> None:
        self._stepper, self._rows, self._h = stepper, rows, h

    def states(self, theta: Tensor) -> Tensor:
        time = self._stepper.time[self._rows].unsqueeze(1) + theta * self._h[self._rows].unsqueeze(1)
        start = self._stepper.start[self._stepper.sample[self._rows]].unsqueeze(1)
        rest = self._stepper.rest[self._stepper.sample[self._rows]].unsqueeze(1)
        return rest + (start - rest) * torch.exp(-time).unsqueeze(-1)

    def energies(self, theta: Tensor) -> Tensor:
        return theta.new_zeros(*theta.shape, 0)


class Scripted:
    """z = rest + (start - rest) e^-s for every sample, exactly, with prescribed errors."""

    def __init__(self, errors: Errors = no_error) -> None:
        self._errors = errors
        self.attempts: list[list[float]] = []
        self.restarts: list[list[int]] = []
        self.kept: list[int] = []

    def begin(self, core: Core, drive: Drive, z: Tensor) -> None:
        self.sample = torch.arange(len(z))
        self.start, self.rest = z.clone(), core.fixed_point_map(z, drive)
        self.time = torch.zeros(len(z), dtype=torch.float64)
        self.z, self.z_new = z, z.clone()

    @property
    def dz(self) -> Tensor:
        return self.rest[self.sample] - self.z

    @property
    def dz_new(self) -> Tensor:
        return self.rest[self.sample] - self.z_new

    def attempt(self, h: Tensor) -> Tensor:
        self.attempts.append(h.tolist())
        self.h = h
        everyone = torch.arange(len(self.sample))
        self.z_new = ScriptedSegment(self, everyone, h).states(torch.ones(len(h), 1, dtype=torch.float64)).squeeze(1)
        error = self._errors(len(self.attempts) - 1, self.sample, self.time)
        self.z_new[error.isnan()] = torch.nan
        return error * (1e-6 + 1e-3 * error_share(torch.ones_like(h), h) * self.dz.abs().amax(1))

    def accept(self, accepted: Tensor | None = None) -> None:
        accepted = torch.ones(len(self.z), dtype=torch.bool) if accepted is None else accepted
        self.time = torch.where(accepted, self.time + self.h, self.time)
        self.z = torch.where(accepted.unsqueeze(1), self.z_new, self.z)

    def next_step(self, h: Tensor, ratio: Tensor, before: Tensor) -> Tensor:
        return next_step(h, ratio, before, 5)

    @property
    def evaluations(self) -> Tensor:
        return torch.full((len(self.z),), 3 * len(self.attempts))

    def energy_of_step(self, h: Tensor) -> Tensor:
        return h.new_zeros(len(h), 0)

    def energy_error(self, h: Tensor) -> Tensor:
        return h.new_zeros(len(h), 0)

    def segment(self, rows: Tensor, h: Tensor) -> ScriptedSegment:
        return ScriptedSegment(self, rows, h)

    def restart(self, rows: Tensor, z: Tensor) -> None:
        self.restarts.append(self.sample[rows].tolist())
        self.time[rows], self.z[rows] = 0.0, z

    def keep(self, rows: Tensor) -> None:
        self.kept.append(len(rows))
        self.sample, self.time, self.z = self.sample[rows], self.time[rows], self.z[rows]


def run(stepper: Scripted, b: list[float], **options: float) -> Outcome:
    """One node without feedback per sample, resting at tanh(b)."""
    core = plain_core([[0.0]])
    u = torch.zeros(len(b), core.n_nodes, dtype=torch.float64)
    u[:, 0] = tensor(b)
    drive = core.drive(u)
    start = core.initial_state(drive)
    batch = Batch(drive=drive, start=start, outcome=empty_outcome(start, 0))
    SettleLoop(core, batch, torch.arange(len(b)), SettleOptions(**options), stepper).run()
    return batch.outcome


def settle_tau(b: float, band: float = 1e-3) -> float:
    return math.log(abs(math.tanh(b)) / band)


def test_an_exact_stepper_gives_the_exact_settling_time() -> None:
    out = run(Scripted(), [1.0, -0.3, 2.0])
    assert out.verdict.tolist() == [int(Verdict.SETTLED)] * 3
    for k, b in enumerate((1.0, -0.3, 2.0)):
        assert out.time_settle[k].item() == pytest.approx(settle_tau(b), rel=2e-3)
        assert out.z[k].item() == pytest.approx(math.tanh(b), abs=1e-9)


def test_a_rejected_step_leaves_clock_and_state_alone_and_is_counted() -> None:
    def errors(attempt: int, sample: Tensor, _time: Tensor) -> Tensor:
        return torch.full((len(sample),), 50.0 if attempt in (1, 2, 5) else 0.1, dtype=torch.float64)

    stepper = Scripted(errors)
    out = run(stepper, [1.0])
    assert out.rejected.item() == 3
    assert out.steps.item() == len(stepper.attempts) - 3
    assert out.time_settle.item() == pytest.approx(settle_tau(1.0), rel=2e-3)
    accepted = [h[0] for k, h in enumerate(stepper.attempts) if k not in (1, 2, 5)]
    assert sum(accepted) < out.time_end.item() == out.time_settle.item(), "the linearised circuit told the rest"
    assert stepper.attempts[2][0] < stepper.attempts[1][0]
    assert stepper.attempts[3][0] < stepper.attempts[2][0]


def test_a_sample_whose_steps_are_rejected_holds_up_no_other() -> None:
    def errors(attempt: int, sample: Tensor, _time: Tensor) -> Tensor:
        return torch.where((sample == 1) & (attempt < 12), 50.0, 1e-4).double()

    stepper = Scripted(errors)
    out = run(stepper, [1.0, 1.0, 1.0])
    assert out.rejected.tolist() == [0, 12, 0]
    assert out.time_settle.tolist() == pytest.approx([settle_tau(1.0)] * 3, rel=2e-3)
    alone = run(Scripted(), [1.0])
    assert out.steps[0].item() == alone.steps.item()


def test_every_attempt_costs_a_sample_its_stages_until_its_verdict() -> None:
    stepper = Scripted()
    out = run(stepper, [1.0])
    attempts = out.steps.item() + out.rejected.item()
    assert attempts == len(stepper.attempts)
    spent = out.evaluations.item() - 1 - 3 * attempts
    assert 0 < spent < 20, "beside them, one at the start and those of the search"


def test_a_step_budget_ends_in_time_out_after_exactly_that_many_attempts() -> None:
    def errors(attempt: int, sample: Tensor, _time: Tensor) -> Tensor:
        return torch.full((len(sample),), 50.0 if attempt % 2 else 0.5, dtype=torch.float64)

    stepper = Scripted(errors)
    out = run(stepper, [1.0, 0.5], max_steps=7)
    assert out.verdict.tolist() == [int(Verdict.TIMED_OUT)] * 2
    assert (out.steps + out.rejected).tolist() == [7, 7]
    assert len(stepper.attempts) == 7
    assert out.time_settle.isnan().all()
    assert out.z[0].item() == pytest.approx(math.tanh(1.0) * (1 - math.exp(-out.time_end[0].item())), rel=1e-12)


def test_the_last_step_ends_on_the_time_budget() -> None:
    stepper = Scripted()
    out = run(stepper, [1.0], max_time_tau=3.3)
    assert out.verdict.item() == int(Verdict.TIMED_OUT)
    assert out.time_end.item() == pytest.approx(3.3, rel=1e-12)


def test_a_derivative_that_is_no_number_nearby_collapses_the_step_and_is_divergence() -> None:
    def errors(_attempt: int, sample: Tensor, time: Tensor) -> Tensor:
        return torch.where((sample == 1) & (time > 1), torch.nan, 1e-4).double()

    stepper = Scripted(errors)
    out = run(stepper, [1.0, 1.0, 0.4])
    assert out.verdict.tolist() == [int(v) for v in (Verdict.SETTLED, Verdict.DIVERGED, Verdict.SETTLED)]
    assert out.rejected[1].item() < 40
    assert out.z[1].isfinite().all()
    assert 1 < out.time_end[1].item() < 10
    assert out.time_settle[2].item() == pytest.approx(settle_tau(0.4), rel=2e-3)


def test_errors_that_are_always_infinite_end_in_divergence_at_the_start() -> None:
    out = run(Scripted(lambda _a, sample, _t: torch.full((len(sample),), math.inf, dtype=torch.float64)), [1.0])
    assert out.verdict.item() == int(Verdict.DIVERGED)
    assert out.time_end.item() == 0.0
    assert out.steps.item() == 0


def test_a_crossing_that_was_stepped_over_is_found_by_going_back() -> None:
    """Without errors the steps grow: 0.25, 1.25 and 4.5 end at 6, where the state is inside its band already."""
    stepper = Scripted()
    out = run(stepper, [0.3])
    assert stepper.restarts == [[0]]
    assert out.time_settle.item() == pytest.approx(settle_tau(0.3), rel=2e-3)


def test_only_the_sample_that_was_stepped_over_goes_back() -> None:
    def errors(_attempt: int, sample: Tensor, _time: Tensor) -> Tensor:
        return torch.where(sample == 1, 1e-4, 0.4).double()  # steps of which the controller keeps the length

    stepper = Scripted(errors)
    out = run(stepper, [1.0, 0.3, -0.6])
    assert stepper.restarts == [[1]]
    for k, b in enumerate((1.0, 0.3, -0.6)):
        assert out.time_settle[k].item() == pytest.approx(settle_tau(b), rel=1e-3)


def test_lanes_that_are_dropped_keep_their_samples_results() -> None:
    rng = np.random.default_rng(0)
    b = (rng.uniform(0.002, 3, 64) * rng.choice([-1, 1], 64)).tolist()

    def errors(attempt: int, sample: Tensor, _time: Tensor) -> Tensor:
        return torch.where((sample * 7 + attempt) % 5 == 0, 3.0, 1e-4).double()

    stepper = Scripted(errors)
    out = run(stepper, b)
    assert len(stepper.kept) > 1, "lanes were dropped along the way"
    assert stepper.kept == sorted(stepper.kept, reverse=True)
    assert (out.verdict == int(Verdict.SETTLED)).all()
    for k, value in enumerate(b):
        assert out.time_settle[k].item() == pytest.approx(settle_tau(value), rel=2e-3, abs=1e-3)
        assert out.z[k].item() == pytest.approx(math.tanh(value), abs=1e-7)
        assert out.z_readout[k].item() == pytest.approx(math.tanh(value) - math.copysign(1e-3, value), abs=1e-5)


@pytest.mark.parametrize("dwell_tau", [0.5, 5.0])
def test_a_sample_that_begins_inside_its_band_is_believed_only_after_the_dwell(dwell_tau: float) -> None:
    """Others are decided where the linearised circuit, or the band of a contraction, holds them for good."""
    core = plain_core([[0.5, 1.5], [0.0, 0.0]])
    z0 = tensor([[3e-4, 0.0]])
    out = settle(core, torch.zeros(1, 2, dtype=torch.float64), z0=z0, dwell_tau=dwell_tau)
    assert core.contraction_gap() == 0
    assert out.verdict == [Verdict.SETTLED]
    assert out.t_settle_s.item() == 0.0
    assert out.t_end_s.item() >= dwell_tau


class Wave:
    """A segment of one node along a given function of the fraction."""

    def __init__(self, *functions: Callable[[Tensor], Tensor]) -> None:
        self._functions = functions

    def states(self, theta: Tensor) -> Tensor:
        return torch.stack([f(theta[k]) for k, f in enumerate(self._functions)]).unsqueeze(-1)

    def energies(self, theta: Tensor) -> Tensor:
        return theta.new_zeros(*theta.shape, 0)


def test_the_last_exit_of_a_step_is_found_to_a_thousandth() -> None:
    wave = Wave(lambda t: torch.exp(-5 * t), lambda t: 1 - t, lambda t: torch.cos(9 * t) * torch.exp(-4 * t))
    exits = last_exit(wave, torch.zeros(3, 1, dtype=torch.float64), 0.1)
    third = max(t for t in np.linspace(0, 1, 200_001) if abs(math.cos(9 * t) * math.exp(-4 * t)) > 0.1)
    assert exits.tolist() == pytest.approx([math.log(10) / 5, 0.9, third], abs=1e-3)


def test_a_step_that_never_left_has_no_exit_and_one_that_ends_outside_exits_at_its_end() -> None:
    wave = Wave(lambda t: 0.05 * t, lambda t: t)
    exits = last_exit(wave, torch.zeros(2, 1, dtype=torch.float64), 0.1)
    assert math.isnan(exits[0].item())
    assert exits[1].item() == 1.0


def test_an_excursion_in_the_middle_of_a_step_is_seen() -> None:
    """Inside at both ends, outside from 0.3 to 0.7."""
    wave = Wave(lambda t: 0.1 + 0.5 * (0.04 - (t - 0.5) ** 2))
    assert last_exit(wave, torch.zeros(1, 1, dtype=torch.float64), 0.1).item() == pytest.approx(0.7, abs=2e-3)


@pytest.mark.parametrize("W", [[[0.5, 0.3], [-0.2, 0.4]], [[-5.0, 1.0], [0.0, -3.0]], [[0.99, 0.0], [0.3, 0.9]]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_rest_ahead_is_found_to_tolerance(W: list[list[float]], dtype: torch.dtype) -> None:
    core = plain_core(W, [0.3, -0.2], dtype=dtype)
    drive = core.drive(random_inputs(20, 2, seed=0, dtype=dtype))
    z = torch.zeros(20, 2, dtype=dtype)
    for _ in range(30):  # on its way there, as a trajectory is
        z = z + 0.1 * (core.fixed_point_map(z, drive) - z)
    found = find_rest(core, drive, z, tol=1e-6, good_enough=1e-6)
    assert found.is_found.all()
    residual = (core.fixed_point_map(found.z, drive) - found.z).abs().amax(1).double()
    assert float(residual.max()) <= 1e-6
    torch.testing.assert_close(found.residual, residual, rtol=0.1, atol=1e-7)
    assert bool((found.evaluations >= 1).all())


def test_a_rest_that_does_not_exist_is_not_found() -> None:
    core = plain_core([[1.0]], activation="relu")
    drive = core.drive(tensor([[0.5], [-0.5], [math.nan]]))
    found = find_rest(core, drive, tensor([[1.0], [0.2], [0.0]]), tol=1e-8, good_enough=1e-6)
    assert found.is_found.tolist() == [False, True, False]
    assert found.z[1].item() == pytest.approx(0.0, abs=1e-8)


def test_a_search_never_ends_farther_from_rest_than_it_began() -> None:
    core = plain_core(3.0 * np.random.default_rng(0).normal(size=(6, 6)))
    z = torch.rand(30, 6, dtype=torch.float64)
    drive = core.drive(random_inputs(30, 6, seed=1))
    before = (core.fixed_point_map(z, drive) - z).abs().amax(1)
    found = find_rest(core, drive, z, tol=1e-10, good_enough=1e-8)
    assert bool((found.residual <= before).all())


def test_stability_is_that_of_the_flow_with_every_nodes_own_speed() -> None:
    """J with eigenvalues 1.2 +- 2i is unstable; so is one whose stability needs equal speeds; -5 is stable."""
    cases = [
        ([[1.2, 2.0], [-2.0, 1.2]], 1.0, False),
        ([[0.8, 2.0], [-2.0, 0.8]], 1.0, True),
        ([[-5.0, 0.0], [0.0, -9.0]], 1.0, True),
        ([[2.5, -3.0], [3.0, -1.0]], 1.0, True),
        ([[2.5, -3.0], [3.0, -1.0]], tensor([0.1, 1.0]), False),
    ]
    for W, taus, stable in cases:
        core = plain_core(W, activation="identity", tau_s=taus)
        u = torch.zeros(2, 2, dtype=torch.float64)
        z = torch.zeros(2, 2, dtype=torch.float64)
        speeds = 1.0 if isinstance(taus, float) else (taus.max() / taus).numpy()[:, None]
        exact = np.linalg.eigvals(speeds * (np.array(W) - np.eye(2)))
        assert (exact.real.max() < 0) == stable
        values = flow_eigenvalues(core, core.drive(u), z)[1].numpy()
        np.testing.assert_allclose(np.sort_complex(values), np.sort_complex(exact), atol=1e-10)
        assert (flow_eigenvalues(core, core.drive(u), z).real.amax(1) < 0).tolist() == [stable] * 2
