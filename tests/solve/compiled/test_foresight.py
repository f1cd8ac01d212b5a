"""Where a rest is looked for, the step to it, and what a Krylov space tells without products, against numpy."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from analogdeq.cores.rc import RCCore
from helpers import PHI, random_core, random_inputs

pytest.importorskip("numba", reason="numba is not installed: nothing is compiled")

from analogdeq.solve.compiled.arrival import LINEAR, SATURATED, SCRATCH, _state
from analogdeq.solve.compiled.arrival import ROWS as ROWS_OF_ARRIVALS
from analogdeq.solve.compiled.control import control_of
from analogdeq.solve.compiled.excursion import MOST
from analogdeq.solve.compiled.foresight import foresee, remember
from analogdeq.solve.compiled.jit import entry
from analogdeq.solve.compiled.lanes import Lanes, Slots, room_for
from analogdeq.solve.compiled.leap import leap
from analogdeq.solve.compiled.network import Network, network_of
from analogdeq.solve.compiled.product import product
from analogdeq.solve.compiled.series import PUSH, ROWS, add_current, begin, expand, motion_at, respond, state_at
from analogdeq.solve.compiled.space import build
from analogdeq.solve.compiled.sprint import _lanes
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.outcome import empty_outcome
from analogdeq.solve.settle import settle
from analogdeq.solve.slabs import Batch

begin, expand, state_at, respond = entry(begin), entry(expand), entry(state_at), entry(respond)
add_current, motion_at, product = entry(add_current), entry(motion_at), entry(product)
remember, foresee, leap, build, state = entry(remember), entry(foresee), entry(leap), entry(build), entry(_state)


def slow(core: RCCore, u: torch.Tensor, motion: float) -> torch.Tensor:
    """(batch, node): where trajectories from 0 are when no |F(z) - z| is larger any more."""
    W, rate = core.W.detach().numpy(), 1.0 if core.rate is None else core.rate.numpy()
    phi, states = PHI[core.activation.name], []
    for current in core.drive(u).current.numpy():

        def left(_t: float, z: np.ndarray, c: np.ndarray = current) -> float:
            return float(np.abs(phi(W @ z + c) - z).max() - motion)

        left.terminal = True  # type: ignore[attr-defined]
        path = solve_ivp(
            lambda _t, z, c=current: rate * (phi(W @ z + c) - z), (0, 200), np.zeros(core.n_nodes),
            method="DOP853", rtol=1e-10, atol=1e-13, events=left,
        )  # fmt: skip
        states.append(path.y[:, -1])
    return torch.from_numpy(np.stack(states))


class Stepped:
    """Samples after a step of length h on their way to rest."""

    def __init__(self, core: RCCore, u: torch.Tensor, h: float) -> None:
        network = network_of(core)
        assert network is not None
        self.core, self.network = core, network
        self.network: Network
        start = slow(core, u, 0.03)
        batch = Batch(drive=core.drive(u), start=start, outcome=empty_outcome(start, 0))
        n_nodes, count = core.n_nodes, u.shape[0]
        self.lanes: Lanes = _lanes(network, batch, torch.arange(count))
        self.slots: Slots = room_for(network, ROWS)
        lanes, slots = self.lanes, self.slots
        scratch = tuple(np.empty(n_nodes) for _ in range(5))
        begin(network, lanes, slots, np.arange(count))
        expand(network, slots, scratch, count)
        k, points, p = slots.k, slots.points, slots.p
        for s in range(count):
            state_at(points, s, lanes.z, k, network.rate, network.squash, s, s, h)
        product(network.weights, points, p, count)
        for s in range(count):
            add_current(p, lanes.current, s, s)
            remember(network.rate, network.squash, lanes.z, points, p, k, scratch, s, s)
            lanes.z[s], k[s, PUSH], lanes.pre[s] = points[s], p[s], p[s]
            respond(network.rate, network.squash, points, k, s)
            lanes.of["motion"][s] = motion_at(points, network.slowness, s)
            foresee(network, lanes, slots, scratch, s, s)

    def image(self, s: int, z: np.ndarray) -> np.ndarray:
        W = self.core.W.detach().numpy()
        return PHI[self.core.activation.name](W @ z + self.lanes.current[s])


def spread_core(n: int, radius: float = 0.9, activation: str = "tanh") -> RCCore:
    W, U, b = random_core(n, seed=3, radius=radius).trainable()
    tau = torch.from_numpy(np.exp(0.5 * np.random.default_rng(3).normal(size=n)))
    return RCCore(W, U, b, tau_s=tau, activation=activation)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_state_foreseen_is_moved_much_less_and_its_preactivation_is_known(activation: str) -> None:
    stepped = Stepped(spread_core(40, activation=activation), random_inputs(4, 3, seed=3), h=0.4)
    lanes, W = stepped.lanes, stepped.core.W.detach().numpy()
    for s in range(4):
        x = lanes.rest[s]
        np.testing.assert_allclose(lanes.pre_rest[s], W @ x + lanes.current[s], rtol=0, atol=1e-12)
        before = np.abs(stepped.image(s, lanes.z[s]) - lanes.z[s]).max()
        assert before == pytest.approx(lanes.of["motion"][s], rel=1e-9)
        assert np.abs(stepped.image(s, x) - x).max() < 0.2 * before


def test_of_a_single_node_the_rest_is_foreseen_as_newtons_method_would() -> None:
    core = RCCore(torch.tensor([[0.6]]).double(), torch.eye(1).double(), torch.zeros(1).double(), tau_s=1.0)
    stepped = Stepped(core, torch.tensor([[0.3]]).double(), h=0.5)
    z, c = stepped.lanes.z[0, 0], stepped.lanes.current[0, 0]
    image = np.tanh(0.6 * z + c)
    newton = z + (image - z) / (1 - 0.6 * (1 - image**2))
    assert stepped.lanes.rest[0, 0] == pytest.approx(newton, abs=1e-5 * abs(image - z))


def test_a_leap_lands_nearer_the_rest_and_knows_that_it_attracts() -> None:
    core = spread_core(40, radius=0.6)
    u = random_inputs(4, 3, seed=3)
    stepped = Stepped(core, u, h=0.4)
    lanes, exact = stepped.lanes, slow(core, u, 1e-11).numpy()
    before = np.abs(lanes.rest - exact).max(1)
    leap(stepped.network, control_of(core, SettleOptions(), unseen=0.0), lanes, stepped.slots, np.arange(4))
    assert lanes.of["attracts"].tolist() == [1, 1, 1, 1]
    assert (np.abs(lanes.rest - exact).max(1) < 0.1 * before).all()


def test_a_leap_to_a_rest_that_repels_is_not_taken() -> None:
    """Picard iterations converge there; a slow node and a fast one that turn each other make it unstable."""
    W = torch.tensor([[1.5, 1.2], [-1.2, -1.5]]).double()
    core = RCCore(W, torch.eye(2).double(), torch.zeros(2).double(), tau_s=torch.tensor([0.1, 1.0]).double())
    assert np.abs(np.linalg.eigvals(W)).max() < 1
    assert np.linalg.eigvals(core.rate.numpy()[:, None] * (W.numpy() - np.eye(2))).real.max() > 0
    network = network_of(core)
    start = torch.full((1, 2), 1e-3).double()
    batch = Batch(drive=core.drive(torch.zeros(1, 2).double()), start=start, outcome=empty_outcome(start, 0))
    lanes, slots = _lanes(network, batch, torch.arange(1)), room_for(network, ROWS)
    lanes.rest[:], lanes.pre_rest[:] = 1e-4, 1e-4 * W.numpy().sum(1)
    leap(network, control_of(core, SettleOptions(), unseen=0.0), lanes, slots, np.arange(1))
    assert lanes.of["attracts"][0] == 0
    np.testing.assert_array_equal(lanes.rest[0], 1e-4)


def test_a_leap_too_long_for_its_slopes_is_not_taken_however_wide_the_band() -> None:
    core = spread_core(40, radius=0.6)
    stepped = Stepped(core, random_inputs(4, 3, seed=3), h=0.4)
    lanes = stepped.lanes
    lanes.rest[:], lanes.pre_rest[:] = lanes.z, lanes.pre  # where nothing was foreseen: several thousandths from rest
    control = control_of(core, SettleOptions(band=0.1), unseen=0.0)
    leap(stepped.network, control, lanes, stepped.slots, np.arange(4))
    assert lanes.of["attracts"].tolist() == [0, 0, 0, 0]
    np.testing.assert_array_equal(lanes.rest, lanes.z)


def test_what_w_makes_of_a_state_in_a_krylov_space_follows_without_a_product() -> None:
    n, size = 40, 10
    core = spread_core(n)
    network, rng = network_of(core), np.random.default_rng(5)
    start = torch.zeros(1, n).double()
    batch = Batch(drive=core.drive(random_inputs(1, 3, seed=1)), start=start, outcome=empty_outcome(start, 0))
    lanes, slots = _lanes(network, batch, torch.arange(1)), room_for(network, ROWS_OF_ARRIVALS)
    slope = rng.uniform(0.1, 1, n)
    slope[:3] = [0.0, SATURATED / 2, 2 * SATURATED]
    slots.k[0, -1] = slope
    slots.k[0, 0] = rng.normal(size=n) / n**0.5
    slots.k[0, 0] /= np.linalg.norm(slots.k[0, 0])
    lanes.pre[0], lanes.pre_rest[0] = rng.normal(size=(2, n))
    H, way = np.zeros((slots.p.shape[0], size + 1, size)), rng.normal(size=(MOST, size))
    build(network, slots, H, size, 1)
    V, leads_out = slots.k[0, :size].copy(), slots.p[0].copy()
    assert np.linalg.norm(leads_out) == pytest.approx(H[0, size, size - 1], rel=1e-9)
    state(network, lanes, slots, H[0], 1.0, way, 0.0, 1.0, 0, 0)
    e, rate = way[0] @ V, network.rate
    W = core.W.detach().numpy()
    np.testing.assert_allclose(slots.points[0], e, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(slots.k[0, LINEAR], rate * (slope * (W @ e) - e), rtol=1e-9, atol=1e-10)
    image = slots.k[0, SCRATCH]
    np.testing.assert_allclose(image[2:], (W @ e)[2:], rtol=1e-6, atol=1e-7)
    fade = np.linalg.norm(way[0])
    np.testing.assert_allclose(image[:2], fade * (lanes.pre[0] - lanes.pre_rest[0])[:2], rtol=1e-12)


def test_a_settle_that_begins_at_zero_and_looks_ahead_takes_few_evaluations() -> None:
    """Six a step, eight for Newton's step and whether the rest attracts, ten for the exit, some to find the rest."""
    W, U, b = random_core(64, seed=0, radius=0.9, dtype=torch.float32).trainable()
    tau = torch.exp(0.3 * torch.from_numpy(np.random.default_rng(0).normal(size=64))).float()
    core, u = RCCore(W, U, b, tau_s=tau), random_inputs(32, 3, seed=1, dtype=torch.float32)
    out = settle(core, u)
    besides = (out.evaluations - 6 * (out.steps + out.rejected)).double()
    assert bool(out.is_settled.all())
    assert besides.min().item() > 18
    assert besides.mean().item() < 34
    begun = settle(core, u, z0=torch.full((32, 64), 1e-30))
    assert torch.equal(begun.evaluations, out.evaluations + 1), "and one more where W z is not known to be 0"
