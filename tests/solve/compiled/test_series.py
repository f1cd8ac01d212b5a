"""Taylor series of trajectories, and the steps taken with them, against DOP853 and quadrature."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp

from analogdeq.cores.rc import RCCore
from helpers import random_core, random_inputs

pytest.importorskip("numba", reason="numba is not installed: nothing is compiled")

from analogdeq.solve.compiled.control import control_of
from analogdeq.solve.compiled.jit import entry
from analogdeq.solve.compiled.joules import charge
from analogdeq.solve.compiled.lanes import TERMS, Lanes, Slots, room_for
from analogdeq.solve.compiled.network import Network, network_of
from analogdeq.solve.compiled.series import ROWS, add_current, begin, expand, state_at
from analogdeq.solve.compiled.sprint import _lanes
from analogdeq.solve.compiled.step_size import step_size
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.outcome import empty_outcome
from analogdeq.solve.slabs import Batch

N = 20
begin, expand, state_at, step_size = entry(begin), entry(expand), entry(state_at), entry(step_size)
add_current, charge = entry(add_current), entry(charge)


class Begun:
    """Samples at power-on, their series expanded."""

    def __init__(self, activation: str = "tanh", spread: float = 0.3, gain: float = 1.0, n: int = N) -> None:
        rng = np.random.default_rng(3)
        W, U, b = random_core(n, seed=2, radius=0.9).trainable()
        tau = torch.from_numpy(np.exp(spread * rng.normal(size=n)))
        self.core = RCCore(W, U, b, activation=activation, gain=gain, tau_s=tau)
        u = random_inputs(3, 3, seed=4)
        start = torch.from_numpy(rng.uniform(-0.5, 0.5, (3, n)))
        network = network_of(self.core)
        assert network is not None
        watts = np.abs(rng.normal(size=network.watts.shape))
        self.network: Network = network._replace(watts=watts, has_power=True)
        drive = self.core.drive(u)
        batch = Batch(drive=drive, start=start, outcome=empty_outcome(start, 0))
        self.lanes: Lanes = _lanes(self.network, batch, torch.arange(3))
        self.slots: Slots = room_for(self.network, ROWS)
        begin(self.network, self.lanes, self.slots, np.arange(3))
        scratch = tuple(np.empty(n) for _ in range(5))
        expand(self.network, self.slots, scratch, 3)

    def derivative(self, s: int) -> Any:
        rate = np.ones(1) if self.core.rate is None else self.core.rate.numpy()
        W, current, gain = self.core.W.detach().numpy(), self.lanes.current[s], self.core.gain
        c0, c1, c2 = self.network.squash[1:]
        return lambda _t, z: rate * (gain * (c0 + c1 * np.tanh(c2 * (W @ z + current))) - z)

    def state(self, s: int, h: float) -> np.ndarray:
        out = np.empty((1, self.lanes.z.shape[1]))
        state_at(out, 0, self.lanes.z, self.slots.k, self.network.rate, self.network.squash, s, s, h)
        return out[0]

    def error(self, s: int, h: float) -> float:
        exact = solve_ivp(self.derivative(s), (0, h), self.lanes.z[s], method="DOP853", rtol=1e-13, atol=1e-15)
        return float(np.abs(self.state(s, h) - exact.y[:, -1]).max())


@pytest.mark.parametrize(("activation", "gain"), [("tanh", 1.0), ("sigmoid", 1.0), ("tanh", 2.5)])
def test_a_series_errs_by_the_seventh_power_of_the_step(activation: str, gain: float) -> None:
    begun = Begun(activation, gain=gain)
    for s in range(3):
        coarse, fine = begun.error(s, 0.1 / gain), begun.error(s, 0.05 / gain)
        assert 2**6.6 < coarse / fine < 2**7.4


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
def test_a_step_errs_by_about_as_much_as_it_may(spread: float) -> None:
    begun, options = Begun(spread=spread), SettleOptions(rtol=1e-3)
    control = control_of(begun.core, options, unseen=0.0)
    network, lanes, slots = begun.network, begun.lanes, begun.slots
    for s in range(3):
        lane = lanes.of[s]
        h = step_size(control, lane, slots.size, s, network.is_uniform)
        allowed = options.rtol * lane["motion"] * (min(2 * h, 1.0) if network.is_uniform else 1.0)
        assert 0.1 < begun.error(s, h) / allowed < 2


def test_where_a_coefficient_vanishes_the_others_still_bound_the_step() -> None:
    begun = Begun()
    control = control_of(begun.core, SettleOptions(), unseen=0.0)
    whole = step_size(control, begun.lanes.of[0], begun.slots.size, 0, False)
    for one in (2, 3):
        size = begun.slots.size.copy()
        size[0, one] = 0.0
        assert step_size(control, begun.lanes.of[0], size, 0, False) < 2 * whole


@pytest.mark.parametrize("theta", [1.0, 0.6])
def test_joules_of_a_step_are_the_integrals_of_its_watts_to_the_sixth_order(theta: float) -> None:
    begun = Begun()
    network, lanes, slots = begun.network, begun.lanes, begun.slots
    c0, c1, c2 = network.squash[1:]
    W, s = begun.core.W.detach().numpy(), 1
    gained, error, watts = np.zeros(TERMS), np.zeros(TERMS), np.zeros(TERMS)
    misses = []
    for h in (0.08, 0.04):
        lanes.of["h"][s] = h
        slots.lane[s] = s
        exact_path = solve_ivp(
            begun.derivative(s), (0, h), lanes.z[s], method="DOP853", rtol=1e-12, atol=1e-14, dense_output=True
        ).sol

        def quadratic(t: float, path: Any = exact_path) -> float:
            z = path(t)
            p = W @ z + lanes.current[s]
            e = c0 + c1 * np.tanh(c2 * p) - z
            w = network.watts
            return float((w[1] * z**2 + w[5] * e**2).sum())

        slots.p[s] = W @ begun.state(s, h)
        add_current(slots.p, lanes.current, s, s)
        charge(network, lanes, slots, s, theta, gained, error, np.empty((1, N)), np.empty(N), watts)
        exact = quad(quadratic, 0, theta * h, epsabs=0, epsrel=1e-13)[0]
        misses.append(abs(gained[2] / exact - 1))
        assert error[2] >= abs(gained[2] - exact)
    assert misses[0] < 1e-6
    assert misses[0] / misses[1] > 2**5.5
