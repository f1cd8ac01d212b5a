"""The linearised circuit's last part of a settle, against dense exponentials and long integrations."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.optimize import brentq
from torch import Tensor

from analogdeq.cores.rc import RCCore
from analogdeq.solve.linear_regime import bend, decay_rate, finish_linearly, straightened
from analogdeq.solve.settle import settle
from analogdeq.solve.verdict import Verdict
from helpers import chip, plain_core, quiet_amplifier, random_core, random_inputs, tensor

BAND = 1e-3


def dense_exit(A: np.ndarray, e: np.ndarray, until: float, points: int = 400_001) -> float:
    """The last time at which max |exp(A s) e| is the band, on a fine grid and by bisection of its last crossing."""
    grid, step = np.linspace(0, until, points, retstep=True)
    one, orbit = expm(step * A), np.empty((points, e.size))
    orbit[0] = e
    for k in range(1, points):
        orbit[k] = one @ orbit[k - 1]
    last = np.flatnonzero(np.abs(orbit).max(1) > BAND)[-1]
    state = orbit[last]
    return float(grid[last]) + brentq(lambda s: np.abs(expm(s * A) @ state).max() - BAND, 0, step)


def flow(core: RCCore) -> np.ndarray:
    """(node, node): r (W - I), the Jacobian of a linear core's flow."""
    W = core.W.detach().double().numpy()
    rate = np.ones(len(W)) if core.rate is None else core.rate.double().numpy()
    return rate[:, None] * (W - np.eye(len(W)))


def exact(offset: Tensor) -> Tensor:
    """(lane,) no margin of the band."""
    return offset.new_zeros(len(offset), dtype=torch.float64)


def finished(core: RCCore, offset: Tensor):
    drive = core.drive(torch.zeros(len(offset), core.n_inputs, dtype=offset.dtype))
    return finish_linearly(core, drive, torch.zeros_like(offset), offset, exact(offset), BAND, 1e-4)


LINEAR = {
    "one mode": [[0.5]],
    "chain": [[0.0, 10.0], [0.0, 0.0]],
    "turning": [[0.8, 2.0], [-2.0, 0.8]],
    "hardly damped": [[0.99, 2.0], [-2.0, 0.99]],
    "turning fast": [[0.5, 30.0], [-30.0, 0.5]],
    "slow and fast": [[0.99, 0.0], [3.0, -9.0]],
}


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_circuit_leaves_its_band_when_the_matrix_exponential_does(name: str) -> None:
    core = plain_core(LINEAR[name], activation="identity")
    offset = tensor([[0.02, 0.013, 0.004][: core.n_nodes]])
    end = finished(core, offset)
    assert end.is_certain.tolist() == [True]
    gap = min(1 - np.linalg.eigvals(core.W.numpy()).real)
    expected = dense_exit(flow(core), offset[0].numpy(), until=8 / gap)
    assert end.exit_after.item() == pytest.approx(expected, rel=1e-4)
    assert end.exit_offset.abs().max().item() == pytest.approx(BAND, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_large_circuits_are_told_by_a_small_space(spread: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(5)
    W = torch.randn(80, 80, generator=generator, dtype=torch.float64)
    W *= 0.85 / torch.linalg.eigvals(W).abs().max()
    tau = torch.exp(spread * torch.randn(80, generator=generator, dtype=torch.float64))
    core = RCCore(
        W.to(dtype), torch.eye(80, dtype=dtype), torch.zeros(80, dtype=dtype), activation="identity", tau_s=tau
    )
    # The fastest modes have died away before a settle asks.
    offset = torch.randn(3, 80, generator=generator, dtype=torch.float64) @ torch.as_tensor(expm(flow(core))).T
    offset *= 0.02 / offset.abs().amax(1, keepdim=True)
    end = finished(core, offset.to(dtype))
    assert bool(end.is_certain.all())
    for k in range(3):
        expected = dense_exit(flow(core), offset[k].numpy(), until=60, points=20_001)
        assert end.exit_after[k].item() == pytest.approx(expected, rel=1e-3)
    assert int(end.evaluations.max()) <= 52, "spaces of 12 and 40"


@pytest.mark.parametrize(
    "W", [[[1.01]], [[1.1, 0.0], [0.0, 0.5]], [[1.0, 2.0], [-2.0, 1.0]], [[1.02, 3.0], [-3.0, 1.02]]]
)
def test_what_does_not_decay_is_never_certain(W: list[list[float]]) -> None:
    core = plain_core(W, activation="identity")
    assert finished(core, torch.full((1, core.n_nodes), 0.01, dtype=torch.float64)).is_certain.tolist() == [False]


def test_a_state_that_never_leaves_its_band_has_no_exit_and_one_that_grows_out_of_it_has() -> None:
    core = plain_core([[0.0, 10.0], [0.0, 0.0]], activation="identity")
    offset = tensor([[5e-4, 0.0], [0.0, 5e-4]])
    end = finished(core, offset)
    assert end.exit_after[0].item() == 0.0
    assert end.exit_after[1].item() == pytest.approx(dense_exit(flow(core), offset[1].numpy(), 30.0), rel=1e-4)


@pytest.mark.parametrize(("W", "b"), [(0.5, 0.8), (0.9, 0.2), (0.95, 0.0)])
def test_the_bend_of_a_nonlinear_decay_is_mostly_made_up_for(W: float, b: float) -> None:
    """One node, integrated by scipy: the exit time from a bent start, with and without its correction."""
    core = plain_core([[W]])
    drive = core.drive(tensor([[b]]))
    z = brentq(lambda x: math.tanh(W * x + b) - x, -0.5, 1.0) if b else 0.0
    start = z + (0.05 if b else 0.2)
    path = solve_ivp(lambda _t, x: np.tanh(W * x + b) - x, (0, 500), [start], rtol=1e-11, atol=1e-13, dense_output=True)
    last = brentq(lambda t: abs(path.sol(t)[0] - z) - BAND, 0, 400)
    rest, offset = tensor([[z]]), tensor([[start - z]])
    dz = core.fixed_point_map(rest + offset, drive) - (rest + offset)
    gap = bend(core, drive, rest, offset, dz)
    better_offset = straightened(offset, gap, decay_rate(offset, dz))
    plain = finish_linearly(core, drive, rest, offset, exact(offset), BAND, 1e-4).exit_after.item()
    better = finish_linearly(core, drive, rest, better_offset, exact(offset), BAND, 1e-4).exit_after.item()
    assert abs(better - last) < 0.6 * abs(plain - last)
    assert better == pytest.approx(last, rel=2e-2)


@pytest.mark.parametrize("gap", [0.03, 0.01])
def test_a_weakly_damped_rotation_settles_on_time(gap: float) -> None:
    core = plain_core([[1 - gap, 2.0], [-2.0, 1 - gap]])
    out = settle(core, tensor([[0.0, 0.0]]), z0=tensor([[0.05, 0.02]]), max_time_tau=5000.0)
    assert out.verdict == [Verdict.SETTLED]
    W = core.W.numpy()
    until = 1.2 * out.t_settle_s.item()
    path = solve_ivp(
        lambda _t, x: np.tanh(W @ x) - x, (0, until), [0.05, 0.02], rtol=1e-11, atol=1e-14, method="DOP853",
        dense_output=True,
    )  # fmt: skip
    grid = np.linspace(0.7 * until, until, 200_001)
    last = grid[np.flatnonzero(np.abs(path.sol(grid)).max(0) > BAND)[-1]]
    assert out.t_settle_s.item() == pytest.approx(last, rel=1e-3)


def test_a_peak_that_grazes_the_band_is_not_left_to_the_linearised_circuit() -> None:
    """The peak of the fifth sample is outside by less than the bend that the linearised circuit may miss."""
    generator = torch.Generator().manual_seed(42)
    A = torch.randn(8, 8, generator=generator, dtype=torch.float64)
    A = A - A.T + 0.3 * torch.randn(8, 8, generator=generator, dtype=torch.float64)
    A *= 2 / torch.linalg.eigvals(A).abs().max()
    gap = 0.03 + 0.2 * torch.rand(1, generator=generator, dtype=torch.float64)
    W = A - torch.eye(8, dtype=torch.float64) * (torch.linalg.eigvals(A).real.max() - 1 + gap)
    b = 0.3 * torch.randn(16, 8, generator=generator, dtype=torch.float64)
    out = settle(plain_core(W.tolist()), b, max_time_tau=5000.0)
    w, drive = W.numpy(), b[4].numpy()
    path = solve_ivp(
        lambda _t, x: np.tanh(w @ x + drive) - x, (0, 300), np.zeros(8), rtol=1e-11, atol=1e-14, method="DOP853",
        dense_output=True,
    )  # fmt: skip
    grid = np.linspace(10, 30, 200_001)
    last = grid[np.flatnonzero(np.abs(path.sol(grid) - path.y[:, -1:]).max(0) > BAND)[-1]]
    assert out.t_settle_s[4].item() == pytest.approx(last, rel=1e-3)


def test_a_peak_near_the_edge_of_the_band_is_looked_at_between_points() -> None:
    """A pair that turns and hardly decays: one of its last peaks is above the band for a hundredth of a turn."""
    gap, turn, peaks = 0.05, 3.0, 8
    A = np.array([[-gap, turn], [-turn, -gap]])
    core = plain_core((A + np.eye(2)).tolist(), activation="identity")
    quarter = math.pi / turn / 2
    size = BAND * 1.0005 * math.exp(gap * peaks * quarter)
    starts = np.array([size * expm(-A * quarter * phase) @ [1.0, 0.0] for phase in np.linspace(0, 1, 41)[:-1]])
    end = finished(core, tensor(starts.tolist()))
    assert bool(end.is_certain.all())
    for found, start in zip(end.exit_after.tolist(), starts, strict=True):
        assert found == pytest.approx(dense_exit(A, start, 30.0, points=20_001), rel=1e-3)


@pytest.mark.parametrize("gap", [0.1, 0.2, 0.3])
def test_an_exit_is_found_beside_the_corner_where_another_node_becomes_the_farthest(gap: float) -> None:
    """e^-s enters the band when a node that decays at the gap is at 0.998 of it."""
    core = plain_core([[0.0, 0.0], [0.0, 1 - gap]], activation="identity")
    sizes = np.linspace(2.0, 40.0, 77)
    end = finished(core, tensor([[BAND * size, 0.998 * BAND * size**gap] for size in sizes]))
    assert bool(end.is_certain.all())
    np.testing.assert_allclose(end.exit_after.numpy(), np.log(sizes), rtol=2e-4)


def test_energies_go_on_to_the_exit_and_power_is_that_of_rest() -> None:
    placed, u = chip(random_core(6, seed=1)), random_inputs(8, 3, seed=2)
    quick, exact = settle(placed, u), settle(placed, u, rtol=1e-7, atol=1e-9)
    assert quick.ledger is not None
    assert exact.ledger is not None
    torch.testing.assert_close(quick.ledger.total_J, exact.ledger.total_J, rtol=1e-3, atol=0)
    assert quick.power_end_W is not None
    drive = placed.drive(u)
    power, dz = torch.empty_like(quick.power_end_W), torch.empty_like(quick.z)
    work = quick.z.new_empty(placed.work_buffers, *quick.z.shape)
    placed.evaluate(quick.z, drive, dz, power, work)
    # A sample that was settled by its steps stopped well inside its band, not at rest.
    torch.testing.assert_close(quick.power_end_W, power, rtol=0, atol=1e-4 * float(power.max()))


def test_the_energy_of_a_ringing_chip_is_that_of_many_small_steps() -> None:
    circuit = chip(plain_core([[0.9, 2.0], [-2.0, 0.9]], activation="identity"), amplifier=quiet_amplifier())
    u = 0.3 * random_inputs(2, 2, seed=1)
    end = settle(circuit, u)
    steps = settle(circuit, u, method="scipy-dop853", rtol=1e-7)
    assert end.energy_J.tolist() == pytest.approx(steps.energy_J.tolist(), rel=5e-4, abs=0)
