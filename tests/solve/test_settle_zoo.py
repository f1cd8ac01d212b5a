"""Verdict, settling time and period of every system in the zoo, against closed forms and scipy."""

import numpy as np
import pytest
import torch
from labelled_zoo import ZOO, System
from scipy.optimize import root

from analogdeq.cores.rc import RCCore
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.solve.verdict import Verdict
from helpers import PHI, Array, last_exit, tensor, trajectory

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
    """A difference of 1e-7 grows a hundredfold, while the state stays bounded and never rests."""
    system = ZOO[name]
    W, z0 = np.asarray(system.W, float), np.asarray(system.z0, float)
    late = wave(system, 60, rtol=1e-8)(60.0)
    beside = late + 1e-7 * np.cos(np.arange(z0.size))
    pair = [trajectory(W, start, 60, rtol=1e-10) for start in (late, beside)]
    apart = np.abs(pair[0](60.0) - pair[1](60.0)).max()
    assert apart > 1e-5
    assert pair[0](np.linspace(40, 60, 100)).std(1).max() > 0.3
