"""Stiff networks in compiled code: weights, spaces of inverses, and whole settles, against quadrature and Radau."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from analogdeq.cores.rc import RCCore
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.settle import settle
from analogdeq.solve.verdict import Verdict
from helpers import plain_core, random_core, random_inputs, tensor

pytest.importorskip("numba", reason="numba is not installed: nothing is compiled")

from analogdeq.solve.compiled.control import control_of
from analogdeq.solve.compiled.inverse_space import SHIFT, build_inverse
from analogdeq.solve.compiled.jit import entry
from analogdeq.solve.compiled.lanes import room_for
from analogdeq.solve.compiled.matrices import exponential
from analogdeq.solve.compiled.network import network_of
from analogdeq.solve.compiled.outlook import EXTRA
from analogdeq.solve.compiled.pulled import LAGRANGE, POINTS, TIMES, decayed, weigh
from analogdeq.solve.compiled.space import _rightmost, do_decay

weigh, exponential, build_inverse = entry(weigh), entry(exponential), entry(build_inverse)
rightmost, do_decay = entry(_rightmost), entry(do_decay)


def spread_core(n: int, spread: float, *, seed: int, radius: float = 0.9, dtype: torch.dtype = torch.float64) -> RCCore:
    """Time constants evenly apart on a logarithmic scale, in random order."""
    W, U, b = random_core(n, seed=seed, radius=radius, dtype=dtype).trainable()
    order = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    return RCCore(W, U, b, tau_s=torch.logspace(0.0, -math.log10(spread), n, dtype=dtype)[order])


@pytest.mark.parametrize(("dtype", "precise"), [(np.float64, 1e-9), (np.float32, 5e-6)])
@pytest.mark.parametrize("c", [0.25, 0.6, 1.0])
def test_weights_are_integrals_whatever_the_rate(dtype: type, precise: float, c: float) -> None:
    x = np.geomspace(1e-6, 1e5, 45).astype(dtype)
    out = tuple(np.empty_like(x) for _ in range(POINTS + 1))
    weigh(x, 1.0, c, out)
    np.testing.assert_allclose(sum(out[:POINTS]), -np.expm1(-x.astype(float) * c), rtol=0, atol=precise / 2)
    for k in range(POINTS):
        for i, rate in enumerate(x.astype(float)):

            def integrand(s: float, rate: float = rate, k: int = k) -> float:
                return float(rate * math.exp(-rate * (c - s)) * np.polyval(LAGRANGE[::-1, k], s))

            parts = (max(0.0, c - 40 / rate), c)
            exact = quad(integrand, *parts, epsabs=1e-13, epsrel=1e-12)[0]
            assert out[k][i] == pytest.approx(exact, rel=0, abs=precise)
    assert LAGRANGE.T @ TIMES ** np.arange(POINTS)[:, None] == pytest.approx(np.eye(POINTS), abs=1e-12)


@entry
def decayed_of(y, out):
    for i in range(y.shape[0]):
        out[i] = decayed(y[i])


def test_the_exponential_is_exact_to_single_precision() -> None:
    y = np.concatenate((np.linspace(0, 40, 100_001), [1e3, 1e8])).astype(np.float32)
    out = np.empty_like(y)
    decayed_of(y, out)
    assert np.abs(out - np.exp(-y.astype(float))).max() < 4e-7


@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "spread"), [(3, 1e3), (20, 50.0), (48, 1e4)])
def test_settling_times_of_stiff_networks_are_radaus(n: int, spread: float, dtype: torch.dtype) -> None:
    core = spread_core(n, spread, seed=n, dtype=dtype)
    u = random_inputs(3, 3, seed=n, dtype=dtype)
    wide = RCCore(*(p.double() for p in core.trainable()), tau_s=core.tau_s / core.rate.double())
    exact = settle(wide, u.double(), method="scipy-radau", rtol=1e-8, atol=1e-11)
    out = settle(core, u)
    assert out.verdict == [Verdict.SETTLED] * 3
    torch.testing.assert_close(out.t_settle_s, exact.t_settle_s, rtol=1e-3, atol=0)
    torch.testing.assert_close(out.z.double(), exact.z, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-6)


@pytest.mark.usefixtures("no_loop")
def test_nodes_without_feedback_settle_by_their_exponentials() -> None:
    rates = torch.tensor([1.0, 30.0, 2e4], dtype=torch.float64)
    core = RCCore(torch.zeros(3, 3).double(), torch.eye(3).double(), torch.zeros(3).double(), tau_s=1 / rates)
    u = tensor([[0.5, -1.0, 2.0], [0.002, 0.5, -0.9]])
    out = settle(core, u)
    exact = ((torch.tanh(u).abs() / 1e-3).log() / rates).amax(1)
    torch.testing.assert_close(out.t_settle_s, exact, rtol=1e-4, atol=0)


@pytest.mark.usefixtures("no_loop")
def test_a_spread_of_ten_thousand_costs_less_than_fifteen_times_the_evaluations_of_none() -> None:
    u = random_inputs(16, 3, seed=0, dtype=torch.float32)
    plain = settle(random_core(128, seed=0, radius=0.9, dtype=torch.float32), u)
    stiff = settle(spread_core(128, 1e4, seed=0, dtype=torch.float32), u)
    assert stiff.is_settled.all()
    assert stiff.steps.double().mean() < 40
    assert stiff.evaluations.double().mean() < 15 * plain.evaluations.double().mean()


def test_a_stiff_saddle_approached_along_its_stable_manifold_is_no_rest() -> None:
    W = torch.tensor([[1.5, 0.0], [0.0, 0.2]], dtype=torch.float64)
    core = RCCore(W, torch.eye(2).double(), torch.zeros(2).double(), tau_s=tensor([0.01, 1.0]))
    out = settle(core, tensor([[0.0, 0.5]]), max_time_tau=50.0)
    assert out.verdict == settle(core, tensor([[0.0, 0.5]]), compiled=False, max_time_tau=50.0).verdict
    assert out.verdict != [Verdict.SETTLED] or abs(float(out.z[0, 0])) > 0.5


def test_what_never_settles_is_not_followed_for_long_however_fast_its_nodes() -> None:
    core = spread_core(4, 1e4, seed=0)
    slow = random_core(4, seed=0)
    stiff, plain = (control_of(c, SettleOptions(), unseen=0.0, is_stiff=c is core) for c in (core, slow))
    assert stiff.max_attempts < plain.max_attempts < 600


def test_a_stiff_limit_cycle_is_found_by_the_loop() -> None:
    core = plain_core([[1.6, -3.0], [3.0, 1.6]])
    W, U, b = core.trainable()
    core = RCCore(W, U, b, tau_s=tensor([1.0, 0.02]))
    out = settle(core, tensor([[0.3, 0.1]]), max_time_tau=200.0)
    assert out.verdict == settle(core, tensor([[0.3, 0.1]]), compiled=False, max_time_tau=200.0).verdict


@pytest.mark.parametrize("unstable", [False, True])
def test_the_space_of_an_inverse_sees_the_rightmost_mode_of_a_stiff_map(unstable: bool) -> None:
    n, size = 60, 14
    core = spread_core(n, 1e3, seed=1, radius=0.8)
    network = network_of(core)
    assert network is not None
    assert network.is_stiff
    slots = room_for(network, size + EXTRA)
    slopes = np.random.default_rng(2).uniform(0.3, 1.0, n)
    if unstable:  # a fast node that runs away on its own
        fast = int(np.argmax(network.rate))
        W = core.W.detach().numpy().copy()
        W[fast], W[fast, fast], slopes[fast] = 0.0, 1.02, 1.0
        core = RCCore(torch.from_numpy(W), *core.trainable()[1:], tau_s=core.tau_s / core.rate)
        network = network_of(core)
        assert network is not None
    slots.k[:, -1] = slopes
    start = np.random.default_rng(3).normal(size=n)
    slots.k[:2, 0] = start / np.linalg.norm(start)
    H = np.zeros((slots.p.shape[0], size + 1, size))
    build_inverse(network, slots, H, size, 2)
    A = network.rate[:, None] * (slopes[:, None] * core.W.detach().numpy() - np.eye(n))
    V, M = slots.k[0, :size], np.eye(n) - SHIFT * A
    out, inner = H[0, size], H[0, :size]
    G = np.linalg.inv(np.eye(size) - SHIFT * inner)
    leads_out = np.linalg.norm(np.linalg.solve(M, V.T) - V.T @ G, axis=0)
    if not unstable:  # otherwise the iterations for the inverse diverge, which shows nothing either
        assert leads_out[:-1].max() < 5e-4, "solutions are exact to 1e-4"
        assert leads_out[-1] == pytest.approx(abs((out @ G)[-1]) * SHIFT, abs=5e-4)
    delta = 0.5 / max(np.abs(inner).sum(1).max(), 1e-9)
    E = exponential(inner, delta)
    growth, leaving = rightmost(inner, np.linalg.matrix_power(E[:, :size], 2**18), out)
    exact = np.linalg.eigvals(A).real.max()
    assert exact > 0 if unstable else exact < 0
    assert do_decay(inner, out, E, 1.0, 1.0, n) is not unstable
    if not unstable:
        assert growth == pytest.approx(exact, abs=leaving + 1e-3)
