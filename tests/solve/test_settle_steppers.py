"""The one-step methods by themselves: order conditions, measured order, dense output, exactness."""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch

from analogdeq.cores.core import Core
from analogdeq.solve.bosh3 import BOSH3
from analogdeq.solve.controller import error_share, next_step
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.rodas5p import RODAS5P
from analogdeq.solve.rosenbrock import Rosenbrock
from analogdeq.solve.runge_kutta import RungeKutta
from analogdeq.solve.stepper import Stepper
from analogdeq.solve.switching import Switching
from analogdeq.solve.tableau import Tableau
from analogdeq.solve.tsit5 import TSIT5
from helpers import Nodal, chip, random_core, random_inputs, tensor, trajectory

TABLEAUX = pytest.mark.parametrize("tableau", [TSIT5, BOSH3], ids=lambda t: t.name)
Tree = tuple["Tree", ...]
DENSE_ORDER = {"tsit5": 4, "bosh3": 3}
ENERGY_INSIDE = {"bosh3": 1.5e-2}
"""Of third order, its joules in half a step of 0.4 tau are 1.3 % off; a fifth-order method's less than 0.2 %."""


def rooted_trees(order: int) -> Iterator[Tree]:
    """Every rooted tree of this many vertices, as the sorted tuple of what hangs below its root."""
    seen = set()

    def forests(size: int) -> Iterator[Tree]:
        if size == 0:
            yield ()
            return
        for first in range(1, size + 1):
            for tree, rest in itertools.product(rooted_trees(first), forests(size - first)):
                yield tuple(sorted((tree, *rest)))

    for forest in forests(order - 1):
        if forest not in seen:
            seen.add(forest)
            yield forest


def size(tree: Tree) -> int:
    return 1 + sum(map(size, tree))


def density(tree: Tree) -> int:
    return size(tree) * math.prod(map(density, tree))


def elementary_weights(tree: Tree, A: np.ndarray) -> np.ndarray:
    """Butcher's Phi_i(t): prod over the subtrees of (A Phi(t_j))_i."""
    product = np.ones(len(A))
    for branch in tree:
        product = product * (A @ elementary_weights(branch, A))
    return product


def butcher(tableau: Tableau) -> tuple[np.ndarray, np.ndarray]:
    stages = tableau.n_stages
    A = np.zeros((stages, stages))
    for i, row in enumerate(tableau.a, start=1):
        A[i, : len(row)] = row
    return A, A[-1].copy()


def defect(weights: np.ndarray, A: np.ndarray, order: int) -> float:
    return max(abs(weights @ elementary_weights(t, A) - 1 / density(t)) for t in rooted_trees(order))


def test_there_are_as_many_rooted_trees_as_cayley_counted() -> None:
    assert [len(list(rooted_trees(n))) for n in range(1, 7)] == [1, 1, 2, 4, 9, 20]


@TABLEAUX
def test_a_pair_meets_every_order_condition_of_its_order_and_no_more(tableau: Tableau) -> None:
    A, b = butcher(tableau)
    for order in range(1, tableau.order + 1):
        assert defect(b, A, order) < 1e-13
    assert defect(b, A, tableau.order + 1) > 1e-5


@TABLEAUX
def test_the_embedded_solution_is_one_order_lower(tableau: Tableau) -> None:
    A, b = butcher(tableau)
    embedded = b - np.array(tableau.error)
    for order in range(1, tableau.order):
        assert defect(embedded, A, order) < 1e-13
    assert defect(embedded, A, tableau.order) > 1e-5
    assert abs(sum(tableau.error)) < 1e-15


@TABLEAUX
def test_the_dense_output_meets_its_order_conditions_at_every_fraction(tableau: Tableau) -> None:
    A, _ = butcher(tableau)
    dense = np.array(tableau.dense)
    for theta in (0.05, 0.3, 0.5, 0.77, 1.0):
        weights = dense @ theta ** np.arange(1, dense.shape[1] + 1)
        for order in range(1, DENSE_ORDER[tableau.name] + 1):
            for tree in rooted_trees(order):
                exact = theta**order / density(tree)
                assert weights @ elementary_weights(tree, A) == pytest.approx(exact, abs=1e-13)


@TABLEAUX
def test_the_dense_output_joins_steps_with_their_slope(tableau: Tableau) -> None:
    _, b = butcher(tableau)
    dense = np.array(tableau.dense)
    powers = np.arange(1, dense.shape[1] + 1)
    first, last = np.eye(tableau.n_stages)[0], np.eye(tableau.n_stages)[-1]
    np.testing.assert_allclose(dense.sum(1), b, atol=1e-13)
    np.testing.assert_allclose(dense[:, 0], first, atol=1e-13)
    np.testing.assert_allclose(dense @ powers, last, atol=1e-12)


def test_bogacki_and_shampine_are_quoted_exactly() -> None:
    assert BOSH3.a == ((0.5,), (0.0, 0.75), (2 / 9, 1 / 3, 4 / 9))
    embedded = [float(Fraction(*f)) for f in ((7, 24), (1, 4), (1, 3), (1, 8))]
    np.testing.assert_allclose(np.array([2 / 9, 1 / 3, 4 / 9, 0]) - BOSH3.error, embedded, atol=1e-16)


STEPPERS = {
    "tsit5": (lambda: RungeKutta(TSIT5), 5),
    "bosh3": (lambda: RungeKutta(BOSH3), 3),
    "rodas5p": (lambda: Rosenbrock(RODAS5P, tol=1e-10), 5),
    "auto": (lambda: Switching(RungeKutta(TSIT5), lambda: Rosenbrock(RODAS5P, tol=1e-10), SettleOptions()), 5),
}
EVERY = pytest.mark.parametrize("name", STEPPERS)


def stepper_of(name: str) -> Stepper:
    return STEPPERS[name][0]()


def walk(stepper: Stepper, core: Core, u: torch.Tensor, z: torch.Tensor, h: float, steps: int) -> torch.Tensor:
    """Equal steps, all accepted; the energy they saw."""
    stepper.begin(core, core.drive(u), z.clone())
    energy = torch.zeros(z.shape[0], len(core.power_terms), dtype=torch.float64)
    step = torch.full((z.shape[0],), h, dtype=torch.float64)
    for _ in range(steps):
        stepper.attempt(step)
        energy += stepper.energy_of_step(step)
        stepper.accept(torch.ones(z.shape[0], dtype=torch.bool))
    return energy


@EVERY
@pytest.mark.parametrize("spread", [False, True], ids=["equal tau", "tau spread"])
def test_the_error_falls_with_the_claimed_order(name: str, spread: bool) -> None:
    taus = tensor([1.0, 0.5, 0.8, 1.0]) if spread else 1.0
    core = random_core(4, seed=1, radius=1.2, tau_s=taus)
    u, z = random_inputs(1, 3, seed=1), tensor([[0.9, -0.4, 0.2, -0.8]])
    b = (core.U @ u[0] + core.b).numpy()
    exact = trajectory(core.W.numpy(), z[0], 2.0, b=b, taus=taus if not spread else taus.numpy())(2.0)
    errors = []
    for steps in (10, 20, 40):
        stepper = stepper_of(name)
        walk(stepper, core, u, z, 2.0 / steps, steps)
        errors.append(np.abs(stepper.z[0].numpy() - exact).max())
    order = STEPPERS[name][1]
    for coarse, fine in itertools.pairwise(errors):
        assert order - 0.4 < math.log2(coarse / fine) < order + 1.3


@EVERY
def test_energies_converge_at_least_at_third_order(name: str) -> None:
    placed = chip(random_core(4, seed=1, radius=1.2))
    u, z = random_inputs(1, 3, seed=1), tensor([[0.9, 0.7, 0.8, 0.9]])
    nodal = Nodal.of(placed, u[0], z0=z[0], duration_tau=60)
    exact = nodal.energies_J(0.5 * placed.tau_s)
    errors = []
    for steps in (2, 4, 8):  # more of them meet the oracle's own error, 2e-11
        energy = walk(stepper_of(name), placed, u, z, 0.5 / steps, steps)[0] * placed.tau_s
        errors.append(
            [abs(float(energy[k]) / exact[term] - 1) for k, term in enumerate(("crossbar", "feedback", "node"))]
        )
    for coarse, fine in itertools.pairwise(np.array(errors)):
        assert (np.log2(coarse / fine) > 2.5).all()


@EVERY
def test_the_estimate_of_the_local_error_is_of_the_size_of_the_error(name: str) -> None:
    core = random_core(4, seed=2, radius=1.2, tau_s=1.0)
    u, z = random_inputs(1, 3, seed=1), tensor([[0.9, -0.4, 0.2, -0.8]])
    exact = trajectory(core.W.numpy(), z[0], 1.0, b=(core.U @ u[0] + core.b).numpy())
    for h in (0.5, 0.25, 0.125):
        stepper = stepper_of(name)
        stepper.begin(core, core.drive(u), z.clone())
        estimate = float(stepper.attempt(tensor([h])))
        true = np.abs(stepper.z_new[0].numpy() - exact(h)).max()
        assert 0.2 * true < estimate < 1e4 * true


@EVERY
@pytest.mark.parametrize("spread", [False, True], ids=["equal tau", "tau spread"])
def test_the_dense_output_follows_the_trajectory_inside_a_step(name: str, spread: bool) -> None:
    taus = tensor([1.0, 0.5, 0.8, 1.0]) if spread else 1.0
    core = random_core(4, seed=1, radius=1.2, tau_s=taus)
    u, z = random_inputs(2, 3, seed=1), tensor([[0.9, -0.4, 0.2, -0.8], [0.0, 0.1, 0.0, 0.5]])
    stepper = stepper_of(name)
    stepper.begin(core, core.drive(u), z.clone())
    h = tensor([0.2, 0.1])
    stepper.attempt(h)
    theta = tensor([[0.0, 0.3, 0.5, 0.8, 1.0], [0.0, 0.1, 0.25, 0.9, 1.0]])
    states = stepper.segment(torch.tensor([1, 0]), h).states(theta).flip(0)
    for k in range(2):
        b = (core.U @ u[k] + core.b).numpy()
        exact = trajectory(core.W.numpy(), z[k], 0.3, b=b, taus=1.0 if not spread else taus.numpy())
        np.testing.assert_allclose(states[k].numpy(), exact(theta.flip(0)[k].numpy() * float(h[k])).T, atol=1e-3)
        np.testing.assert_allclose(states[k, 0].numpy(), z[k].numpy(), atol=1e-15)
        np.testing.assert_allclose(states[k, -1].numpy(), stepper.z_new[k].numpy(), atol=1e-13)


@EVERY
def test_energy_inside_a_step_grows_from_nothing_to_the_energy_of_the_step(name: str) -> None:
    placed = chip(random_core(4, seed=1))
    u, z = random_inputs(3, 3, seed=1), torch.rand(3, 4, dtype=torch.float64)
    stepper = stepper_of(name)
    stepper.begin(placed, placed.drive(u), z.clone())
    h = tensor([0.2, 0.1, 0.4])
    stepper.attempt(h)
    theta = torch.linspace(0, 1, 9, dtype=torch.float64).expand(3, -1)
    energies = stepper.segment(torch.arange(3), h).energies(theta)
    assert torch.equal(energies[:, 0], torch.zeros(3, 4, dtype=torch.float64))
    torch.testing.assert_close(energies[:, -1], stepper.energy_of_step(h), rtol=1e-12, atol=0)
    assert bool((energies.diff(dim=1) > 0).all())
    for k in range(3):
        nodal = Nodal.of(placed, u[k], z0=z[k], duration_tau=1)
        exact = nodal.energies_J(0.5 * float(h[k]) * placed.tau_s)
        for term, name_ in enumerate(placed.power_terms):
            assert float(energies[k, 4, term]) * placed.tau_s == pytest.approx(
                exact[name_], rel=ENERGY_INSIDE.get(name, 2e-3), abs=0
            )


@EVERY
def test_accepting_some_lanes_leaves_the_others_where_they_were(name: str) -> None:
    placed = chip(random_core(4, seed=1))
    u, z = random_inputs(3, 3, seed=1), torch.rand(3, 4, dtype=torch.float64)
    stepper = stepper_of(name)
    stepper.begin(placed, placed.drive(u), z.clone())
    before = stepper.dz.clone()
    h = tensor([0.2, 0.1, 0.4])
    stepper.attempt(h)
    gained = stepper.energy_of_step(h)
    after = stepper.z_new.clone(), stepper.dz_new.clone()
    stepper.accept(torch.tensor([True, False, True]))
    assert torch.equal(stepper.z[1], z[1])
    assert torch.equal(stepper.dz[1], before[1])
    for row in (0, 2):
        assert torch.equal(stepper.z[row], after[0][row])
        assert torch.equal(stepper.dz[row], after[1][row])
    stepper.attempt(h)  # tried again from where it is, the lane that stayed gains the same energy
    torch.testing.assert_close(stepper.energy_of_step(h)[1], gained[1], rtol=1e-12, atol=0)


@EVERY
def test_keeping_and_restarting_lanes_changes_no_other_lane(name: str) -> None:
    placed = chip(random_core(4, seed=1, tau_s=tensor([1.0, 0.3, 0.5, 1.0])))
    u, z = random_inputs(4, 3, seed=1), torch.rand(4, 4, dtype=torch.float64)
    one, other = stepper_of(name), stepper_of(name)
    rows = torch.tensor([0, 2, 3])
    one.begin(placed, placed.drive(u), z.clone())
    other.begin(placed, placed.drive(u[rows]), z[rows].clone())
    h = tensor([0.2, 0.1, 0.4, 0.3])
    one.attempt(h)
    one.accept(torch.ones(4, dtype=torch.bool))
    one.keep(rows)
    one.restart(torch.tensor([1]), z[2:3])
    other.attempt(h[rows])
    other.accept(torch.tensor([True, False, True]))
    for _ in range(2):
        torch.testing.assert_close(one.attempt(h[rows]), other.attempt(h[rows]), rtol=1e-9, atol=1e-15)
        torch.testing.assert_close(one.z_new, other.z_new, rtol=1e-12, atol=1e-15)
        torch.testing.assert_close(one.energy_of_step(h[rows]), other.energy_of_step(h[rows]), rtol=1e-10, atol=0)
        for stepper in (one, other):
            stepper.accept(torch.ones(3, dtype=torch.bool))


@EVERY
def test_begin_does_not_write_into_the_callers_inputs(name: str) -> None:
    core = random_core(4, seed=1)
    u, z = random_inputs(2, 3, seed=1), torch.rand(2, 4, dtype=torch.float64)
    drive = core.drive(u)
    current = drive.current.clone()
    stepper = stepper_of(name)
    stepper.begin(core, drive, z.clone())
    for _ in range(3):
        stepper.attempt(tensor([0.1, 0.2]))
        stepper.accept(torch.tensor([True, False]))
    assert torch.equal(drive.current, current)


def test_a_step_that_erred_by_its_tolerance_is_followed_by_a_slightly_shorter_one() -> None:
    h, one = tensor([1.0]), tensor([1.0])
    assert float(next_step(h, one, one, 5)) == pytest.approx(0.9)


@pytest.mark.parametrize("order", [3, 4, 5])
@pytest.mark.parametrize("ratio", [0.0, 1e-8, 1e-3, 0.5, 1.0, 3.0, 1e5, math.inf, math.nan])
def test_the_next_step_is_sane_whatever_the_error(order: int, ratio: float) -> None:
    accepted = ratio <= 1
    for before in (0.0, 1e-6, 0.5, 1.0):
        factor = float(next_step(tensor([1.0]), tensor([ratio]), tensor([before]), order))
        assert 0.2 <= factor <= 5.0
        if not accepted:
            assert factor < 1.0


def test_a_larger_error_never_asks_for_a_longer_step() -> None:
    ratios = tensor(np.geomspace(1e-6, 1e6, 200))
    steps = next_step(torch.ones_like(ratios), ratios, torch.ones_like(ratios), 5)
    assert bool((steps.diff() <= 0).all())


def test_each_lanes_step_depends_on_that_lane_only() -> None:
    ratio, before, h = (tensor(np.random.default_rng(k).uniform(0.01, 3, 9)) for k in range(3))
    together = next_step(h, ratio, before, 5)
    for k in range(9):
        row = slice(k, k + 1)
        assert torch.equal(together[row], next_step(h[row], ratio[row], before[row], 5))


def test_a_slow_decay_gives_each_step_a_smaller_share_of_the_tolerance() -> None:
    share = error_share(tensor([1.0, 0.05, 0.0, 4.0]), tensor([1.0, 1.0, 1.0, 1.0]))
    assert share.tolist() == pytest.approx([1.0, 0.1, 2e-3, 0.25])
