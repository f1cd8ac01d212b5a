"""The linearly implicit stepper by itself: order conditions, stability, stiff accuracy, linear systems, energies."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from analogdeq.cores.core import Core
from analogdeq.solve import rosenbrock, stage_system
from analogdeq.solve.predictive_controller import AHEAD, next_step
from analogdeq.solve.quadrature import LOBATTO
from analogdeq.solve.rodas5p import RODAS5P
from analogdeq.solve.rosenbrock import Rosenbrock
from analogdeq.solve.rosenbrock_tableau import RosenbrockTableau
from analogdeq.solve.runge_kutta import RungeKutta
from analogdeq.solve.settle import settle
from analogdeq.solve.tsit5 import TSIT5
from helpers import Array, Nodal, chip, plain_core, random_core, random_inputs, tensor

Tree = tuple["Tree", ...]
TABLEAU = pytest.mark.parametrize("tableau", [RODAS5P], ids=lambda t: t.name)


class Method:
    """A tableau in the variables of its order conditions: alpha, beta = alpha + Gamma, b (Hairer and Wanner IV.7)."""

    def __init__(self, tableau: RosenbrockTableau) -> None:
        s = tableau.n_stages
        a, c = np.zeros((s, s)), np.zeros((s, s))
        for i, (row_a, row_c) in enumerate(zip(tableau.a, tableau.c, strict=True), start=1):
            a[i, : len(row_a)], c[i, : len(row_c)] = row_a, row_c
        gamma = np.linalg.inv(np.eye(s) / tableau.gamma - c)
        self.alpha, self.beta = a @ gamma, a @ gamma + gamma
        self.m = a[-1].copy()
        self.m[-1] = 1.0
        self.b, self.embedded = self.m @ gamma, a[-1] @ gamma
        self._gamma, self._dense = gamma, np.array(tableau.dense)

    def dense(self, theta: float) -> Array:
        bend = theta ** np.arange(len(self._dense)) @ self._dense
        weights: Array = (theta * self.m + theta * (1 - theta) * bend) @ self._gamma
        return weights

    def weights(self, tree: Tree) -> Array:
        """A vertex with one branch sums with beta, one with more with alpha, for only the Jacobian is implicit."""
        if len(tree) == 1:
            return self.beta @ self.weights(tree[0])
        product = np.ones(len(self.b))
        for branch in tree:
            product = product * (self.alpha @ self.weights(branch))
        return product

    def defect(self, b: Array, order: int, theta: float = 1.0) -> float:
        return max(abs(b @ self.weights(t) - theta**order / density(t)) for t in rooted_trees(order))

    def growth(self, z: complex, b: Array) -> complex:
        """R(z): what a step of the linear equation dz/ds = lambda z multiplies the state by, z = h lambda."""
        s = len(b)
        return complex(1 + z * b @ np.linalg.solve(np.eye(s) - z * self.beta, np.ones(s)))


def rooted_trees(order: int) -> Iterator[Tree]:
    """Every rooted tree of this many vertices, as the sorted tuple of what hangs below its root."""
    if order == 1:
        yield ()
        return
    seen = set()
    for smaller in rooted_trees(order - 1):
        for grown in _with_one_more_leaf(smaller):
            if grown not in seen:
                seen.add(grown)
                yield grown


def _with_one_more_leaf(tree: Tree) -> Iterator[Tree]:
    yield tuple(sorted((*tree, ())))
    for k, branch in enumerate(tree):
        for grown in _with_one_more_leaf(branch):
            yield tuple(sorted((*tree[:k], grown, *tree[k + 1 :])))


def size(tree: Tree) -> int:
    return 1 + sum(map(size, tree))


def density(tree: Tree) -> int:
    return size(tree) * math.prod(map(density, tree))


def walk(stepper: Rosenbrock, core: Core, u: torch.Tensor, z: torch.Tensor, end: float, steps: int) -> torch.Tensor:
    """Equal steps, all accepted; the energy they saw."""
    stepper.begin(core, core.drive(u), z.clone())
    energy = torch.zeros(z.shape[0], len(core.power_terms), dtype=torch.float64)
    h = torch.full((z.shape[0],), end / steps, dtype=torch.float64)
    for _ in range(steps):
        stepper.attempt(h)
        energy += stepper.energy_of_step(h)
        stepper.accept(torch.ones(z.shape[0], dtype=torch.bool))
    return energy


def stepper(tol: float = 1e-12) -> Rosenbrock:
    return Rosenbrock(RODAS5P, tol=tol)


def test_there_are_as_many_rooted_trees_as_cayley_counted() -> None:
    assert [len(list(rooted_trees(n))) for n in range(1, 7)] == [1, 1, 2, 4, 9, 20]


@TABLEAU
def test_the_method_meets_every_order_condition_of_its_order_and_no_more(tableau: RosenbrockTableau) -> None:
    method = Method(tableau)
    for order in range(1, tableau.order + 1):
        assert method.defect(method.b, order) < 1e-13
    assert method.defect(method.b, tableau.order + 1) > 1e-4


@TABLEAU
def test_its_embedded_solution_is_one_order_lower(tableau: RosenbrockTableau) -> None:
    method = Method(tableau)
    for order in range(1, tableau.order):
        assert method.defect(method.embedded, order) < 1e-13
    assert method.defect(method.embedded, tableau.order) > 1e-4


@TABLEAU
@pytest.mark.parametrize("theta", [0.05, 0.3, 0.5, 0.77])
def test_its_dense_output_is_one_order_lower_at_every_fraction(tableau: RosenbrockTableau, theta: float) -> None:
    method = Method(tableau)
    for order in range(1, tableau.order):
        assert method.defect(method.dense(theta), order, theta) < 5e-14
    assert method.defect(method.dense(theta), tableau.order, theta) > 1e-6


@TABLEAU
def test_both_solutions_are_stiffly_accurate_and_l_stable(tableau: RosenbrockTableau) -> None:
    method = Method(tableau)
    np.testing.assert_allclose(method.beta[-1], method.b, atol=1e-12)
    np.testing.assert_allclose(method.beta[-2], method.embedded, atol=1e-12)
    for b in (method.b, method.embedded):
        assert abs(method.growth(-1e10, b)) < 1e-8
        # No pole in the left half plane, so the maximum modulus is on its border.
        assert max(abs(method.growth(1j * y, b)) for y in np.geomspace(1e-3, 1e6, 3000)) <= 1 + 1e-12


def test_a_method_with_one_digit_changed_fails_its_order_conditions() -> None:
    (first, *rest) = RODAS5P.c
    broken = RosenbrockTableau(
        name="broken", order=5, gamma=RODAS5P.gamma, a=RODAS5P.a, c=((first[0] + 1e-6,), *rest), dense=RODAS5P.dense
    )
    assert Method(broken).defect(Method(broken).b, 2) > 1e-9


@pytest.mark.parametrize("dense", [True, False], ids=["LU", "GMRES"])
def test_a_linear_circuit_follows_its_matrix_exponential_at_fifth_order(
    monkeypatch: pytest.MonkeyPatch, dense: bool
) -> None:
    if not dense:
        monkeypatch.setattr(stage_system, "LARGEST_DENSE", 0)
    W = np.random.default_rng(3).normal(size=(5, 5)) * 0.4
    taus = np.array([1.0, 0.5, 0.2, 1.0, 0.7])
    core = plain_core(W, activation="identity", tau_s=tensor(taus))
    z = np.array([0.9, -0.4, 0.2, -0.8, 0.5])
    exact = expm(2.0 * (W - np.eye(5)) / taus[:, None]) @ z
    errors = []
    for steps in (8, 16, 32):
        one = stepper()
        walk(one, core, tensor(np.zeros((1, 5))), tensor(z[None]), 2.0, steps)
        errors.append(np.abs(one.z[0].numpy() - exact).max())
    for coarse, fine in itertools.pairwise(errors):
        assert 4.5 < math.log2(coarse / fine) < 6.0


def test_a_fast_node_that_follows_a_slow_one_costs_no_accuracy_however_fast_it_is() -> None:
    """The circuit's form of the test of Prothero and Robinson: the fast node lies on tanh of a moving slow one."""
    W = np.array([[0.3, 0.8], [1.5, 0.0]])
    start, errors = [0.9, math.tanh(1.5 * 0.9)], {}
    for rate in (1e2, 1e4, 1e6):
        core = plain_core(W, tau_s=tensor([1.0, 1 / rate]))
        answer = solve_ivp(
            lambda _s, z, r=rate: np.array([1.0, r]) * (np.tanh(W @ z) - z), (0, 2.0), start, method="Radau",
            rtol=1e-12, atol=1e-14,
        )  # fmt: skip
        errors[rate] = []
        for steps in (2, 4, 8, 16):
            one = stepper()
            walk(one, core, tensor([[0.0, 0.0]]), tensor([start]), 2.0, steps)
            errors[rate].append(np.abs(one.z[0].numpy() - answer.y[:, -1]).max())
    for found in errors.values():
        assert found[0] < 3e-3
        assert all(math.log2(coarse / fine) > 2.7 for coarse, fine in itertools.pairwise(found[:3]))
    assert errors[1e6][1] < 3 * errors[1e2][1]


def test_a_step_far_beyond_a_fast_transient_damps_it_and_its_error_estimate() -> None:
    core = plain_core([[0.0, 0.0], [0.0, 0.0]], tau_s=tensor([1.0, 1e-6]))
    one = stepper()
    z = tensor([[0.0, 1e-3]])
    one.begin(core, core.drive(tensor([[0.0, 0.0]])), z.clone())
    error = one.attempt(tensor([1.0]))
    assert abs(one.z_new[0, 1].item()) < 2e-8
    assert error.item() < 1e-7


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_factorised_and_matrix_free_steps_are_the_same_to_the_tolerance_of_the_solver(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    taus = tensor(np.geomspace(1e-4, 1.0, 24))
    core, u = random_core(24, seed=5, tau_s=taus, dtype=dtype), random_inputs(6, 3, seed=5, dtype=dtype)
    z, h = torch.zeros(6, 24, dtype=dtype), tensor(np.geomspace(1e-5, 3.0, 6))
    tol = 1e-5 if dtype is torch.float32 else 1e-12
    found = []
    for largest in (256, 0):
        monkeypatch.setattr(stage_system, "LARGEST_DENSE", largest)
        one = stepper(tol)
        one.begin(core, core.drive(u), z.clone())
        error = one.attempt(h)
        assert bool(torch.isfinite(error).all())
        found.append((one.z_new.clone(), one.evaluations.clone()))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=300 * tol)
    assert bool((found[1][1] > found[0][1]).all())
    assert found[0][1].tolist() == [9] * 6


def test_large_circuits_settle_matrix_free_as_they_do_factorised(monkeypatch: pytest.MonkeyPatch) -> None:
    core = random_core(40, seed=7, tau_s=1e-8 * tensor(np.geomspace(1e-3, 1.0, 40)))
    u = random_inputs(3, 3, seed=7)
    dense = settle(core, u, method="rodas5p")
    monkeypatch.setattr(stage_system, "LARGEST_DENSE", 0)
    free = settle(core, u, method="rodas5p")
    torch.testing.assert_close(free.t_settle_s, dense.t_settle_s, rtol=1e-4, atol=0)
    torch.testing.assert_close(free.z, dense.z, rtol=0, atol=1e-6)
    assert free.steps.tolist() == pytest.approx(dense.steps.tolist(), abs=1)
    assert bool((free.evaluations > dense.evaluations).all())


def test_a_tolerance_below_rounding_is_not_asked_of_gmres(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_system, "LARGEST_DENSE", 0)
    core = random_core(20, seed=7, tau_s=tensor(np.geomspace(1e-2, 1.0, 20)), dtype=torch.float32)
    out = settle(core, random_inputs(2, 3, seed=7, dtype=torch.float32), method="rodas5p", rtol=1e-6)
    assert bool(out.is_settled.all())


def test_stages_that_gmres_cannot_solve_reject_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_system, "LARGEST_DENSE", 0)
    monkeypatch.setattr(stage_system, "MAX_PRODUCTS", 2)
    core, u = random_core(30, seed=1, radius=1.5), random_inputs(2, 3, seed=1)
    one = stepper()
    one.begin(core, core.drive(u), torch.zeros(2, 30, dtype=torch.float64))
    assert one.attempt(tensor([2.0, 2.0])).tolist() == [math.inf, math.inf]


def test_lanes_stepped_in_groups_do_what_they_do_together(monkeypatch: pytest.MonkeyPatch) -> None:
    core, u = random_core(12, seed=2, tau_s=tensor(np.geomspace(1e-2, 1, 12))), random_inputs(7, 3, seed=2)
    whole = settle(core, u, method="rodas5p")
    monkeypatch.setattr(rosenbrock, "MATRIX_ENTRIES", 3 * 12 * 12)
    parts = settle(core, u, method="rodas5p")
    torch.testing.assert_close(parts.t_settle_s, whole.t_settle_s, rtol=1e-9, atol=0)
    assert torch.equal(parts.steps, whole.steps)
    assert torch.equal(parts.evaluations, whole.evaluations)


def test_a_step_too_long_to_see_an_instability_grow_is_rejected() -> None:
    """At 0 the first node leaves at e^s; beyond 1/gamma = 4.7 tau an implicit step would fling it to the other side."""
    core = plain_core([[2.0, 0.0], [0.0, 0.5]])
    for h, seen in ((4.0, True), (5.0, False), (50.0, False)):
        one = stepper()
        one.begin(core, core.drive(tensor([[0.0, 0.0]])), tensor([[1e-9, 0.0]]))
        assert math.isfinite(one.attempt(tensor([h])).item()) is seen


def test_joules_of_every_term_converge_at_fourth_order_or_better() -> None:
    placed = chip(random_core(4, seed=1, radius=1.2))
    u, z = random_inputs(1, 3, seed=1), tensor([[0.9, 0.7, 0.8, 0.9]])
    exact = Nodal.of(placed, u[0], z0=z[0], duration_tau=60).energies_J(1.0 * placed.tau_s)
    errors = []
    for steps in (2, 4, 8):
        energy = walk(stepper(), placed, u, z, 1.0, steps)[0] * placed.tau_s
        errors.append([abs(float(energy[k]) / exact[t] - 1) for k, t in enumerate(("crossbar", "feedback", "node"))])
    for coarse, fine in itertools.pairwise(np.array(errors)):
        assert (np.log2(coarse / fine) > 3.7).all()


def test_the_estimated_error_of_the_joules_bounds_the_true_one() -> None:
    placed = chip(random_core(4, seed=1, radius=1.2))
    u, z = random_inputs(1, 3, seed=1), tensor([[0.9, 0.7, 0.8, 0.9]])
    nodal = Nodal.of(placed, u[0], z0=z[0], duration_tau=60)
    for h in (1.0, 0.5, 0.25):
        one = stepper()
        one.begin(placed, placed.drive(u), z.clone())
        one.attempt(tensor([h]))
        exact = nodal.energies_J(h * placed.tau_s)
        estimate, energy = one.energy_error(tensor([h]))[0], one.energy_of_step(tensor([h]))[0]
        for k, term in enumerate(("crossbar", "feedback", "node")):
            true = abs(float(energy[k]) - exact[term] / placed.tau_s)
            assert true < float(estimate[k]) < 0.1 * float(energy[k])


def test_lobatto_quadrature_is_the_published_rule_and_its_parts_are_integrals() -> None:
    np.testing.assert_allclose(LOBATTO.weights, [1 / 12, 5 / 12, 5 / 12, 1 / 12], atol=1e-15)
    x = np.array(LOBATTO.points)
    for degree in range(6):
        assert LOBATTO.weights @ x**degree == pytest.approx(1 / (degree + 1), abs=1e-15)
    for theta in (0.0, 0.2, 0.7, 1.0):
        weights = LOBATTO.partial @ theta ** np.arange(1, 5)
        for degree in range(4):
            assert weights @ x**degree == pytest.approx(theta ** (degree + 1) / (degree + 1), abs=1e-15)
    for degree in range(3):
        assert LOBATTO.error @ x**degree == pytest.approx(0.0, abs=1e-15)
    assert abs(LOBATTO.error @ x**3) > 1e-3


def test_the_controller_keeps_up_with_steps_that_grow_in_proportion_to_time() -> None:
    """An error of c (h / s)^5 at time s, as in the decades of a spread."""
    s, h, before, h_before, ratios = 1.0, 0.1, tensor([1.0]), tensor([0.0]), []
    for _ in range(30):
        ratio = tensor([(h / s / 0.4) ** 5])
        step = next_step(tensor([h]), h_before, ratio, before, 5).item()
        if bool(ratio <= 1):
            s, before, h_before = s + h, ratio, tensor([h])
            ratios.append(ratio.item())
        h = step
    assert 0.15 < np.median(ratios[-20:]) < 1.0
    assert len(ratios) >= 28


@pytest.mark.parametrize("ratio", [0.0, 1e-8, 1e-3, 0.5, 1.0, 3.0, 1e5, math.inf, math.nan])
def test_the_next_implicit_step_is_sane_whatever_the_error(ratio: float) -> None:
    for before, h_before in itertools.product((0.0, 1e-6, 1.0), (0.0, 1e-9, 1.0, 1e9)):
        factor = next_step(tensor([1.0]), tensor([h_before]), tensor([ratio]), tensor([before]), 5).item()
        assert 0.2 <= factor <= 5.0
        if not ratio <= 1:
            assert factor < 1.0
    assert AHEAD > 1


@pytest.mark.parametrize("rtol", [1e-3, 1e-4])
def test_single_precision_takes_the_steps_of_double(rtol: float) -> None:
    """Rounding raises the error estimate near rest; steps must go on growing."""
    taus = tensor(np.geomspace(1e-4, 1.0, 32))
    steps = {}
    for dtype in (torch.float32, torch.float64):
        core, u = random_core(32, seed=4, tau_s=taus, dtype=dtype), random_inputs(4, 3, seed=4, dtype=dtype)
        out = settle(core, u, method="rodas5p", rtol=rtol)
        assert bool(out.is_settled.all())
        steps[dtype] = out.steps.double().mean().item()
    assert steps[torch.float32] < 1.3 * steps[torch.float64]


def test_explicit_and_implicit_dense_outputs_agree_inside_a_step() -> None:
    core, u = random_core(6, seed=3, radius=1.1), random_inputs(2, 3, seed=3)
    z, h = tensor(np.random.default_rng(0).uniform(-1, 1, (2, 6))), tensor([0.1, 0.05])
    theta = torch.linspace(0, 1, 9, dtype=torch.float64).expand(2, -1)
    states = []
    for one in (stepper(), RungeKutta(TSIT5)):
        one.begin(core, core.drive(u), z.clone())
        one.attempt(h)
        states.append(one.segment(torch.arange(2), h).states(theta))
    torch.testing.assert_close(*states, rtol=0, atol=1e-6)
