"""Equilibria and gradients with answers that are known in closed form or from other people's tests."""

import numpy as np
import pytest
import torch
from gradient_oracles import EXACT, SOLVERS, gradients, inputs, parameters, rest, slope_along, trainable, unrolled

from analogdeq.cores.rc import RCCore
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import Forward
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.log import SolveLog

every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_forward = pytest.mark.parametrize("forward", EXACT.values(), ids=EXACT)
NOTHING = torch.zeros(1, 1, dtype=torch.float64)


def exact(solver: str = "gmres", max_iter: int = 500) -> ImplicitGradient:
    return ImplicitGradient(solver=solver, tol=1e-13, max_iter=max_iter)


@every_solver
@every_forward
def test_the_scalar_affine_equilibrium_is_2_with_gradients_16_and_8(solver: str, forward: Forward) -> None:
    core = trainable([[0.5]], [1.0], activation="identity")
    z = equilibrium(core, NOTHING, forward=forward, gradient=exact(solver))
    z.square().sum().backward()
    assert z.item() == pytest.approx(2, rel=1e-12)
    assert core.W.grad.item() == pytest.approx(16, rel=1e-9)
    assert core.b.grad.item() == pytest.approx(8, rel=1e-9)


@pytest.mark.parametrize(
    ("W", "b", "activation", "expected"),
    [
        ([[0, 0.25], [0.25, 0]], (1, 2), "identity", (1.6, 2.4)),
        ([[0.2, 0.1], [0.05, 0.25]], (1, -0.5), "identity", (1.176470588235294, -0.588235294117647)),
        ([[0.55]], (0.25,), "tanh", (0.4678543687858431,)),
        ([[0.2, 0], [0, 0.2]], (0.2, -0.1), "tanh", (0.2437417286201809, -0.1241943627698377)),
        ([[-3.0]], (4.0,), "identity", (1.0,)),
    ],
)
@every_forward
def test_equilibria_of_small_cores_are_the_published_ones(
    W: list, b: tuple, activation: str, expected: tuple, forward: Forward
) -> None:
    core = trainable(W, b, activation=activation)
    z = equilibrium(core, torch.zeros(1, len(b), dtype=torch.float64), forward=forward)
    np.testing.assert_allclose(z.detach()[0].numpy(), expected, atol=1e-11)


def test_the_linear_solve_of_a_two_by_two_system_takes_two_products() -> None:
    # (I - J^T) v = (1, -1) with I - J^T = [[3, 1], [0.5, 2]].
    core = trainable([[-2, -0.5], [-1, -1]], (0.1, 0.2), activation="identity")
    log = SolveLog()
    z = equilibrium(core, torch.zeros(1, 2, dtype=torch.float64), gradient=exact(), log=log)
    z.backward(torch.tensor([[1.0, -1.0]], dtype=torch.float64))
    np.testing.assert_allclose(core.b.grad.numpy(), (0.5454545454545454, -0.6363636363636364), rtol=1e-12)
    assert log.backward_iterations <= 2


@pytest.mark.parametrize(
    ("solver", "max_iter", "slowest"), [("gmres", 50, 0.999), ("dense", 1, 0.999), ("fixed-point", 3000, 0.99)]
)
def test_slow_geometric_decay_has_a_gradient_of_one_over_one_minus_a(
    solver: str, max_iter: int, slowest: float
) -> None:
    a = torch.tensor([0.5, 0.9, slowest], dtype=torch.float64)
    core = trainable(torch.diag(a), (1.0, 0.4, -0.2), activation="identity")
    gradient = ImplicitGradient(solver=solver, tol=1e-9, max_iter=max_iter)
    z = equilibrium(core, torch.zeros(1, 3, dtype=torch.float64), forward=EXACT["root"], gradient=gradient)
    z.sum().backward()
    torch.testing.assert_close(z.detach()[0], core.b.detach() / (1 - a), rtol=1e-10, atol=0)
    torch.testing.assert_close(core.b.grad, 1 / (1 - a), rtol=1e-5, atol=0)


def test_a_200_dimensional_contraction_is_solved_in_less_than_100_products() -> None:
    rng = np.random.default_rng(7)
    A = rng.normal(size=(200, 200))
    A = (A + A.T) / 2
    A *= 0.499 / np.abs(np.linalg.eigvalsh(A)).max()
    b, g = rng.normal(size=200), rng.normal(size=200)
    core, log = trainable(A, b, activation="identity"), SolveLog()
    z = equilibrium(core, torch.zeros(1, 200, dtype=torch.float64), forward=EXACT["root"], gradient=exact(), log=log)
    z.backward(torch.tensor(g).unsqueeze(0))
    v, z_exact = np.linalg.solve(np.eye(200) - A.T, g), np.linalg.solve(np.eye(200) - A, b)
    np.testing.assert_allclose(core.W.grad.numpy(), np.outer(v, z_exact), atol=1e-9)
    assert log.backward_iterations < 100

    direction, eps = rng.normal(size=(200, 200)) / 200, 1e-4
    ends = [g @ np.linalg.solve(np.eye(200) - A - sign * eps * direction, b) for sign in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * eps)
    assert float((core.W.grad.numpy() * direction).sum()) == pytest.approx(slope, rel=1e-6)


@every_solver
@every_forward
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_gradients_agree_with_500_unrolled_picard_steps(solver: str, forward: Forward, activation: str) -> None:
    W, U, b = parameters(8, 3, radius=0.8, seed=1)
    core, u = trainable(W, b, U, activation=activation, gain=0.9), inputs(5, 3)
    g = torch.randn(5, 8, dtype=torch.float64)
    ours = gradients(core, u, equilibrium(core, u, forward=forward, gradient=exact(solver)), g)
    theirs = gradients(core, u, unrolled(core, u), g)
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-9, atol=1e-11, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "identity"])
def test_gradients_agree_with_differences_of_a_root_found_elsewhere(activation: str) -> None:
    W, U, b = parameters(6, 2, radius=0.7, seed=2)
    core, u = trainable(W, b, U, activation=activation), inputs(4, 2)
    g = torch.randn(4, 6, dtype=torch.float64)
    found = gradients(core, u, equilibrium(core, u, forward=EXACT["settle"], gradient=exact()), g)
    rng = np.random.default_rng(3)
    for name in found:
        directions = [rng.normal(size=found[k].shape) if k == name else np.zeros(found[k].shape) for k in found]
        slope = slope_along((core.W, core.U, core.b, u), directions, g, activation)
        along = sum(float((found[k].numpy() * d).sum()) for k, d in zip(found, directions, strict=True))
        assert along == pytest.approx(slope, rel=1e-7), name


@pytest.mark.parametrize("activation", ["hardtanh", "relu-clipped"])
def test_a_node_driven_past_the_kink_of_its_activation_has_no_gradient(activation: str) -> None:
    core = trainable([[0.2, 0.1], [0.1, 0.2]], (5.0, 0.3), activation=activation)
    z = equilibrium(core, torch.zeros(1, 2, dtype=torch.float64), forward=EXACT["settle"], gradient=exact())
    z.sum().backward()
    # Node 0 is clipped at 1; node 1 obeys z = 0.1 + 0.2 z + b, so dz/db = 1 / 0.8.
    torch.testing.assert_close(z.detach(), torch.tensor([[1, 0.5]], dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(core.b.grad, torch.tensor([0, 1.25], dtype=torch.float64), rtol=1e-9, atol=1e-12)


@every_solver
@every_forward
def test_gradcheck_accepts_every_solver_and_forward_pass(solver: str, forward: Forward) -> None:
    def at_rest(W: torch.Tensor, U: torch.Tensor, b: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        return equilibrium(RCCore(W, U, b, tau_s=1.0), u, forward=forward, gradient=exact(solver))

    values = (*parameters(3, 2, radius=0.8, seed=4), inputs(2, 2).detach())
    assert torch.autograd.gradcheck(at_rest, [value.requires_grad_() for value in values], eps=1e-5, atol=1e-7)


def test_the_oracle_finds_what_it_claims() -> None:
    assert rest(np.array([[0.55]]), np.array([0.25]))[0] == pytest.approx(0.4678543687858431, rel=1e-13)
