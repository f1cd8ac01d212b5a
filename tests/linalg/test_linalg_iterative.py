"""The newer solvers against numpy: stiff spectra, mixed sizes, per-sample stopping, what they refuse."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from analogdeq.errors import GradientError
from analogdeq.linalg.adaptive import solve_adaptive
from analogdeq.linalg.anderson import solve_anderson
from analogdeq.linalg.broyden import LowRankInverse, find_root, solve_broyden
from analogdeq.linalg.cg import solve_cg
from analogdeq.linalg.range import in_full_range
from analogdeq.linalg.richardson import solve_richardson
from analogdeq.linalg.system import LinearSolution

Solver = Callable[[Callable[[Tensor], Tensor], Tensor], LinearSolution]

SOLVERS: dict[str, Solver] = {
    "adaptive": lambda m, y: solve_adaptive(m, y, tol=1e-10, max_iter=400),
    "anderson": lambda m, y: solve_anderson(m, y, tol=1e-10, max_iter=400),
    "broyden": lambda m, y: solve_broyden(m, y, tol=1e-10, max_iter=400, memory=80),
    "richardson": lambda m, y: solve_richardson(m, y, tol=1e-10, max_iter=2000),
}
every_solver = pytest.mark.parametrize("name", SOLVERS)


def systems(n: int, batch: int = 5, *, radius: float = 0.8, shift: float = 0.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """J = random - shift I per sample, and right-hand sides of very different sizes."""
    rng = np.random.default_rng(seed)
    J = rng.normal(size=(batch, n, n))
    J *= radius / np.abs(np.linalg.eigvals(J)).max(1)[:, None, None]
    J -= shift * np.eye(n)
    return torch.tensor(J), torch.tensor(rng.normal(size=(batch, n)) * 10.0 ** rng.integers(-9, 9, (batch, 1)))


def product(J: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda v: torch.einsum("bij,bj->bi", J, v)


def counting(apply: Callable[[Tensor], Tensor]) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """The operands so far, and a product that adds to them."""
    operands: list[Tensor] = []

    def counted(v: Tensor) -> Tensor:
        operands.append(v)
        return apply(v)

    return operands, counted


def exact(J: Tensor, y: Tensor) -> Tensor:
    return torch.linalg.solve(torch.eye(y.shape[1], dtype=y.dtype) - J, y.unsqueeze(2)).squeeze(2)


@every_solver
@pytest.mark.parametrize(("n", "shift"), [(1, 0.0), (2, 0.0), (25, 0.0), (25, 3.0)])
def test_every_solver_finds_the_solution_of_numpy_where_picard_converges_and_where_it_does_not(
    name: str, n: int, shift: float
) -> None:
    J, y = systems(n, shift=shift)
    found = SOLVERS[name](product(J), y)
    v = exact(J, y)
    assert ((found.x - v).norm(dim=1) / v.norm(dim=1)).max() < 1e-8
    assert found.relative_residual.max() <= 1.1e-10
    true = (y + product(J)(found.x) - found.x).norm(dim=1) / y.norm(dim=1)
    assert true.max() < 2e-10


@every_solver
def test_a_zero_right_hand_side_costs_nothing_and_others_stop_by_themselves(name: str) -> None:
    J, y = systems(20)
    J[1] *= 0.1
    y[3] = 0
    found = SOLVERS[name](product(J), y)
    assert torch.equal(found.x[3], torch.zeros(20, dtype=torch.float64))
    assert found.relative_residual[3] == 0
    assert found.iterations[3] <= 1
    assert found.iterations[1] < 0.7 * found.iterations[0]


@every_solver
def test_products_are_counted(name: str) -> None:
    J, y = systems(20, batch=1)
    counted, apply = counting(product(J))
    found = SOLVERS[name](apply, y)
    assert len(counted) - 2 <= int(found.iterations) <= len(counted)


@pytest.mark.parametrize("name", ["anderson", "broyden"])
def test_what_a_search_that_fails_gives_back_is_no_worse_than_zero(name: str) -> None:
    J, y = systems(12, radius=30.0)
    few = {
        "anderson": lambda m: solve_anderson(m, y, tol=1e-10, max_iter=4, memory=1),
        "broyden": lambda m: solve_broyden(m, y, tol=1e-10, max_iter=4),
    }[name]
    found = few(product(J))
    true = (y + product(J)(found.x) - found.x).norm(dim=1) / y.norm(dim=1)
    assert true.max() <= 1 + 1e-12
    torch.testing.assert_close(found.relative_residual, true, rtol=1e-9, atol=0)


def test_the_adaptive_solver_stays_with_the_series_on_a_disc_and_leaves_it_on_a_line() -> None:
    J, y = systems(40, radius=0.5)
    series = solve_adaptive(product(J), y, tol=1e-8, max_iter=400)
    assert 20 < series.iterations.max() < 40
    line = torch.diag_embed(torch.linspace(-6, 0.95, 40, dtype=torch.float64).expand(5, 40))
    krylov = solve_adaptive(product(line), y, tol=1e-8, max_iter=400)
    assert krylov.relative_residual.max() <= 1e-8
    assert krylov.iterations.max() < 80


def test_the_series_counts_as_many_products_as_its_closed_form_needs_in_each_sample() -> None:
    # One unknown, J = c: k products leave the residual |c|^k.
    c = np.array([0.1, -0.3, 0.5, 0.7])
    J, y = torch.tensor(c).reshape(4, 1, 1), torch.tensor([[1e-9], [1.0], [-3.0], [1e6]], dtype=torch.float64)
    needed = np.ceil(np.log(3e-8) / np.log(np.abs(c))).astype(int).tolist()
    counted, apply = counting(product(J))
    found = solve_adaptive(apply, y, tol=3e-8, max_iter=400)
    assert found.iterations.tolist() == needed == [8, 15, 25, 49]
    assert len(counted) == max(needed)


@pytest.mark.parametrize(
    ("eigenvalues", "series"),
    [
        # The first product makes the residual three times larger; the series goes no further.
        pytest.param([-3.0], 1, id="grows"),
        pytest.param([-3.0, -2.5, 0.2, 0.4], 1, id="grows, four eigenvalues"),
        # It falls by 0.9 a product, too slowly for the series after the third.
        pytest.param([0.9], 3, id="slow"),
        pytest.param([0.9, 0.88, -0.86], 3, id="slow, three eigenvalues"),
    ],
)
def test_where_gmres_takes_over_every_product_is_counted_once(eigenvalues: list[float], series: int) -> None:
    # GMRES needs as many products as there are eigenvalues. One more, before it, is the residual that it starts from,
    # and one, not counted, confirms its answer.
    n = len(eigenvalues)
    J, y = torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)).unsqueeze(0), torch.ones(1, n).double()
    counted, apply = counting(product(J))
    found = solve_adaptive(apply, y, tol=1e-10, max_iter=400)
    assert int(found.iterations) == series + 1 + n
    assert len(counted) == series + 1 + n + 1
    assert found.relative_residual.max() < 1e-10


def test_a_sample_that_the_series_has_solved_counts_the_same_beside_one_that_needs_gmres() -> None:
    J, y = torch.tensor([0.0, -3.0]).double().reshape(2, 1, 1), torch.ones(2, 1, dtype=torch.float64)
    alone = solve_adaptive(product(J[:1]), y[:1], tol=1e-10, max_iter=400)
    together = solve_adaptive(product(J), y, tol=1e-10, max_iter=400)
    assert together.iterations.tolist() == [1, 3]
    assert int(alone.iterations) == 1


@pytest.mark.parametrize("budget", range(1, 9))
def test_the_adaptive_solver_keeps_to_its_budget_and_spends_it(budget: int) -> None:
    J, y = systems(20, batch=1, shift=3.0)
    counted, apply = counting(product(J))
    found = solve_adaptive(apply, y, tol=1e-10, max_iter=budget)
    # A budget of two leaves, after the series' one product and the residual, none for GMRES.
    assert int(found.iterations) == (1 if budget == 2 else budget)
    assert len(counted) <= budget + 1
    true = (y + product(J)(found.x) - found.x).norm(dim=1) / y.norm(dim=1)
    torch.testing.assert_close(found.relative_residual, true, rtol=1e-9, atol=0)


def test_richardson_halves_its_step_until_a_fast_network_converges() -> None:
    J = -20.0 * torch.eye(4, dtype=torch.float64).expand(3, 4, 4)  # needs a < 2 / 21
    y = torch.ones(3, 4, dtype=torch.float64)
    found = solve_richardson(product(J), y, tol=1e-8, max_iter=400, damping=1.0)
    torch.testing.assert_close(found.x, y / 21, rtol=1e-7, atol=0)


def test_conjugate_gradients_solve_a_network_with_saturated_nodes_in_few_products() -> None:
    rng = np.random.default_rng(0)
    W = rng.normal(size=(60, 60))
    W = W + W.T
    W = torch.tensor(0.95 * W / np.linalg.norm(W, 2))
    S = torch.tensor(rng.uniform(0, 1, (4, 60)))
    S[:, :10] = 0
    y = torch.tensor(rng.normal(size=(4, 60)))
    found = solve_cg(lambda v: (S * v) @ W, y, weight=S, tol=1e-10, max_iter=200)
    expected = torch.stack(
        [torch.linalg.solve(torch.eye(60, dtype=torch.float64) - W * s, b) for s, b in zip(S, y, strict=True)]
    )
    torch.testing.assert_close(found.x, expected, rtol=1e-8, atol=1e-9)
    assert found.iterations.max() <= 26
    only_saturated = solve_cg(lambda v: 0 * v, y, weight=torch.zeros_like(y), tol=1e-10, max_iter=5)
    torch.testing.assert_close(only_saturated.x, y)


def test_conjugate_gradients_end_within_as_many_products_as_there_are_eigenvalues_and_count_them_per_sample() -> None:
    # Hestenes and Stiefel's theorem: in exact arithmetic one product per distinct eigenvalue.
    Q = torch.tensor(np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0])
    y = torch.tensor(np.random.default_rng(2).normal(size=(3, 12)))
    spectra = torch.stack(
        [torch.tensor(([0.5] * 12, [-3.0, 0.9] * 6, [-2.0, -0.5, 0.7, 0.95] * 3)[k]) for k in range(3)]
    )
    J = (Q * spectra.double().unsqueeze(1)) @ Q.T
    found = solve_cg(product(J), y, weight=torch.ones_like(y), tol=1e-10, max_iter=50)
    assert found.iterations.tolist() == [1, 2, 4]
    torch.testing.assert_close(found.x, exact(J, y), rtol=1e-8, atol=0)


def test_andersons_method_without_a_limit_on_its_memory_needs_one_product_more_than_unknowns() -> None:
    # H. F. Walker, P. Ni, SIAM J. Numer. Anal. 49:1715 (2011), theorem 2.2: it is GMRES, a step behind.
    J, y = systems(7, radius=0.8, seed=3)
    found = solve_anderson(product(J), y, tol=1e-8, max_iter=50, memory=20)
    assert found.iterations.max() <= 7 + 2
    assert found.relative_residual.max() <= 1e-8


def test_conjugate_gradients_refuse_a_network_that_is_not_symmetric() -> None:
    J, y = systems(12)
    with pytest.raises(GradientError, match=r"solver='cg' needs a core with symmetric W.*solver='gmres'"):
        solve_cg(product(J), y, weight=torch.ones_like(y), tol=1e-10, max_iter=50)


def test_broydens_method_ends_a_linear_problem_within_twice_its_dimension() -> None:
    # D. M. Gay, SIAM J. Numer. Anal. 16:623 (1979): exact after at most 2 n steps.
    J, y = systems(6, batch=3, seed=3)
    y = y / y.norm(dim=1, keepdim=True)
    goal = torch.full((3,), 1e-9, dtype=torch.float64)
    root = find_root(lambda x: y + product(J)(x) - x, y, goal=goal, max_iter=60)
    assert root.residual.max() <= 1e-9
    assert 4 < root.iterations.max() <= 2 * 6 + 1


def test_broydens_inverse_undoes_the_jacobian_along_its_last_step() -> None:
    J, y = systems(8, batch=2, seed=4)
    y = y / y.norm(dim=1, keepdim=True)
    seen: list[Tensor] = []

    def function(x: Tensor) -> Tensor:
        seen.append(x)
        return y + product(J)(x) - x

    root = find_root(function, y, goal=torch.zeros(2, dtype=torch.float64), max_iter=6)
    dx = seen[-1] - seen[-2]
    torch.testing.assert_close(root.inverse.matvec(product(J)(dx) - dx), dx, rtol=1e-8, atol=1e-10)


def test_a_low_rank_inverse_is_its_formula() -> None:
    u, w, x = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 2, 5), (3, 2, 5), (3, 5)))
    H = -torch.eye(5, dtype=torch.float64) + torch.einsum("bki,bkj->bij", u, w)
    torch.testing.assert_close(LowRankInverse(u, w).matvec(x), product(H)(x))
    torch.testing.assert_close(LowRankInverse(u, w).rmatvec(x), product(H.mT)(x))


def test_an_operand_in_full_range_has_a_peak_of_one_and_the_same_product() -> None:
    J, y = systems(7)
    peaks: list[Tensor] = []

    def looked_at(v: Tensor) -> Tensor:
        peaks.append(v.abs().amax(1))
        return product(J)(v)

    y[2] = 0
    torch.testing.assert_close(in_full_range(looked_at)(y), product(J)(y), rtol=1e-12, atol=0)
    assert peaks[0].tolist() == pytest.approx([1, 1, 0, 1, 1])
