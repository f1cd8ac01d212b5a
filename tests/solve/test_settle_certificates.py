"""What makes a verdict certain: rests that attract, states that stay, and bounds that hold."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from error_bound_census import case, violations
from labelled_zoo import UNEQUAL, monotone
from scipy.linalg import expm
from scipy.optimize import brentq

from analogdeq.cores.conv import ConvCore
from analogdeq.cores.rc import RCCore
from analogdeq.linalg.arnoldi import arnoldi
from analogdeq.solve.bosh3 import BOSH3
from analogdeq.solve.error_bound import Bound, ErrorBounds
from analogdeq.solve.outlook import calm_after, look_ahead
from analogdeq.solve.runge_kutta import RungeKutta
from analogdeq.solve.settle import settle
from analogdeq.solve.tableau import Tableau
from analogdeq.solve.tsit5 import TSIT5
from analogdeq.solve.verdict import Verdict
from helpers import BACK_ENDS, NATIVE, Array, chip, plain_core, random_core, random_inputs, settle_core, tensor

BAND = 1e-3


def outlook(W: Any, offset: Any, taus: Any = 1.0, activation: str = "identity") -> Any:
    core = plain_core(W, activation=activation, tau_s=taus)
    e = tensor([offset])
    return look_ahead(core, core.drive(torch.zeros_like(e)), torch.zeros_like(e), e, BAND)


@pytest.mark.parametrize(
    ("W", "taus", "attracts"),
    [
        ([[1.02, 0.0], [0.0, 0.5]], 1.0, False),
        ([[1.3, 0.0], [0.0, -3.0]], 1.0, False),
        ([[0.98, 0.0], [0.0, -30.0]], 1.0, True),
        ([[0.997, 4.0], [-1.0, 0.997]], 1.0, True),
        ([[1.003, 4.0], [-1.0, 1.003]], 1.0, False),
        (UNEQUAL, 1.0, True),
        (UNEQUAL, tensor([0.1, 1.0]), False),
    ],
)
@pytest.mark.parametrize("offset", [[0.0, 4e-4], [0.0, 0.0], [3e-4, -2e-4]])
def test_a_rest_attracts_if_every_mode_of_the_flow_decays(
    W: Any, taus: Any, attracts: bool, offset: list[float]
) -> None:
    seen = outlook(W, offset, taus)
    assert seen.attracts.item() == attracts
    assert seen.repels.item() != attracts
    assert not (seen.stays.item() and not attracts)


@pytest.mark.parametrize("slowest", [-0.02, 0.02])
def test_one_growing_mode_among_five_hundred_is_found(slowest: float) -> None:
    """The look-ahead sees it with products only; the offset has no part of it."""
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.normal(size=(500, 500)))
    W = Q @ np.diag(np.r_[1 + slowest, rng.uniform(-0.6, 0.6, 499)]) @ Q.T
    offset = 4e-4 * Q[:, 1]
    seen = outlook(W, offset)
    assert seen.attracts.item() == (slowest < 0)
    assert seen.repels.item() == (slowest > 0)
    assert seen.evaluations.item() < 100


def future(A: Array, e: Array, end: float, points: int = 4001) -> Array:
    """max |exp(s A) e| on a grid."""
    step, states = expm(A * end / (points - 1)), [e]
    for _ in range(points - 1):
        states.append(step @ states[-1])
    return np.abs(np.array(states)).max(1)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_said_to_stay_stays(seed: int) -> None:
    """Random triangular (non-normal) flows with gaps from 0.02 on, against the matrix exponential."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 8))
    W = np.triu(rng.normal(size=(n, n)) * rng.choice([0.05, 0.2, 1.0]), 1) + np.diag(1 - rng.uniform(0.02, 0.5, n))
    e = rng.normal(size=n) * rng.choice([1e-4, 3e-4, 8e-4])
    seen = outlook(W, e)
    distance = future(W - np.eye(n), e, 2000.0, 40_001)
    assert seen.attracts.item()
    if seen.stays.item():
        assert distance.max() <= BAND
    else:  # not said without need: a kick of a twentieth, amplified as e may be, is all there is to spare
        worst = max(future(W - np.eye(n), 1.1 * np.linalg.norm(e) * axis, 600.0).max() for axis in np.eye(n))
        assert max(distance.max(), worst) > 0.5 * BAND


def test_a_linearisation_that_does_not_hold_certifies_nothing() -> None:
    """The rest sits on relu's kink: one side decays, the other is what J does not show."""
    core = plain_core([[0.0, 0.0], [3.0, 0.0]], activation="relu")
    e = tensor([[4e-4, 0.0]])
    seen = look_ahead(core, core.drive(torch.zeros_like(e)), torch.zeros_like(e), e, BAND)
    assert not seen.stays.item()


def test_picard_iterates_bound_the_flow() -> None:
    """exp(s (J - I)) e = sum_k Poisson(s, k) J^k e."""
    rng = np.random.default_rng(1)
    J = 0.25 * rng.normal(size=(6, 6))
    e = 8e-3 * rng.normal(size=6)
    iterates = [e]
    for _ in range(60):
        iterates.append(J @ iterates[-1])
    distances = np.abs(iterates).max(1)
    falling = np.maximum.accumulate(distances[::-1])[::-1].copy()
    after = calm_after(tensor([falling]), BAND).item()
    assert 1 < after < 30
    assert future(J - np.eye(6), expm((J - np.eye(6)) * after) @ e, 40.0).max() <= BAND
    assert math.isinf(calm_after(torch.full((1, 1), math.inf, dtype=torch.float64), BAND).item())


def test_a_krylov_space_reproduces_the_map_it_came_from() -> None:
    rng = np.random.default_rng(2)
    A = tensor(rng.normal(size=(3, 12, 12)))
    A[1] = torch.diag(tensor(np.repeat([-1.0, -2.0, -3.0], 4)))  # an invariant space of dimension 3
    x = tensor(rng.normal(size=(3, 12)))
    x[2] = 0
    space = arnoldi(lambda v: (A @ v.unsqueeze(-1)).squeeze(-1), x, 7)
    V = space.basis.transpose(1, 2)
    torch.testing.assert_close(V[0].T @ V[0], torch.eye(7, dtype=torch.float64))
    outside = A[0] @ V[0] - V[0] @ space.H[0]
    assert outside[:, :-1].abs().max() < 1e-12
    assert outside[:, -1].norm().item() == pytest.approx(space.coupling[0].item())
    torch.testing.assert_close(space.length, x.norm(dim=1))
    assert space.coupling[1].item() == 0
    np.testing.assert_allclose(np.sort(np.linalg.eigvals(space.H[1][:3, :3].numpy()).real), [-3, -2, -1], atol=1e-9)
    assert bool((space.basis[2] == 0).all())


@pytest.mark.parametrize("method", BACK_ENDS)
def test_no_reference_back_end_takes_half_a_band_for_a_certificate(method: str) -> None:
    exact = brentq(lambda s: 0.08 * s * 4e-4 * math.exp(-0.01 * s) - 1e-3, 100, 1000)
    out = settle_core(
        [[0.99, 0.08], [0.0, 0.99]], [[0.0, 4e-4]], activation="identity", method=method, max_time_tau=3000.0, rtol=1e-2
    )  # fmt: skip
    assert out.verdict == [Verdict.SETTLED]
    assert out.t_settle_s.item() == pytest.approx(exact, rel=5e-3)


def test_a_reference_back_end_leaves_a_saddle_too() -> None:
    out = settle_core([[1.3, 0.0], [0.0, -3.0]], [[1e-4, 0.8]], method="scipy-dop853")
    assert out.z[0, 0].item() > 0.5


@pytest.mark.parametrize("method", NATIVE)
def test_a_monotone_network_settles_although_picard_diverges(method: str) -> None:
    """E. Winston, J. Z. Kolter, NeurIPS 2020: W = (1 - m) I - A^T A + B - B^T has one equilibrium for every input."""
    for seed in range(4):
        W = monotone(30, 0.2, seed)
        assert np.abs(np.linalg.eigvals(W)).max() > 2
        core, u = plain_core(W, activation="relu"), random_inputs(3, 30, seed=seed)
        z = torch.zeros(3, 30, dtype=torch.float64)
        drive = core.drive(u)
        for _ in range(200):
            z = core.fixed_point_map(z, drive)
        assert (core.fixed_point_map(z, drive) - z).abs().amax().item() > 0.1
        out = settle(core, u, method=method)
        assert out.verdict == [Verdict.SETTLED] * 3
        assert out.residual.max().item() < 1e-5
        other = settle(core, u, method=method, z0=torch.full((3, 30), 2.0, dtype=torch.float64))
        torch.testing.assert_close(other.z, out.z, rtol=0, atol=1e-5)


def test_a_certificate_costs_next_to_nothing_where_picard_converges() -> None:
    core = random_core(64, seed=0, radius=0.9, dtype=torch.float32, tau_s=1.0)
    out = settle(core, random_inputs(16, 3, seed=1, dtype=torch.float32), compiled=False)
    assert core.contraction_gap() == 0
    assert bool(out.is_settled.all())
    # Each step is six evaluations; what is left were searches, certificates and the linearised circuit's finish.
    spent = out.evaluations - 6 * (out.steps + out.rejected)
    assert spent.double().mean().item() < 50
    assert out.evaluations.double().mean().item() < 130, "which replaces ten steps"


@pytest.mark.parametrize("first", range(0, 500, 100))
def test_error_bounds_hold_on_five_hundred_random_cores(first: int) -> None:
    cases = [case(seed, max_steps=15) for seed in range(first, first + 100)]
    assert violations(cases) == []
    kinds = [x.kind for x in cases]
    assert min(kinds.count(Bound.GLOBAL), kinds.count(Bound.NONE)) >= 2
    assert kinds.count(Bound.LOCAL) > 40
    assert np.median([x.bound / x.distance for x in cases if x.kind is Bound.LOCAL and x.distance > 1e-10]) < 1.1


def test_where_an_equilibrium_is_about_to_vanish_no_bound_is_claimed() -> None:
    """Past the fold of z = tanh(2 z + b) there is none on this side, however small the residual."""
    core = plain_core([[2.0]], [0.5329])
    out = settle(core, torch.zeros(1, 1, dtype=torch.float64), z0=tensor([[-0.72]]), max_time_tau=2.0)
    assert out.residual.item() < 2e-3
    assert out.error_bound_kind == [Bound.NONE]
    assert bool(out.error_bound.isnan())


@pytest.mark.parametrize("margin", [1e-3, -1e-3])
def test_a_bound_near_a_kink_reaches_no_farther_than_the_kink(margin: float) -> None:
    """z = relu(0.5 z + b) with its pre-activation a thousandth beside the kink."""
    core = plain_core([[0.5]], [margin], activation="relu")
    z = tensor([[2 * margin if margin > 0 else 0.0]]) + 1e-2
    drive = core.drive(torch.zeros(1, 1, dtype=torch.float64))
    residual = (core.fixed_point_map(z, drive) - z).abs().amax(1)
    bounds = ErrorBounds(core, drive, torch.zeros(1, 1, dtype=torch.float64), z, residual)
    exact = max(2 * margin, 0.0)
    assert bounds.value.item() >= abs(z.item() - exact)
    assert bounds.kind.item() == Bound.GLOBAL or margin > 0


def test_a_bound_says_nothing_of_a_core_that_was_trained_since() -> None:
    core = random_core(6, seed=1)
    out = settle(core, random_inputs(2, 3, seed=1))
    with torch.no_grad():
        core.W += 0.1
    assert bool(out.error_bound.isnan().all())
    assert out.error_bound_kind == [Bound.NONE] * 2


def test_chips_and_convolutions_have_bounds_too() -> None:
    placed = chip(random_core(6, seed=2, dtype=torch.float32, tau_s=1.0))
    out = settle(placed, random_inputs(3, 3, seed=2, dtype=torch.float32))
    fine = settle(placed, random_inputs(3, 3, seed=2, dtype=torch.float32), band=1e-4, rtol=1e-4)
    assert bool(((out.z - fine.z).double().norm(dim=1) <= out.error_bound + fine.error_bound).all())
    rng = np.random.default_rng(3)
    kernels = tensor(0.3 * rng.normal(size=(2, 2, 3, 3)))
    conv = ConvCore(kernels, tensor(rng.normal(size=(2, 1, 1, 1))), torch.zeros(2).double(), height=4, width=5)
    u = random_inputs(2, 20, seed=3)
    zero = torch.zeros(1, 40, dtype=torch.float64)
    dense = RCCore(
        conv.linearise(zero, conv.drive(torch.zeros(1, 20).double())).dense()[0], torch.eye(40).double(), zero[0]
    )
    mine, theirs = settle(conv, u), settle(dense, conv.drive(u).current, compiled=False)
    torch.testing.assert_close(mine.error_bound, theirs.error_bound, rtol=0, atol=1e-9)
    assert not bool(mine.error_bound.isnan().any())


@pytest.mark.parametrize(("tableau", "order"), [(TSIT5, 5), (BOSH3, 3)])
def test_energy_converges_at_the_solvers_order(tableau: Tableau, order: int) -> None:
    """Halving fixed steps divides the error of every term's joules by 2^k."""
    placed = chip(random_core(5, seed=4, tau_s=1.0))
    drive = placed.drive(random_inputs(1, 3, seed=4))

    def spent(steps: int) -> torch.Tensor:
        stepper, h = RungeKutta(tableau), torch.full((1,), 2.0 / steps, dtype=torch.float64)
        stepper.begin(placed, drive, placed.initial_state(drive))
        energy = torch.zeros(len(placed.power_terms), dtype=torch.float64)
        for _ in range(steps):
            stepper.attempt(h)
            energy += stepper.energy_of_step(h)[0]
            stepper.accept(torch.ones(1, dtype=torch.bool))
        return energy

    smooth = [placed.power_terms.index(name) for name in ("crossbar", "feedback", "node")]
    exact = spent(1024)[smooth]
    errors = np.array([((spent(steps)[smooth] / exact) - 1).abs().max().item() for steps in (8, 16, 32)])
    observed = np.log2(errors[:-1] / errors[1:])
    assert bool((observed > order - 0.3).all())
    assert bool((observed < order + 1.2).all())
