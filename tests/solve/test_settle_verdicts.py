"""How a settle ends: settled, timed out, oscillating or diverged, each for its own reason and each sample by itself."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from analogdeq.errors import SettleError
from analogdeq.solve.settle import settle
from analogdeq.solve.verdict import Verdict
from helpers import NATIVE, Array, last_exit, plain_core, random_inputs, settle_core, tensor, trajectory

EVERY = pytest.mark.parametrize("method", NATIVE)
CYCLE = [[1.2, 2.0], [-2.0, 1.2]]


def period_of(W: Any, b: Any) -> float:
    """The mean time between upward crossings of the first node's middle, long after the start, by scipy."""
    grid = np.linspace(100, 200, 100_001)
    start = np.linspace(0.1, 0.4, len(W))
    wave = trajectory(W, start, 200, b=b, rtol=1e-8)(grid)[0]
    wave = wave - 0.5 * (wave.max() + wave.min())
    up = np.flatnonzero((wave[:-1] < 0) & (wave[1:] >= 0))
    crossings: Array = grid[up] - wave[up] * (grid[1] - grid[0]) / (wave[up + 1] - wave[up])
    return float(np.diff(crossings).mean())


@pytest.fixture(scope="module")
def period() -> float:
    """Of the cycle above."""
    return period_of(CYCLE, [0.0, 0.0])


@EVERY
@pytest.mark.parametrize("start", [[0.1, 0.2], [1e-3, 0.0], [0.9, -0.9]])
def test_a_limit_cycle_is_oscillating_with_its_period(method: str, start: list[float], period: float) -> None:
    out = settle_core(CYCLE, [start], method=method)
    assert out.verdict == [Verdict.OSCILLATING]
    assert out.period_s.item() == pytest.approx(period, rel=1e-2)
    assert bool(out.t_settle_s.isnan())
    assert out.t_end_s.item() < 200
    assert out.residual.item() > 0.1


@pytest.mark.parametrize(
    ("W", "b"),
    [
        ([[1.05, 2.0], [-2.0, 1.05]], [0.0, 0.0]),
        ([[1.5, 0.8], [-0.8, 1.5]], [0.0, 0.0]),
        ([[3.0, 2.2], [-2.2, 3.0]], [0.0, 0.0]),
        ([[2.0, 6.0], [-6.0, 2.0]], [0.3, -0.2]),
        ([[1.5, -4.0, 0.0], [0.0, 1.5, -4.0], [-4.0, 0.0, 1.5]], [0.1, 0.0, 0.0]),
    ],
    ids=["barely", "slow", "relaxation", "fast", "three in a ring"],
)
def test_cycles_of_every_shape_are_found(W: Any, b: list[float]) -> None:
    start = np.linspace(0.1, 0.4, len(W)).tolist()
    out = settle_core(W, [start], b=b)
    assert out.verdict == [Verdict.OSCILLATING]
    assert out.period_s.item() == pytest.approx(period_of(W, b), rel=1e-2)


@EVERY
def test_below_the_critical_gain_the_same_spiral_settles(method: str) -> None:
    out = settle_core([[0.8, 2.0], [-2.0, 0.8]], [[0.5, 0.2]], method=method)
    assert out.verdict == [Verdict.SETTLED]
    assert out.z.abs().max().item() < 1e-6
    assert bool(out.period_s.isnan())


@EVERY
@pytest.mark.parametrize("gap", [0.05, 0.02])
def test_a_slowly_decaying_spiral_is_no_cycle(method: str, gap: float) -> None:
    W = [[1 - gap, 2.0], [-2.0, 1 - gap]]
    out = settle_core(W, [[0.5, 0.2]], activation="identity", method=method, max_time_tau=20 / gap)
    assert out.verdict == [Verdict.SETTLED]


@pytest.mark.parametrize("gap", [0.1, 0.02])
def test_a_slowly_decaying_spiral_settles_in_its_own_time(gap: float) -> None:
    W, start = [[1 - gap, 2.0], [-2.0, 1 - gap]], 0.5 + 0.2j
    out = settle_core(W, [[0.5, 0.2]], activation="identity", max_time_tau=20 / gap)

    def exact(t: Any) -> Array:
        w = start * np.exp((-gap - 2j) * np.asarray(t))
        return np.stack((w.real, w.imag))

    expected = last_exit(exact, np.zeros(2), 1e-3, 20 / gap, 400_001)
    # The last exit may jump by a quarter turn where a peak grazes the band.
    assert out.t_settle_s.item() == pytest.approx(expected, abs=0.25 * math.pi + 0.01 * expected)


def test_an_unbounded_relu_above_unit_gain_diverges() -> None:
    for method in NATIVE:
        out = settle_core([[1.2]], b=[0.1], activation="relu", method=method)
        assert out.verdict == [Verdict.DIVERGED]
        assert out.z.item() > 1e5
        assert math.isfinite(out.z.item())
        assert bool(out.t_settle_s.isnan())
        # z = b (e^(0.2 s) - 1) / 0.2 and the motion 0.2 z + b passes 1e6 (full scale + drive) when 0.1 e^(0.2 s) does.
        assert out.t_end_s.item() == pytest.approx(5 * math.log(1.1e7), rel=0.1)


def test_divergence_in_single_precision_is_found_before_numbers_end() -> None:
    core = plain_core([[50.0]], [1.0], activation="relu", dtype=torch.float32)
    out = settle(core, torch.zeros(1, 1))
    assert out.verdict == [Verdict.DIVERGED]
    assert bool(out.z.isfinite().all())


@EVERY
def test_a_slow_sample_times_out_with_its_state_and_residual_kept(method: str) -> None:
    out = settle_core([[0.999]], [[0.5]], activation="identity", method=method, max_time_tau=100.0)
    assert out.verdict == [Verdict.TIMED_OUT]
    assert out.t_end_s.item() == pytest.approx(100.0, rel=1e-9)
    assert out.z.item() == pytest.approx(0.5 * math.exp(-0.1), rel=1e-3)
    assert out.residual.item() == pytest.approx(1e-3 * out.z.item(), rel=1e-6)
    assert bool(out.t_settle_s.isnan())


def test_a_budget_of_steps_times_out_too() -> None:
    out = settle_core([[0.5]], b=[0.5], max_steps=3)
    assert out.verdict == [Verdict.TIMED_OUT]
    assert out.steps.item() + out.rejected.item() == 3
    assert 0 < out.t_end_s.item() < 5


def test_a_budget_shorter_than_a_step_is_kept() -> None:
    out = settle_core([[0.0]], b=[1.0], max_time_tau=1e-6)
    assert out.verdict == [Verdict.TIMED_OUT]
    assert out.t_end_s.item() == pytest.approx(1e-6)
    assert out.z.item() == pytest.approx(math.tanh(1.0) * 1e-6, rel=1e-5)


@EVERY
@pytest.mark.parametrize("start", [1e-9, -1e-9, 1e-6, -1e-3])
def test_a_bistable_node_leaves_its_unstable_rest_for_the_stable_one_of_that_side(method: str, start: float) -> None:
    out = settle_core([[2.0]], [[start]], method=method)
    assert out.verdict == [Verdict.SETTLED]
    assert out.z.item() == pytest.approx(math.copysign(0.9575040240772687, start), abs=1e-6)
    exact = last_exit(trajectory([[2.0]], [start], 60), np.array([math.copysign(0.9575040240772687, start)]), 1e-3, 60)
    # e^s amplifies the first steps' errors, which are allowed to be as large as the state while that is below atol.
    assert out.t_settle_s.item() == pytest.approx(exact, abs=3.0 if abs(start) < 1e-6 else 0.3)


@EVERY
def test_an_exactly_unstable_rest_is_not_called_settled(method: str) -> None:
    out = settle_core([[2.0]], [[0.0]], method=method, max_time_tau=60.0)
    assert out.verdict == [Verdict.TIMED_OUT]
    assert out.residual.item() == 0.0


SADDLE = [[2.0, 0.0], [0.0, 0.5]]
"""At 0: the second node falls into it while the first one, e^s, leaves it."""


@EVERY
@pytest.mark.parametrize("above", [1e-10, 1e-9, 1e-8, 1e-6, 1e-3])
def test_a_saddle_that_is_passed_is_not_called_settled(method: str, above: float) -> None:
    out = settle_core(SADDLE, [[above, 0.8]], method=method, max_time_tau=100.0, max_steps=1000)
    rest = np.array([0.9575040240772687, 0.0])
    assert out.verdict == [Verdict.SETTLED]
    assert out.z[0].tolist() == pytest.approx(rest, abs=1e-6)
    exact = last_exit(trajectory(SADDLE, [above, 0.8], 100), rest, 1e-3, 100)
    assert out.t_settle_s.item() == pytest.approx(exact, abs=5.0 if above < 1e-6 else 0.3)


@pytest.mark.parametrize("above", [0.0, 1e-13])
def test_a_saddle_that_is_met_head_on_is_not_called_settled(above: float) -> None:
    out = settle_core(SADDLE, [[above, 0.8]], max_time_tau=25.0)
    assert out.verdict == [Verdict.TIMED_OUT]


def test_a_bistable_network_that_starts_nearly_undecided_decides() -> None:
    """A ten-thousandth of full scale beside the saddle, which is left at 0.3 / tau and reached at 4 / tau."""
    out = settle_core([[1.3, 0.0], [0.0, -3.0]], [[1e-4, 0.8]])
    assert out.z[0, 0].item() > 0.5


def test_a_slowly_unstable_rest_is_not_called_settled() -> None:
    """Near the saddle for hundreds of time constants, then away."""
    out = settle_core([[1.02, 0.0], [0.0, 0.5]], [[1e-5, 0.8]], max_time_tau=5000.0)
    assert out.z[0, 0].item() > 0.2


@EVERY
@pytest.mark.parametrize("activation", ["tanh", "relu", "identity"])
def test_a_sample_already_at_rest_settles_at_time_zero(method: str, activation: str) -> None:
    out = settle_core([[0.5, 0.1], [0.0, -0.7]], [[0.0, 0.0]], activation=activation, method=method)
    assert out.verdict == [Verdict.SETTLED]
    assert out.t_settle_s.item() == 0.0
    assert out.z.abs().max().item() == 0.0


@pytest.mark.parametrize("start", [4e-4, 9e-4])
def test_a_sample_that_starts_inside_the_band_settles_at_time_zero(start: float) -> None:
    out = settle_core([[0.5]], [[start]])
    assert out.verdict == [Verdict.SETTLED]
    assert out.t_settle_s.item() == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@EVERY
def test_an_input_that_is_no_number_is_that_samples_verdict_only(method: str, value: float) -> None:
    core = plain_core([[0.5, 0.2], [-0.3, 0.4]])
    u = random_inputs(5, 2, seed=1)
    clean = settle(core, u, method=method)
    u[2, 1] = value
    out = settle(core, u, method=method)
    assert out.verdict[2] is Verdict.DIVERGED
    others = [0, 1, 3, 4]
    assert all(out.verdict[k] is Verdict.SETTLED for k in others)
    torch.testing.assert_close(out.z[others], clean.z[others], rtol=0, atol=1e-6)
    torch.testing.assert_close(out.t_settle_s[others], clean.t_settle_s[others], rtol=1e-3, atol=0)
    assert bool(out.t_settle_s[2].isnan())


@EVERY
def test_a_start_that_is_no_number_is_that_samples_verdict_only(method: str) -> None:
    out = settle_core([[0.5]], [[math.nan], [0.3], [math.inf]], method=method)
    assert out.verdict == [Verdict.DIVERGED, Verdict.SETTLED, Verdict.DIVERGED]


@EVERY
def test_every_verdict_can_occur_in_one_batch(method: str) -> None:
    """W couples two nodes; relu lets the sign of the drive decide what becomes of a sample."""
    core = plain_core([[1.05, 0.0], [0.0, 0.998]], activation="relu")
    u = tensor([[-1.0, -1.0], [0.5, -1.0], [-1.0, 0.5], [math.nan, 0.0]])
    out = settle(core, u, method=method, max_time_tau=350.0)
    assert out.verdict == [Verdict.SETTLED, Verdict.DIVERGED, Verdict.TIMED_OUT, Verdict.DIVERGED]
    assert [out.count(verdict) for verdict in Verdict] == [1, 1, 0, 2]
    assert out.is_settled.tolist() == [True, False, False, False]


@EVERY
def test_ringing_that_settles_counts_to_its_last_peak_outside_the_band(method: str) -> None:
    W = [[0.5, 6.0], [-6.0, 0.5]]
    out = settle_core(W, b=[0.5, -0.2], method=method, rtol=1e-5 if method == "bosh3" else 1e-3)
    z = trajectory(W, [0.0, 0.0], 60, b=[0.5, -0.2])
    assert out.verdict == [Verdict.SETTLED]
    assert out.t_settle_s.item() == pytest.approx(last_exit(z, out.z[0].numpy(), 1e-3, 60, 100_001), rel=4e-3)


@pytest.mark.parametrize("seed", [1, 2, 4, 5, 7])
def test_a_chaotic_network_is_not_called_settled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    W, z0 = 3 * rng.normal(size=(40, 40)) / math.sqrt(40), rng.normal(size=40)
    moves = trajectory(W, z0, 60)(np.linspace(40, 60, 100)).std(1).max()
    assert moves > 0.3
    out = settle_core(W, [z0], max_time_tau=60.0)
    assert out.verdict[0] in (Verdict.TIMED_OUT, Verdict.OSCILLATING)
    assert out.residual.item() > 1e-2


def test_throwing_names_the_worst_sample_its_verdict_its_residual_and_what_to_do() -> None:
    core = plain_core(CYCLE)
    z0 = tensor([[0.0, 0.0], [0.1, 0.2]])
    u = torch.zeros(2, 2, dtype=torch.float64)
    with pytest.raises(SettleError) as caught:
        settle(core, u, z0=z0, throw=True, max_time_tau=300.0)
    message = str(caught.value)
    for part in (
        "2 of 2 samples",
        "within 300 time constants",
        "sample 1, oscillating, period 3.",
        "residual ",
        "lower the gain",
    ):
        assert part in message


def test_throwing_puts_a_nan_sample_before_all_others() -> None:
    core = plain_core([[0.999]], activation="identity")
    u = tensor([[0.5], [math.nan], [0.5]])
    with pytest.raises(SettleError, match=r"3 of 3 samples .*sample 1, diverged.*look for NaN in the input"):
        settle(core, u, throw=True, max_time_tau=10.0)


def test_throwing_is_silent_when_all_settle() -> None:
    assert settle(plain_core([[0.5]]), random_inputs(3, 1, seed=0), throw=True).is_settled.all()


def test_every_verdict_has_words_and_advice() -> None:
    assert [verdict.text for verdict in Verdict] == ["settled", "timed out", "oscillating", "diverged"]
    assert all(len(verdict.advice) > 30 for verdict in Verdict)
    assert "max_time_tau" in Verdict.TIMED_OUT.advice
