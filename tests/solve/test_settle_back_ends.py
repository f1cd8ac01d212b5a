"""Every back end gives the same `Settled`: the references judge stored paths, the native steppers decide as they go."""

import math

import numpy as np
import pytest
import torch

from analogdeq.solve.record import Record
from analogdeq.solve.settle import settle
from analogdeq.solve.verdict import Verdict
from helpers import BACK_ENDS, chip, plain_core, quiet_amplifier, random_core, random_inputs, settle_core, tensor

EVERY = pytest.mark.parametrize("method", BACK_ENDS)
FAST = pytest.mark.parametrize("method", ["torchdiffeq-dopri5", "scipy-lsoda", "scipy-dop853"])


@EVERY
@pytest.mark.parametrize("leak_S", [0.0, 3e-6])
def test_back_ends_agree_on_verdict_state_settling_time_and_every_joule(method: str, leak_S: float) -> None:
    placed = chip(random_core(4, seed=1), node_leak_S=leak_S, amplifier=quiet_amplifier())
    u = random_inputs(2, 3, seed=2)
    native, other = settle(placed, u, rtol=1e-5, atol=1e-9), settle(placed, u, method=method)
    assert torch.equal(other.verdict_code, native.verdict_code)
    torch.testing.assert_close(other.z, native.z, rtol=0, atol=1e-6)
    torch.testing.assert_close(other.t_settle_s, native.t_settle_s, rtol=1e-3, atol=0)
    torch.testing.assert_close(other.energy_J, native.energy_J, rtol=1e-3, atol=0)
    assert native.ledger is not None
    assert other.ledger is not None
    for name in ("crossbar_J", "feedback_J", "node_J", "stored_J", "drivers_J", "bias_J", "dac_J", "adc_J"):
        torch.testing.assert_close(getattr(other.ledger, name), getattr(native.ledger, name), rtol=1e-3, atol=0)
    torch.testing.assert_close(other.residual, native.residual, rtol=0, atol=1e-6)
    assert other.z.dtype == native.z.dtype
    assert bool((other.evaluations > 0).all())


@EVERY
def test_back_ends_agree_on_spread_time_constants(method: str) -> None:
    core = random_core(4, seed=3, tau_s=tensor([1.0, 0.05, 0.3, 1.0]))
    u = random_inputs(1, 3, seed=2)
    native, other = settle(core, u, rtol=1e-5), settle(core, u, method=method)
    torch.testing.assert_close(other.t_settle_s, native.t_settle_s, rtol=1e-3, atol=0)


@pytest.mark.parametrize("method", ["scipy-radau", "scipy-bdf", "scipy-lsoda"])
def test_stiff_back_ends_take_a_million_fold_spread_of_time_constants(method: str) -> None:
    core = plain_core([[0.2, 0.5], [0.4, -0.3]], [0.5, 0.8], tau_s=tensor([1.0, 1e-6]))
    out = settle(core, torch.zeros(1, 2, dtype=torch.float64), method=method)
    assert out.verdict == [Verdict.SETTLED]
    # The fast node follows: z_2 = tanh(.4 z_1 - .3 z_2 + .8) at once, so this is the scalar node's settle.
    assert 5 < out.t_settle_s.item() < 12
    assert out.evaluations.item() < 5000


@EVERY
def test_a_limit_cycle_is_oscillating_in_every_back_end(method: str) -> None:
    native = settle_core([[1.2, 2.0], [-2.0, 1.2]], [[0.1, 0.2]])
    out = settle_core([[1.2, 2.0], [-2.0, 1.2]], [[0.1, 0.2]], method=method, band=1e-2)
    assert out.verdict == [Verdict.OSCILLATING]
    assert out.period_s.item() == pytest.approx(native.period_s.item(), rel=1e-2)


@EVERY
def test_runaway_is_diverged_in_every_back_end(method: str) -> None:
    out = settle_core([[1.5]], b=[0.1], activation="relu", method=method)
    assert out.verdict == [Verdict.DIVERGED]
    assert bool(out.t_settle_s.isnan())


@EVERY
def test_a_slow_sample_times_out_in_every_back_end_with_its_state(method: str) -> None:
    out = settle_core([[0.999]], [[0.5]], activation="identity", method=method, max_time_tau=25.0)
    assert out.verdict == [Verdict.TIMED_OUT]
    assert out.t_end_s.item() == pytest.approx(25.0)
    assert out.z.item() == pytest.approx(0.5 * math.exp(-0.025), rel=1e-3)
    assert out.residual.item() == pytest.approx(1e-3 * out.z.item(), rel=1e-6)


@EVERY
def test_a_sample_at_rest_settles_at_time_zero_in_every_back_end(method: str) -> None:
    assert settle_core([[0.5]], method=method).t_settle_s.item() == 0.0


@EVERY
def test_an_exactly_unstable_rest_is_not_called_settled_in_any_back_end(method: str) -> None:
    assert settle_core([[2.0]], method=method, max_time_tau=30.0).verdict == [Verdict.TIMED_OUT]


@EVERY
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_input_that_is_no_number_is_that_samples_verdict_only_in_every_back_end(method: str, value: float) -> None:
    core, u = plain_core([[0.5]]), tensor([[0.3], [value], [0.1]])
    out = settle(core, u, method=method)
    assert out.verdict == [Verdict.SETTLED, Verdict.DIVERGED, Verdict.SETTLED]
    torch.testing.assert_close(out.t_settle_s[[0, 2]], settle(core, u[[0, 2]]).t_settle_s, rtol=1e-3, atol=0)


@EVERY
def test_a_start_that_is_no_number_is_that_samples_verdict_only_in_every_back_end(method: str) -> None:
    out = settle_core([[0.5]], [[math.nan], [0.3]], method=method)
    assert out.verdict == [Verdict.DIVERGED, Verdict.SETTLED]


@EVERY
def test_a_sample_that_explodes_spoils_no_other(method: str) -> None:
    core = plain_core([[20.0]], activation="relu", dtype=torch.float32)
    out = settle(core, torch.tensor([[-1.0], [1.0]]), method=method, max_time_tau=100.0)
    assert out.verdict == [Verdict.SETTLED, Verdict.DIVERGED]


@FAST
def test_back_ends_take_time_in_units_of_tau_and_give_it_in_seconds(method: str) -> None:
    u = random_inputs(1, 3, seed=2)
    one, other = (settle(random_core(4, seed=1, tau_s=tau_s), u, method=method) for tau_s in (1.0, 1e-9))
    assert torch.equal(one.evaluations, other.evaluations)
    torch.testing.assert_close(other.t_settle_s, 1e-9 * one.t_settle_s, rtol=1e-9, atol=0)


@FAST
def test_overshoot_counts_to_the_last_exit_in_every_back_end(method: str) -> None:
    A, k = 5e-3, 1e-4
    out = settle_core([[0.0, -A * 0.95 / k], [0.0, 0.95]], [[1 - A, k]], activation="identity", method=method)
    assert out.t_settle_s.item() == pytest.approx(20 * math.log(A / 1e-3), rel=1e-3)


@FAST
def test_back_ends_keep_to_the_band_they_are_given(method: str) -> None:
    out = settle_core([[0.0]], b=[2.0], band=1e-5, method=method)
    assert out.t_settle_s.item() == pytest.approx(math.log(math.tanh(2.0) / 1e-5), rel=1e-3)


@FAST
def test_back_ends_record_the_same_waveforms(method: str) -> None:
    placed = chip(random_core(4, seed=1), amplifier=quiet_amplifier())
    u, record = random_inputs(3, 3, seed=2), Record(samples=(2, 0), interval_tau=0.25)
    native = settle(placed, u, rtol=1e-5, record=record).trace
    other = settle(placed, u, method=method, record=record).trace
    assert native is not None
    assert other is not None
    assert other.sample.tolist() == [2, 0]
    assert other.terms == native.terms
    rows = min(len(native.time_s), len(other.time_s))
    np.testing.assert_allclose(other.time_s[:rows], native.time_s[:rows], rtol=1e-12)
    for name, atol in (("state", 1e-3), ("residual", 1e-3), ("power_W", 1e-3 * native.power_W[0].max())):
        one, two = getattr(native, name)[:rows], getattr(other, name)[:rows]
        both = np.isfinite(one) & np.isfinite(two)
        assert both.mean() > 0.4
        np.testing.assert_allclose(two[both], one[both], atol=atol)
    assert other.steps.row_size.tolist() == [0, 0]


@FAST
def test_back_ends_record_as_long_as_they_are_asked_to(method: str) -> None:
    out = settle_core([[0.5]], b=[0.5], method=method, record=Record(samples=(0,), interval_tau=0.5, until_tau=35.0))
    assert out.trace is not None
    assert out.trace.time_s[-1] >= 35.0 - 0.5
    assert np.isfinite(out.trace.state).all()
    assert out.t_settle_s.item() < 20


@FAST
def test_back_ends_respect_single_precision(method: str) -> None:
    core = random_core(4, seed=1, dtype=torch.float32)
    u = random_inputs(2, 3, seed=2, dtype=torch.float32)
    native, other = settle(core, u), settle(core, u, method=method)
    assert other.z.dtype == torch.float32
    torch.testing.assert_close(other.t_settle_s, native.t_settle_s, rtol=3e-3, atol=0)
