"""(I - J) x = y by three methods, against numpy and published answers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from analogdeq.linalg.dense import solve_dense
from analogdeq.linalg.fixed_point import solve_fixed_point
from analogdeq.linalg.gmres import solve_gmres
from analogdeq.linalg.lu import LU
from analogdeq.linalg.system import LinearSolution, relative, row_norm
from helpers import tensor

Solver = Callable[[Tensor, Tensor], LinearSolution]


def matvec(J: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda v: torch.einsum("bij,bj->bi", J, v)


def by_gmres(J: Tensor, y: Tensor) -> LinearSolution:
    return solve_gmres(matvec(J), y, tol=1e-12, max_iter=200)


def by_fixed_point(J: Tensor, y: Tensor) -> LinearSolution:
    return solve_fixed_point(matvec(J), y, tol=1e-12, max_iter=2000)


SOLVERS = pytest.mark.parametrize(
    "solve", [by_gmres, by_fixed_point, solve_dense], ids=["gmres", "fixed-point", "dense"]
)


def random_systems(batch: int, n: int, *, radius: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Non-symmetric J of the given spectral radius, and right-hand sides of very different sizes."""
    rng = np.random.default_rng(seed)
    J = rng.normal(size=(batch, n, n))
    J *= radius / np.abs(np.linalg.eigvals(J)).max(1)[:, None, None]
    y = rng.normal(size=(batch, n)) * 10.0 ** rng.integers(-12, 12, (batch, 1))
    return tensor(J), tensor(y)


def exact(J: Tensor, y: Tensor) -> np.ndarray:
    return np.stack([np.linalg.solve(np.eye(len(b)) - a, b) for a, b in zip(J.numpy(), y.numpy(), strict=True)])


def relative_error(x: Tensor, reference: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x.numpy() - reference, axis=1) / np.linalg.norm(reference, axis=1)


@SOLVERS
@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_every_solver_finds_the_solution_of_numpy(solve: Solver, n: int) -> None:
    J, y = random_systems(6, n, radius=0.8)
    solution = solve(J, y)
    assert relative_error(solution.x, exact(J, y)).max() < 1e-9
    assert float(solution.relative_residual.max()) <= 1e-12


@SOLVERS
def test_the_reported_residual_is_the_true_one(solve: Solver) -> None:
    J, y = random_systems(5, 12, radius=0.7)
    solution = solve(J, y)
    true = np.linalg.norm(y.numpy() - solution.x.numpy() + np.einsum("bij,bj->bi", J, solution.x), axis=1)
    true /= np.linalg.norm(y.numpy(), axis=1)
    np.testing.assert_allclose(solution.relative_residual.numpy(), true, atol=5e-15)


@SOLVERS
def test_the_system_of_the_silva_tests_has_its_published_solution(solve: Solver) -> None:
    """P3: A = [[.2, .1], [.05, .25]], s = (1, -.5)."""
    solution = solve(tensor([[[0.2, 0.1], [0.05, 0.25]]]), tensor([[1.0, -0.5]]))
    torch.testing.assert_close(solution.x, tensor([[1.176470588235294, -0.588235294117647]]), rtol=1e-11, atol=0)


def test_gmres_solves_the_system_of_the_silva_tests_in_at_most_four_products() -> None:
    """P4: [[3, 1], [.5, 2]] v = (1, -1)."""
    A = tensor([[[3.0, 1.0], [0.5, 2.0]]])
    solution = solve_gmres(matvec(torch.eye(2, dtype=torch.float64) - A), tensor([[1.0, -1.0]]), tol=1e-12, max_iter=20)
    torch.testing.assert_close(solution.x, tensor([[6 / 11, -7 / 11]]), rtol=1e-12, atol=0)
    assert int(solution.iterations) <= 4


@SOLVERS
def test_a_zero_right_hand_side_has_the_zero_solution_and_no_residual(solve: Solver) -> None:
    J, y = random_systems(3, 5, radius=0.8)
    y[1] = 0.0
    solution = solve(J, y)
    assert torch.equal(solution.x[1], torch.zeros(5, dtype=torch.float64))
    assert float(solution.relative_residual[1]) == 0.0
    assert relative_error(solution.x[[0, 2]], exact(J[[0, 2]], y[[0, 2]])).max() < 1e-9


@SOLVERS
def test_without_feedback_the_solution_is_the_right_hand_side(solve: Solver) -> None:
    y = torch.randn(4, 6, dtype=torch.float64)
    torch.testing.assert_close(solve(torch.zeros(4, 6, 6, dtype=torch.float64), y).x, y, rtol=1e-14, atol=0)


@SOLVERS
def test_a_singular_system_is_reported_and_spoils_no_other(solve: Solver) -> None:
    J, y = random_systems(3, 4, radius=0.8)
    J[1] = torch.eye(4, dtype=torch.float64)
    solution = solve(J, y)
    assert float(solution.relative_residual[1]) > 0.1
    assert relative_error(solution.x[[0, 2]], exact(J[[0, 2]], y[[0, 2]])).max() < 1e-9
    assert float(solution.relative_residual[[0, 2]].max()) < 1e-11


@SOLVERS
def test_a_nan_in_one_system_is_reported_and_spoils_no_other(solve: Solver) -> None:
    J, y = random_systems(3, 4, radius=0.8)
    J[1, 0, 0] = torch.nan
    solution = solve(J, y)
    assert not float(solution.relative_residual[1]) < 1e-6
    assert relative_error(solution.x[[0, 2]], exact(J[[0, 2]], y[[0, 2]])).max() < 1e-9


@SOLVERS
def test_batching_changes_no_solution(solve: Solver) -> None:
    J, y = random_systems(8, 10, radius=0.9, seed=3)
    together = solve(J, y)
    for k in range(8):
        alone = solve(J[k : k + 1], y[k : k + 1])
        torch.testing.assert_close(together.x[k], alone.x[0], rtol=1e-8, atol=0)
        assert int(together.iterations[k]) == int(alone.iterations[0])


@SOLVERS
def test_single_precision_is_solved_to_single_precision(solve: Solver) -> None:
    J, y = random_systems(4, 10, radius=0.8)
    y = y / row_norm(y).unsqueeze(1)
    if solve is by_gmres:
        solution = solve_gmres(matvec(J.float()), y.float(), tol=1e-5, max_iter=200)
    elif solve is by_fixed_point:
        solution = solve_fixed_point(matvec(J.float()), y.float(), tol=1e-5, max_iter=200)
    else:
        solution = solve_dense(J.float(), y.float())
    assert solution.x.dtype == torch.float32
    assert relative_error(solution.x, exact(J, y)).max() < 1e-3
    assert float(solution.relative_residual.max()) <= 1e-5


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_gmres_solves_tiny_and_huge_right_hand_sides_alike(size: float) -> None:
    J, y = random_systems(2, 6, radius=0.8)
    y = size * y / row_norm(y).unsqueeze(1)
    for dtype, tol in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        solution = solve_gmres(matvec(J.to(dtype)), y.to(dtype), tol=tol, max_iter=60)
        assert relative_error(solution.x.double(), exact(J, y)).max() < 1e3 * tol


def test_gmres_ends_after_as_many_products_as_there_are_unknowns() -> None:
    for n in (1, 2, 5, 12):
        J, y = random_systems(3, n, radius=2.5, seed=n)
        solution = solve_gmres(matvec(J), y, tol=1e-9, max_iter=100)
        assert int(solution.iterations.max()) <= n
        assert relative_error(solution.x, exact(J, y)).max() < 1e-6


def with_singular_values_down_to_a_millionth() -> tuple[Tensor, Tensor]:
    """J with I - J of condition 1e6, of 24 unknowns: as many as fit into one Krylov space."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(24, 24)))[0] for _ in range(2))
    return tensor(np.eye(24) - left @ np.diag(np.logspace(0, -6, 24)) @ right)[None], tensor(rng.normal(size=(1, 24)))


def test_gmres_keeps_its_basis_orthogonal_where_the_system_is_badly_conditioned() -> None:
    J, y = with_singular_values_down_to_a_millionth()
    solution = solve_gmres(matvec(J), y, tol=1e-9, max_iter=200)
    assert int(solution.iterations) == 24
    assert float(solution.relative_residual) < 1e-9


def test_gmres_in_single_precision_reports_the_residual_that_is_left_and_not_the_recurrence() -> None:
    J, y = (t.float() for t in with_singular_values_down_to_a_millionth())
    solution = solve_gmres(matvec(J), y, tol=1e-5, max_iter=200)
    x = solution.x.double()
    true = (y.double() - x + matvec(J.double())(x)).norm() / y.double().norm()
    assert float(true) > 1e-4  # more than single precision can do, so a smaller figure would be made up
    assert float(solution.relative_residual) > 0.5 * float(true)


def test_gmres_converges_across_restarts() -> None:
    J, y = random_systems(4, 60, radius=0.8, seed=5)
    solution = solve_gmres(matvec(J), y, tol=1e-10, max_iter=600, restart=8)
    assert relative_error(solution.x, exact(J, y)).max() < 1e-7
    assert int(solution.iterations.min()) > 8


def test_gmres_minimises_the_residual_over_its_krylov_space() -> None:
    J, y = random_systems(1, 20, radius=0.95, seed=6)
    A = (torch.eye(20, dtype=torch.float64) - J)[0].numpy()
    columns, best = [y[0].numpy()], []
    for _ in range(6):
        krylov = np.stack(columns, 1) / np.linalg.norm(np.stack(columns, 1), axis=0)
        weights, *_ = np.linalg.lstsq(A @ krylov, y[0].numpy(), rcond=None)
        best.append(np.linalg.norm(y[0].numpy() - A @ krylov @ weights) / np.linalg.norm(y[0].numpy()))
        columns.append(A @ columns[-1])
    for k in range(1, 7):
        solution = solve_gmres(matvec(J), y, tol=1e-14, max_iter=k)
        assert float(solution.relative_residual) == pytest.approx(best[k - 1], rel=1e-6)
        assert int(solution.iterations) == k


def test_each_sample_counts_only_the_products_it_needed() -> None:
    easy, hard = torch.zeros(1, 10, 10, dtype=torch.float64), random_systems(1, 10, radius=0.9)[0]
    J, y = torch.cat((easy, hard)), torch.randn(2, 10, dtype=torch.float64)
    for solution in (by_gmres(J, y), by_fixed_point(J, y)):
        assert int(solution.iterations[0]) == 1
        assert int(solution.iterations[1]) > 5


def test_a_fixed_point_iteration_counts_to_its_bound() -> None:
    J, y = random_systems(1, 6, radius=0.9)
    solution = solve_fixed_point(matvec(J), y, tol=1e-12, max_iter=7)
    assert int(solution.iterations) == 7
    assert float(solution.relative_residual) > 1e-3


def test_a_fixed_point_iteration_is_the_neumann_series() -> None:
    J, y = random_systems(2, 5, radius=0.9)
    solution = solve_fixed_point(matvec(J), y, tol=1e-300, max_iter=4)
    term, total = y, y
    for _ in range(4):
        term = matvec(J)(term)
        total = total + term
    torch.testing.assert_close(solution.x, total, rtol=1e-12, atol=0)


@pytest.mark.parametrize("radius", [1.01, 1.5, 30.0])
def test_a_divergent_fixed_point_iteration_never_reports_a_small_residual(radius: float) -> None:
    J, y = random_systems(3, 6, radius=radius)
    solution = solve_fixed_point(matvec(J), y, tol=1e-8, max_iter=500)
    assert bool((solution.relative_residual > 1e-2).all())
    true = row_norm(y - solution.x + matvec(J)(solution.x)) / row_norm(y)
    finite = torch.isfinite(true) & torch.isfinite(solution.relative_residual)
    assert bool((true[finite] > 1e-2).all())


def test_a_right_hand_side_is_never_overwritten() -> None:
    J, y = random_systems(3, 5, radius=0.8)
    before = y.clone()
    for solve in (by_gmres, by_fixed_point, solve_dense):
        solve(J, y)
        assert torch.equal(y, before)


def test_a_relative_residual_divides_by_the_scale_and_zero_by_zero_is_zero() -> None:
    torch.testing.assert_close(relative(tensor([0.0, 2.0, 3.0]), tensor([0.0, 4.0, 1.0])), tensor([0.0, 0.5, 3.0]))


def test_a_factorised_batch_is_solved_as_numpy_does_and_knows_the_sign_of_its_determinants() -> None:
    matrices = np.random.default_rng(4).normal(size=(40, 5, 5))
    y = np.random.default_rng(5).normal(size=(40, 5))
    lu = LU(tensor(matrices))
    np.testing.assert_allclose(lu.solve(tensor(y)).numpy(), np.linalg.solve(matrices, y[..., None])[..., 0], rtol=1e-8)
    signs = np.sign(np.linalg.det(matrices))
    assert {-1.0, 1.0} == set(signs)
    np.testing.assert_array_equal(lu.sign().numpy(), signs)
    assert bool(lu.is_regular.all())


def test_a_singular_matrix_in_a_factorised_batch_spoils_no_other() -> None:
    matrices = tensor([[[1.0, 2.0], [2.0, 4.0]], [[0.0, 1.0], [2.0, 0.0]]])
    lu = LU(matrices)
    assert lu.is_regular.tolist() == [False, True]
    assert lu.sign().tolist() == [0.0, -1.0]
    assert lu.solve(tensor([[1.0, 1.0], [3.0, 4.0]]))[1].tolist() == [2.0, 3.0]
