"""Noisy Jacobians: the default reaches three percent where GMRES fails, stops by itself, and says what it knows."""

import numpy as np
import pytest
import torch
from gradient_methods import ROOT
from gradient_oracles import gradients, inputs, parameters, trainable
from torch import Tensor

from analogdeq.cores.rc import RCLinearisation
from analogdeq.errors import InputError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.warm_start import WarmStart
from analogdeq.linalg.frobenius import frobenius_norm
from analogdeq.linalg.noise import ReadNoise


def system(
    n: int = 100, batch: int = 40, *, radius: float = 0.8, seed: int = 0
) -> tuple[RCLinearisation, Tensor, Tensor]:
    """A random J, gradients of peak 1, and the exact solutions."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n, n))
    W *= radius / np.abs(np.linalg.eigvals(W)).max()
    g = rng.normal(size=(batch, n))
    g /= np.abs(g).max(1, keepdims=True)
    v = np.linalg.solve(np.eye(n) - W.T, g.T).T
    return RCLinearisation(torch.ones(batch, n, dtype=torch.float64), torch.tensor(W)), torch.tensor(g), torch.tensor(v)


def errors(gradient: ImplicitGradient, *, seed: int = 0) -> Tensor:
    j, g, v = system(seed=seed)
    return (gradient.solve(j, g).x - v).norm(dim=1) / v.norm(dim=1)


@pytest.mark.parametrize("seed", range(4))
def test_the_default_reaches_three_percent_at_ten_percent_noise_with_sixty_products(seed: int) -> None:
    noise = ReadNoise(kind="additive", level=0.1, seed=seed)
    ours = errors(ImplicitGradient(read_noise=noise, max_iter=60), seed=seed)
    assert ours.median() < 0.03


@pytest.mark.filterwarnings("ignore::analogdeq.gradient.implicit.GradientWarning")
@pytest.mark.parametrize("seed", range(2))
def test_gmres_fails_under_the_same_noise_with_the_same_products(seed: int) -> None:
    noise = ReadNoise(kind="additive", level=0.1, seed=seed)
    gmres = ImplicitGradient(solver="gmres", read_noise=noise, max_iter=60, tol=1e-9, on_failure="warn")
    assert errors(gmres, seed=seed).median() > 0.2


@pytest.mark.parametrize("kind", ["fresh", "additive"])
def test_more_products_average_zero_mean_noise_away_as_their_square_root(kind: str) -> None:
    noise = ReadNoise(kind=kind, level=0.1)
    few, many = (
        errors(ImplicitGradient(read_noise=noise, max_iter=budget, noisy_tol=1e-6)).median() for budget in (60, 960)
    )
    assert few < 0.03
    assert 3 < few / many < 7  # the square root of 20 times the averaged products


def test_frozen_noise_has_a_floor_that_no_number_of_products_lowers() -> None:
    noise = ReadNoise(kind="frozen", level=0.1)
    few, many = (errors(ImplicitGradient(read_noise=noise, max_iter=budget)) for budget in (120, 1000))
    torch.testing.assert_close(few, many, rtol=1e-3, atol=0)
    j, g, v = system()
    size = 0.1 * float(j.W.norm()) / 100
    E = size * torch.randn(100, 100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wrong = torch.linalg.solve(torch.eye(100, dtype=torch.float64) - j.W.T - E.T, g.T).T
    torch.testing.assert_close(many, (wrong - v).norm(dim=1) / v.norm(dim=1), rtol=1e-3, atol=0)


def test_it_stops_by_itself_once_the_average_is_good_enough() -> None:
    j, g, v = system()
    solution = ImplicitGradient(read_noise=ReadNoise(level=0.02), max_iter=2000, noisy_tol=0.01).solve(j, g)
    assert solution.iterations.max() < 200
    assert ((solution.x - v).norm(dim=1) / v.norm(dim=1)).median() < 0.02
    assert solution.noise_floor is not None
    # The floor is the noise of one product at v, measured: level * rms(g) * peak(v) per entry.
    expected = 0.02 * v.abs().amax(1)
    torch.testing.assert_close(solution.noise_floor, expected, rtol=0.5, atol=0)


def test_the_residual_it_reports_is_about_the_true_one() -> None:
    j, g, _ = system()
    solution = ImplicitGradient(read_noise=ReadNoise(level=0.1), max_iter=100).solve(j, g)
    true = (g + j.rmatvec(solution.x) - solution.x).norm(dim=1) / g.norm(dim=1)
    assert 0.5 < (solution.relative_residual / true).median() < 2


def test_the_mean_of_the_tail_beats_the_iterate_of_least_noisy_residual() -> None:
    j, g, v = system()
    product = ReadNoise(level=0.1).spoil(j.rmatvec, g, lambda: frobenius_norm(j, g))
    x, best, least = g, g, torch.full((40,), torch.inf, dtype=torch.float64)
    for _ in range(60):
        r = g + product(x) - x
        lucky = r.norm(dim=1) < least
        best, least = torch.where(lucky[:, None], x, best), torch.where(lucky, r.norm(dim=1), least)
        x = x + 0.5 * r
    picked = (best - v).norm(dim=1) / v.norm(dim=1)
    assert errors(ImplicitGradient(read_noise=ReadNoise(level=0.1), max_iter=60)).median() < 0.75 * picked.median()


@pytest.mark.parametrize("kind", ["fresh", "frozen", "additive"])
def test_noise_has_the_size_asked_for(kind: str) -> None:
    j, g, _ = system(batch=200)
    v = torch.randn(200, 100, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 7
    product = ReadNoise(kind=kind, level=0.2).spoil(j.rmatvec, g, lambda: frobenius_norm(j, g))
    error = product(v) - j.rmatvec(v)
    if kind == "additive":
        expected = 0.2 * g.norm(dim=1) / 10
    else:
        expected = 0.2 * float(torch.linalg.matrix_norm(j.W)) / 100 * v.norm(dim=1)
    torch.testing.assert_close(error.square().mean(1).sqrt().mean(), expected.mean(), rtol=0.05, atol=0)
    again = product(v) - j.rmatvec(v)
    assert torch.equal(error, again) == (kind == "frozen")


def test_the_same_seed_and_gradient_repeat_their_noise_and_others_do_not() -> None:
    j, g, _ = system()
    one, two, other, another = (
        ImplicitGradient(read_noise=ReadNoise(seed=seed), max_iter=20).solve(j, scale * g).x
        for seed, scale in ((0, 1.0), (0, 1.0), (1, 1.0), (0, 2.0))
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    torch.testing.assert_close(another, 2 * one)  # noise scales with the gradient's range


def test_a_noisy_solve_at_its_floor_is_no_failure_and_reaches_the_parameters() -> None:
    W, U, b = parameters(30, 4, radius=0.8, seed=5)
    core, u, log = trainable(W, b, U), inputs(6, 4), SolveLog()
    g = torch.randn(6, 30, dtype=torch.float64)
    exact = gradients(core, u, equilibrium(core, u, forward=ROOT, gradient=ImplicitGradient(solver="dense")), g)
    noisy = ImplicitGradient(read_noise=ReadNoise(level=0.1), max_iter=100, tol=1e-6)
    found = gradients(core, u, equilibrium(core, u, forward=ROOT, gradient=noisy, log=log), g)
    for name, value in found.items():
        assert torch.cosine_similarity(value.flatten(), exact[name].flatten(), dim=0) > 0.99
    assert 1e-3 < log.backward_residual < 0.1
    assert log.backward_iterations <= 100


@pytest.mark.parametrize("solver", ["auto", "gmres", "fixed-point", "richardson", "anderson", "broyden"])
def test_a_warm_start_saves_products_and_changes_no_gradient(solver: str) -> None:
    j, g, _ = system(batch=6)
    warm = ImplicitGradient(solver=solver, tol=1e-8, max_iter=500, warm_start=WarmStart())
    cold = ImplicitGradient(solver=solver, tol=1e-8, max_iter=500)
    first = warm.solve(j, g)
    moved = g + 1e-3 * torch.randn(g.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    second, reference = warm.solve(j, moved), cold.solve(j, moved)
    torch.testing.assert_close(second.x, reference.x, rtol=1e-5, atol=1e-6)
    assert second.relative_residual.max() <= 1e-8 * 1.01
    assert second.iterations.double().mean() < 0.8 * first.iterations.double().mean()
    again = warm.solve(j, moved)
    assert again.iterations.max() <= 3  # nothing was left to do


def test_what_is_done_to_a_solution_afterwards_does_not_change_the_next_start() -> None:
    j, g, v = system(batch=4)
    warm = ImplicitGradient(tol=1e-9, max_iter=400, warm_start=WarmStart())
    found = warm.solve(j, g)
    found.x.mul_(-5)  # as clipping in place does
    again = warm.solve(j, g)
    assert again.iterations.tolist() == [1] * 4  # the product that told that nothing was left
    torch.testing.assert_close(again.x, v, rtol=1e-6, atol=1e-7)


def test_a_warm_start_keeps_no_graph_alive() -> None:
    start, v = WarmStart(), torch.ones(2, 3, requires_grad=True)
    start.keep(2 * v)
    assert not start.guess(torch.zeros(2, 3)).requires_grad


def test_a_warm_start_that_is_worse_than_none_is_left_out() -> None:
    j, g, v = system(batch=4)
    start = WarmStart()
    start.keep(1e6 * torch.ones_like(v))
    found = ImplicitGradient(tol=1e-9, max_iter=400, warm_start=start).solve(j, g)
    torch.testing.assert_close(found.x, v, rtol=1e-6, atol=1e-7)
    cold = ImplicitGradient(tol=1e-9, max_iter=400).solve(j, g)
    assert torch.equal(found.iterations, cold.iterations + 1)  # the product that told how bad it was
    start.keep(torch.full_like(v, torch.nan))
    assert start.guess(g) is None
    start.keep(v)
    assert start.guess(g[:2]) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "pink"}, "'pink'"),
        ({"level": -0.1}, "level"),
        ({"level": float("nan")}, "level"),
    ],
)
def test_what_is_no_noise_is_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReadNoise(**options)


@pytest.mark.parametrize("options", [{"damping": 0.0}, {"noisy_tol": 1.0}, {"memory": 0}])
def test_unusable_solver_options_are_refused(options: dict) -> None:
    with pytest.raises(InputError, match="damping"):
        ImplicitGradient(**options)


def test_a_matrix_has_no_product_to_be_noisy() -> None:
    with pytest.raises(InputError, match="read_noise has no meaning"):
        ImplicitGradient(solver="dense", read_noise=ReadNoise())
