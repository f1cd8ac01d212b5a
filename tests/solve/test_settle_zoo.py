"""Verdict, settling time and period of every system in the zoo, against closed forms and scipy."""

import numpy as np
import pytest
import torch
from labelled_zoo import ZOO, System, turn
from scipy.optimize import root
from scipy.spatial import cKDTree

from analogdeq.cores.rc import RCCore
from analogdeq.solve.recurrence import ONSET_TAU
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.solve.verdict import Verdict
from helpers import PHI, Array, Matrix, last_exit, tensor, trajectory

SETTLES = [name for name, system in ZOO.items() if system.verdict is Verdict.SETTLED]
CYCLES = [name for name, system in ZOO.items() if system.verdict is Verdict.OSCILLATING]
CHAOS = [name for name, system in ZOO.items() if system.kind == "chaos"]


def ending(system: System) -> Settled:
    n = len(system.W)
    zero = torch.zeros(n, dtype=torch.float64)
    taus = torch.as_tensor(system.taus, dtype=torch.float64)
    core = RCCore(
        tensor(system.W), torch.eye(n, dtype=torch.float64), zero, activation=system.activation, tau_s=taus / taus.max()
    )
    u = zero if system.b is None else tensor(system.b)
    return settle(core, u.unsqueeze(0), z0=tensor([system.z0]), max_time_tau=float(system.budget))


def wave(system: System, end: float, rtol: float = 1e-11):
    taus = np.asarray(system.taus, float)
    return trajectory(
        system.W, system.z0, end, b=system.b, activation=system.activation, taus=taus / taus.max(), rtol=rtol
    )


def test_the_zoo_is_as_large_and_as_mixed_as_it_claims() -> None:
    assert len(ZOO) >= 60
    assert {system.verdict for system in ZOO.values()} == set(Verdict)
    assert len({system.kind for system in ZOO.values()}) >= 12


@pytest.mark.parametrize("name", [name for name in ZOO if name not in SETTLES + CYCLES])
def test_what_never_rests_is_not_said_to(name: str) -> None:
    out = ending(ZOO[name])
    assert out.verdict == [ZOO[name].verdict]
    assert bool(out.t_settle_s.isnan())
    assert bool(out.period_s.isnan())


@pytest.mark.parametrize("name", SETTLES)
def test_what_rests_does_so_where_and_when_scipy_says(name: str) -> None:
    system = ZOO[name]
    out = ending(system)
    assert out.verdict == [Verdict.SETTLED]
    z = wave(system, out.t_end_s.item() + 30)
    W, b = np.asarray(system.W, float), 0.0 if system.b is None else np.asarray(system.b, float)
    rest: Array = root(lambda x: PHI[system.activation](W @ x + b) - x, z(out.t_end_s.item() + 30), tol=1e-13).x
    np.testing.assert_allclose(out.z[0].numpy(), rest, rtol=0, atol=1e-5)
    expected = last_exit(z, rest, 1e-3, out.t_end_s.item() + 30) if system.time is None else system.time
    assert out.t_settle_s.item() == pytest.approx(expected, rel=system.within, abs=1e-9)
    if system.rest is not None:
        node, value = system.rest
        assert rest[node] == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("name", CYCLES)
def test_a_limit_cycle_is_found_within_a_few_periods_with_its_period(name: str) -> None:
    system = ZOO[name]
    out = ending(system)
    assert out.verdict == [Verdict.OSCILLATING]
    period = period_of(system)
    assert out.period_s.item() == pytest.approx(period, rel=1e-2)
    assert out.t_end_s.item() < system.cycles * period
    assert out.t_end_s.item() < max(ONSET_TAU, arrival(system, period)) + 4 * period


def arrival(system: System, period: float) -> float:
    """When the trajectory was last farther from its limit cycle than 2 % of its size."""
    z = wave(system, 250, rtol=1e-8)
    loop, grid = z(np.linspace(250 - 1.02 * period, 250, 2000)), np.linspace(0, 250 - 1.1 * period, 4000)
    far = cKDTree(loop.T).query(z(grid).T)[0] > 0.02 * np.linalg.norm(np.ptp(loop, axis=1))
    return float(grid[np.flatnonzero(far)[-1]]) if far.any() else 0.0


def period_of(system: System) -> float:
    """The mean time between upward crossings of the first node's middle, long after the start."""
    grid = np.linspace(150, 250, 100_001)
    signal = wave(system, 250, rtol=1e-8)(grid)[0]
    signal = signal - 0.5 * (signal.max() + signal.min())
    up = np.flatnonzero((signal[:-1] < 0) & (signal[1:] >= 0))
    crossings: Array = grid[up] - signal[up] * (grid[1] - grid[0]) / (signal[up + 1] - signal[up])
    return float(np.diff(crossings).mean())


@pytest.mark.parametrize("name", CHAOS)
def test_what_is_labelled_chaos_is_chaos(name: str) -> None:
    """Its largest Lyapunov exponent is positive, while the state stays bounded and never rests."""
    system = ZOO[name]
    exponent, spread = lyapunov(np.asarray(system.W, float), np.asarray(system.z0, float))
    assert exponent > 0.03
    assert spread > 0.1


@pytest.mark.parametrize(("W", "z0", "exponent"), [([[0.5]], [0.3], -0.5), (turn(1.2, 2.0), [0.1, 0.2], 0.0)])
def test_the_exponent_by_which_chaos_is_told_is_zero_of_a_cycle_and_the_slowest_rate_of_a_rest(
    W: Matrix, z0: list[float], exponent: float
) -> None:
    assert lyapunov(np.asarray(W, float), np.asarray(z0, float))[0] == pytest.approx(exponent, abs=0.01)


def lyapunov(W: Array, z0: Array, *, h: float = 0.05, before: int = 1000, steps: int = 8000) -> tuple[float, float]:
    """Largest Lyapunov exponent of dz/dt = -z + tanh(W z), and the state's largest standard deviation.

    Classical Runge-Kutta steps of the state and of one tangent vector, renormalised every step (G. Benettin et al.,
    Meccanica 15:9 (1980)).
    """

    def flow(y: Array) -> Array:
        images = W @ y
        activated = np.tanh(images[:, 0])
        images[:, 0], images[:, 1] = activated, (1 - activated**2) * images[:, 1]
        result: Array = images - y
        return result

    y = np.stack([z0, np.cos(np.arange(z0.size))], axis=1)
    growth, states = np.zeros(before + steps), np.zeros((before + steps, z0.size))
    for k in range(before + steps):
        k1 = flow(y)
        k2 = flow(y + 0.5 * h * k1)
        k3 = flow(y + 0.5 * h * k2)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + flow(y + h * k3))
        length = float(np.linalg.norm(y[:, 1]))
        y[:, 1] /= length
        growth[k], states[k] = np.log(length), y[:, 0]
    return float(growth[before:].mean() / h), float(states[before:].std(0).max())
