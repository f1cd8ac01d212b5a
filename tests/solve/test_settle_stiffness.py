"""Circuits whose time constants lie decades apart: settled in few steps, at the right time, by the method that pays."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp

from analogdeq.cores.rc import RCCore
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.record import Record
from analogdeq.solve.rest import flow_eigenvalues
from analogdeq.solve.rodas5p import RODAS5P
from analogdeq.solve.rosenbrock import Rosenbrock
from analogdeq.solve.runge_kutta import RungeKutta
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.solve.stiffness import Progress, cost_ratio, implicit_pays, spectral_radius, time_to_go
from analogdeq.solve.switching import CHECK, Switching
from analogdeq.solve.tsit5 import TSIT5
from analogdeq.solve.verdict import Verdict
from helpers import Array, last_exit, plain_core, random_core, random_inputs, tensor

STIFF = pytest.mark.parametrize("method", ["rodas5p", "auto"])


def spread_core(n: int, spread: float, *, seed: int, dtype: torch.dtype = torch.float64, radius: float = 0.9) -> RCCore:
    """Time constants spread log-uniformly over `spread`, the slowest one second."""
    taus = spread ** np.random.default_rng(100 + seed).uniform(-1, 0, n)
    taus[0] = 1.0
    return random_core(n, seed=seed, radius=radius, dtype=dtype, tau_s=tensor(taus, dtype))


def by_radau(core: RCCore, u: torch.Tensor, rest: torch.Tensor, end: float, band: float = 1e-3) -> float:
    """The settling time of one sample in units of tau, by scipy's Radau with the exact Jacobian."""
    W, taus = core.W.numpy(), 1.0 if core.rate is None else 1 / core.rate.numpy()
    p = (core.U @ u + core.b).numpy()

    def jacobian(_s: float, z: Array) -> Array:
        J: Array = (1 - np.tanh(W @ z + p) ** 2)[:, None] * W - np.eye(len(p))
        return J / np.broadcast_to(taus, len(p))[:, None]

    answer = solve_ivp(
        lambda _s, z: (np.tanh(W @ z + p) - z) / taus, (0, end), np.zeros(len(p)), method="Radau", jac=jacobian,
        rtol=1e-9, atol=1e-11, dense_output=True,
    )  # fmt: skip
    assert answer.success
    return last_exit(answer.sol, rest.numpy(), band, end)


@STIFF
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_settling_times_over_four_decades_of_time_constants_are_radaus(method: str, seed: int) -> None:
    core, u = spread_core(16, 1e4, seed=seed), random_inputs(3, 3, seed=seed)
    out = settle(core, u, method=method)
    assert out.verdict == [Verdict.SETTLED] * 3
    for k in range(3):
        end = 1.3 * out.t_settle_s[k].item() + 2
        assert out.t_settle_s[k].item() == pytest.approx(by_radau(core, u[k], out.z[k], end), rel=2e-3)


@STIFF
def test_poles_a_hundred_times_faster_than_the_node_cost_neither_steps_nor_accuracy(method: str) -> None:
    """Every node drives its row's amplifier, a fast node of gain a little below one, and is driven by it."""
    n = 10
    rng = np.random.default_rng(1)
    W = np.zeros((2 * n, 2 * n))
    W[:n, n:] = 0.8 * np.eye(n)
    W[n:, :n] = rng.normal(size=(n, n)) / np.sqrt(n)
    taus = np.concatenate((np.ones(n), np.full(n, 0.01)))
    core = RCCore(tensor(W), tensor(rng.normal(size=(2 * n, 3))), tensor(np.zeros(2 * n)), tau_s=tensor(taus))
    u = random_inputs(2, 3, seed=1)
    out = settle(core, u, method=method, compiled=False)  # compiled code takes hundreds of short steps, in less time
    assert out.verdict == [Verdict.SETTLED] * 2
    assert int(out.steps.max()) < 60
    for k in range(2):
        end = 1.3 * out.t_settle_s[k].item() + 2
        assert out.t_settle_s[k].item() == pytest.approx(by_radau(core, u[k], out.z[k], end), rel=2e-3)


@STIFF
def test_a_slow_mode_is_settled_in_few_steps_and_at_the_time_of_its_quadrature(method: str) -> None:
    """dz/ds = tanh(w z + b) - z with 1 - w = 0.01, beside a node a thousand times faster."""
    w, b = 0.99, 1e-4
    core = plain_core([[w, 0.0], [0.7, 0.0]], [b, 0.0], tau_s=tensor([1.0, 1e-3]))
    rest = settle(core, torch.zeros(1, 2, dtype=torch.float64), method="rodas5p", rtol=1e-8).z[0, 0].item()
    exact, _ = quad(lambda z: 1 / (math.tanh(w * z + b) - z), 0, rest - 1e-3, limit=200)
    out = settle(core, torch.zeros(1, 2, dtype=torch.float64), method=method, max_time_tau=2000.0)
    assert out.verdict == [Verdict.SETTLED]
    assert exact > 100
    assert out.t_settle_s.item() == pytest.approx(exact, rel=3e-3)
    assert int(out.steps.max()) < 60


def test_steps_grow_as_the_logarithm_of_the_spread() -> None:
    steps = []
    for spread in (1e2, 1e4, 1e6):
        core, u = spread_core(24, spread, seed=3), random_inputs(4, 3, seed=3)
        out = settle(core, u, method="rodas5p")
        assert bool(out.is_settled.all())
        steps.append(out.steps.double().mean().item())
        assert int(out.rejected.max()) < 5
    assert steps[2] < 45
    assert steps[2] - steps[1] < 1.5 * (steps[1] - steps[0]) + 3


def test_explicit_steps_grow_as_the_spread_and_the_choice_avoids_them() -> None:
    core, u = spread_core(24, 1e3, seed=3), random_inputs(2, 3, seed=3)
    explicit, chosen = settle(core, u, method="tsit5"), settle(core, u, method="auto")
    torch.testing.assert_close(chosen.t_settle_s, explicit.t_settle_s, rtol=2e-3, atol=0)
    assert explicit.steps.min() > 1000
    assert chosen.steps.max() < 60


@pytest.mark.parametrize("seed", range(8))
def test_every_method_gives_the_same_verdict_and_rest(seed: int) -> None:
    core = random_core(6, seed=seed, radius=0.5 + 0.15 * seed, tau_s=1.0)
    u = random_inputs(6, 3, seed=seed)
    explicit = settle(core, u, method="tsit5", max_time_tau=200)
    for method in ("rodas5p", "auto"):
        out = settle(core, u, method=method, max_time_tau=200)
        assert out.verdict == explicit.verdict
        settled = explicit.is_settled
        torch.testing.assert_close(out.z[settled], explicit.z[settled], rtol=0, atol=1e-6)
        torch.testing.assert_close(out.t_settle_s[settled], explicit.t_settle_s[settled], rtol=2e-3, atol=2e-3)


def test_a_limit_cycle_with_fast_nodes_keeps_its_period() -> None:
    W = np.zeros((3, 3))
    W[:2, :2] = [[2.0, -3.0], [3.0, 2.0]]
    W[2, :2] = [0.5, 0.5]
    u, z0 = torch.zeros(1, 3, dtype=torch.float64), tensor([[0.5, 0.1, 0.0]])
    slow = settle(plain_core(W), u, z0=z0)
    fast = settle(plain_core(W, tau_s=tensor([1.0, 1.0, 1e-4])), u, z0=z0, method="auto")
    assert slow.verdict == fast.verdict == [Verdict.OSCILLATING]
    assert fast.period_s.item() == pytest.approx(slow.period_s.item(), rel=1e-2)


@STIFF
def test_recorded_waveforms_show_the_fast_transient_and_the_slow_one(method: str) -> None:
    core, u = spread_core(8, 1e4, seed=6), random_inputs(1, 3, seed=6)
    record = Record(samples=(0,), interval_tau=0.01)
    trace = settle(core, u, method=method, rtol=1e-4, record=record).trace
    assert trace is not None
    p, W, taus = (core.U @ u[0] + core.b).numpy(), core.W.numpy(), 1 / core.rate.numpy()  # type: ignore[union-attr]
    exact = solve_ivp(
        lambda _s, z: (np.tanh(W @ z + p) - z) / taus, (0, trace.time_s[-1]), np.zeros(8), method="Radau",
        t_eval=trace.time_s, rtol=1e-8, atol=1e-10,
    )  # fmt: skip
    np.testing.assert_allclose(trace.state[:, 0], exact.y.T, atol=1e-3)


def outcome_of(out: Settled, row: int) -> tuple[float, int, int]:
    return out.t_settle_s[row].item(), int(out.steps[row]), int(out.rejected[row])


@STIFF
def test_a_stiff_sample_settles_the_same_alone_as_in_a_batch(method: str) -> None:
    core, u = spread_core(12, 1e3, seed=2), random_inputs(5, 3, seed=2)
    together = settle(core, u, method=method)
    for k in range(5):
        alone = settle(core, u[k : k + 1], method=method)
        assert outcome_of(alone, 0) == pytest.approx(outcome_of(together, k), rel=1e-6)


# The choice.


def test_a_circuit_that_is_not_stiff_is_settled_as_by_the_explicit_method() -> None:
    core, u = random_core(32, seed=1, tau_s=1.0), random_inputs(8, 3, seed=1)
    explicit, chosen = (settle(core, u, method=method, compiled=False) for method in ("tsit5", "auto"))
    assert torch.equal(chosen.t_settle_s, explicit.t_settle_s)
    assert torch.equal(chosen.evaluations, explicit.evaluations)
    assert torch.equal(chosen.z, explicit.z)


def slow_if_undriven() -> tuple[RCCore, torch.Tensor, torch.Tensor]:
    """A gap of 0.003 at 0, beside a node without feedback: a drive saturates the slow node, and then both are fast."""
    core = plain_core([[0.997, 0.0], [0.5, 0.0]])
    u = tensor([[0.0, 0.0], [3.0, 3.0], [0.0, 0.0], [-3.0, 3.0], [0.0, -0.001]])
    return core, u, tensor([[0.2, -0.1], [0.0, 0.0], [0.1, 0.05], [0.0, 0.0], [0.3, 0.3]])


def test_samples_of_one_batch_go_by_different_methods_and_come_out_as_alone() -> None:
    core, u, z0 = slow_if_undriven()
    together = settle(core, u, z0=z0, method="auto", max_time_tau=5000.0, compiled=False)
    explicit = settle(core, u, z0=z0, method="tsit5", max_time_tau=5000.0)
    assert together.verdict == explicit.verdict == [Verdict.SETTLED] * 5
    torch.testing.assert_close(together.t_settle_s, explicit.t_settle_s, rtol=5e-3, atol=0)
    for k in (1, 3):
        assert outcome_of(together, k) == outcome_of(explicit, k)
    for k in (0, 2, 4):
        assert together.steps[k] < 0.3 * explicit.steps[k]
    for k in range(5):
        alone = settle(core, u[k : k + 1], z0=z0[k : k + 1], method="auto", max_time_tau=5000.0, compiled=False)
        # Company decides when a rest is looked for, and with it how early the linearised circuit takes over.
        assert alone.t_settle_s[0].item() == pytest.approx(together.t_settle_s[k].item(), rel=5e-4)
        assert abs(alone.steps[0].item() - together.steps[k].item()) <= 3


def test_a_mixed_batch_steps_interpolates_and_shrinks_lane_by_lane() -> None:
    """After both forecasts every lane does what it would do in a stepper of its own."""
    core, u, z0 = slow_if_undriven()
    h = tensor([3.0, 0.3, 2.5, 0.4, 2.0])
    mixed = Switching(RungeKutta(TSIT5), lambda: Rosenbrock(RODAS5P, tol=1e-10), SettleOptions(max_time_tau=5000.0))
    mixed.begin(core, core.drive(u), z0.clone())
    everyone = torch.ones(5, dtype=torch.bool)
    for _ in range(2 * CHECK + 1):
        mixed.attempt(h)
        mixed.accept(everyone)
    before, spent = mixed.z.clone(), mixed.evaluations
    error = mixed.attempt(h)
    assert (mixed.evaluations - spent).tolist() == [9, 6, 9, 6, 9]
    is_implicit = [True, False, True, False, True]
    order = torch.tensor([4, 1, 0, 3])
    theta = torch.linspace(0, 1, 5, dtype=torch.float64).expand(4, -1)
    states = mixed.segment(order, h).states(theta)
    for k in range(5):
        lone = Rosenbrock(RODAS5P, tol=1e-10) if is_implicit[k] else RungeKutta(TSIT5)
        lone.begin(core, core.drive(u[k : k + 1]), before[k : k + 1].clone())
        assert error[k].item() == pytest.approx(lone.attempt(h[k : k + 1]).item(), rel=1e-6, abs=1e-15)
        torch.testing.assert_close(mixed.z_new[k : k + 1], lone.z_new, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(mixed.dz_new[k : k + 1], lone.dz_new, rtol=1e-6, atol=1e-12)
        for row in torch.nonzero(order == k).squeeze(1).tolist():
            alone = lone.segment(torch.tensor([0]), h[k : k + 1]).states(theta[:1])
            torch.testing.assert_close(states[row : row + 1], alone, rtol=1e-9, atol=1e-12)
    mixed.accept(everyone)
    after = mixed.z.clone()
    mixed.keep(torch.tensor([1, 2, 4]))
    assert torch.equal(mixed.z, after[[1, 2, 4]])
    mixed.restart(torch.tensor([2, 0]), z0[[4, 1]])
    assert torch.equal(mixed.z, torch.stack((z0[1], after[2], z0[4])))
    mixed.attempt(h[[1, 2, 4]])
    mixed.accept(torch.tensor([True, False, True]))
    assert torch.equal(mixed.z[1], after[2])


def progress_of(h: float, *, motion: float = 1.0, decay: float = 1.0, attempts: int = 16) -> Progress:
    elapsed = h * attempts
    return Progress(
        attempts=attempts,
        elapsed=tensor([elapsed]),
        motion_before=tensor([motion * math.exp(decay * elapsed)]),
        motion=tensor([motion]),
        remaining=tensor([500.0]),
    )


def pays(progress: Progress, radius: float, n_nodes: int = 128) -> bool:
    to_go = time_to_go(progress, 5e-4, 2.0)
    return bool(implicit_pays(progress, to_go, tensor([radius]), n_nodes))


def test_the_time_to_go_is_that_of_an_exponential_decay() -> None:
    assert time_to_go(progress_of(0.1, decay=0.5), 5e-4, 2.0).item() == pytest.approx(math.log(4000) / 0.5 + 2)
    assert time_to_go(progress_of(0.1, decay=3.0), 5e-4, 2.0).item() == pytest.approx(math.log(2000) / 3 + 2)
    assert time_to_go(progress_of(0.1, motion=1e-4), 5e-4, 2.0).item() == pytest.approx(2.0)
    assert time_to_go(progress_of(0.1, decay=-1.0), 5e-4, 2.0).item() == 500.0
    assert time_to_go(progress_of(0.1, decay=1e-4), 5e-4, 2.0).item() == 500.0


def test_the_rule_asks_for_steps_limited_by_stability_and_for_enough_of_them() -> None:
    assert pays(progress_of(3e-4), radius=1e4)
    assert not pays(progress_of(3e-4), radius=1e3), "accuracy limits these steps"
    assert not pays(progress_of(0.3), radius=10.0), "a few explicit steps are left"
    assert pays(progress_of(1.5, decay=0.002), radius=2.0, n_nodes=4), "a slow mode is stiff too"
    assert not pays(progress_of(1.5, decay=0.002), radius=2.0, n_nodes=512), "but not worth large factorisations"
    stuck = progress_of(3e-4)
    assert not pays(Progress(**{**vars(stuck), "elapsed": tensor([0.0])}), radius=1e4)


def test_the_rule_is_monotone_in_stiffness_and_size() -> None:
    answers = [pays(progress_of(3.0 / rho), radius=rho) for rho in np.geomspace(2, 1e6, 40)]
    assert answers == sorted(answers)
    assert answers[0] is False
    assert answers[-1] is True
    ratios = [cost_ratio(n) for n in (1, 16, 64, 128, 256, 512, 4096)]
    assert ratios == sorted(ratios)
    assert 3 <= ratios[0] < ratios[-1] < 40


@pytest.mark.parametrize("spread", [1.0, 30.0, 1e4])
def test_power_iteration_finds_the_spectral_radius_of_the_flow(spread: float) -> None:
    core, u = spread_core(20, spread, seed=4), random_inputs(3, 3, seed=4)
    drive, z = core.drive(u), tensor(np.random.default_rng(1).uniform(-0.5, 0.5, (3, 20)))
    exact = flow_eigenvalues(core, drive, z).abs().amax(1)
    found = spectral_radius(core, drive, z, core.fixed_point_map(z, drive) - z)
    assert bool((found < 1.5 * exact).all() & (found > 0.6 * exact).all())


def test_the_spectral_radius_is_found_at_rest_and_where_the_motion_is_all_slow() -> None:
    core = plain_core(np.diag([0.99, 0.5, -0.8]))
    drive, zero = core.drive(torch.zeros(2, 3, dtype=torch.float64)), torch.zeros(2, 3, dtype=torch.float64)
    slow = tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert spectral_radius(core, drive, zero, slow).tolist() == pytest.approx([1.8, 1.8], rel=0.05)
