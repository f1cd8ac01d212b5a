"""What an equilibrium promises besides its value: a log, constant memory, independence of the batch."""

import numpy as np
import pytest
import torch
from gradient_oracles import EXACT, SOLVERS, gradients, inputs, parameters, trainable
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from analogdeq.cores.rc import RCCore
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import ByRootFinding, BySettling, Forward
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.log import SolveLog
from analogdeq.solve.options import SettleOptions

every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_forward = pytest.mark.parametrize("forward", [ByRootFinding(), BySettling()], ids=["root", "settle"])


@every_solver
@every_forward
def test_the_log_tells_of_both_solves(solver: str, forward: Forward) -> None:
    W, U, b = parameters(10, 3, radius=0.8, seed=1)
    core, log = trainable(W, b, U), SolveLog()
    z = equilibrium(core, inputs(4, 3), forward=forward, gradient=ImplicitGradient(solver=solver), log=log)
    assert log.unsettled == 0
    assert 0 <= log.forward_residual < 1e-5
    assert log.forward_evaluations > 1
    assert np.isnan(log.backward_residual)
    assert np.isnan(log.backward_iterations)

    z.square().sum().backward()
    assert 0 <= log.backward_residual < 1e-5
    assert 1 <= log.backward_iterations <= {"gmres": 10, "fixed-point": 200, "dense": 1}[solver]


@every_forward
def test_the_reported_residual_is_the_distance_of_z_from_its_image(forward: Forward) -> None:
    W, U, b = parameters(10, 3, radius=0.8, seed=2)
    core, u, log = trainable(W, b, U), inputs(4, 3).detach(), SolveLog()
    z = equilibrium(core, u, forward=forward, log=log).detach()
    image = torch.tanh(z @ core.W.T + u @ core.U.T + core.b)
    assert float((image - z).detach().abs().max()) == pytest.approx(log.forward_residual, rel=1e-6, abs=1e-15)


@every_forward
def test_every_parameter_and_the_encoder_before_them_get_a_gradient(forward: Forward) -> None:
    W, U, b = parameters(5, 3, radius=0.8, seed=3)
    core, encoder = trainable(W, b, U), nn.Linear(2, 3).double()
    equilibrium(core, encoder(inputs(4, 2)), forward=forward).sum().backward()
    for parameter in (*core.parameters(), *encoder.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.abs().min() > 0


def test_only_what_is_trained_gets_a_gradient() -> None:
    W, U, b = parameters(5, 3, radius=0.8, seed=3)
    core = RCCore(nn.Parameter(W), U, b)
    z = equilibrium(core, inputs(2, 3).detach())
    z.sum().backward()
    assert core.W.grad is not None
    assert core.U.grad is None

    frozen = RCCore(W, U, b)
    assert not equilibrium(frozen, inputs(2, 3).detach()).requires_grad
    u = inputs(2, 3)
    equilibrium(frozen, u).sum().backward()
    assert u.grad is not None


@every_forward
def test_nothing_is_recorded_where_gradients_are_off(forward: Forward) -> None:
    W, U, b = parameters(5, 3, radius=0.8, seed=3)
    with torch.no_grad():
        z = equilibrium(trainable(W, b, U), inputs(2, 3), forward=forward)
    assert z.grad_fn is None


@every_solver
def test_a_sample_has_the_same_gradient_alone_and_beside_others(solver: str) -> None:
    W, U, b = parameters(12, 3, radius=0.9, seed=4)
    core, u = trainable(W, b, U), inputs(40, 3)
    gradient = ImplicitGradient(solver=solver, tol=1e-9)
    g = torch.randn(40, 12, dtype=torch.float64)
    g[::2] *= 1e6
    together = gradients(core, u, equilibrium(core, u, forward=EXACT["root"], gradient=gradient), g)
    alone = []
    for k in range(40):
        row = u[k : k + 1].detach().requires_grad_()
        alone.append(
            gradients(core, row, equilibrium(core, row, forward=EXACT["root"], gradient=gradient), g[k : k + 1])
        )
    # Per sample: a stopping rule over the whole batch would leave the small gradients at an error of 1e-9 * 1e6.
    ours, expected = together["u"], torch.cat([row["u"] for row in alone])
    error = (ours - expected).norm(dim=1) / expected.norm(dim=1)
    assert error.max() < 1e-8
    torch.testing.assert_close(together["W"], sum(row["W"] for row in alone), rtol=1e-8, atol=1e-3)


def test_the_graph_does_not_grow_with_the_settle() -> None:
    W, U, b = parameters(6, 3, radius=0.9, seed=5)
    core, u = trainable(W, b, U), inputs(2, 3)
    sizes, evaluations = [], []
    for band in (1e-1, 1e-9):
        kept: list[int] = []
        log = SolveLog()
        forward = BySettling(SettleOptions(band=band, atol=band * 1e-3))
        with torch.autograd.graph.saved_tensors_hooks(lambda t, kept=kept: kept.append(t.numel()) or t, lambda t: t):
            z = equilibrium(core, u, forward=forward, log=log)
        sizes.append(sorted(kept))
        evaluations.append(log.forward_evaluations)
        assert {type(node).__name__ for node, _ in z.grad_fn.next_functions if node} == {"AccumulateGrad"}
    assert evaluations[1] > 1.5 * evaluations[0]
    assert sizes[0] == sizes[1] == sorted([2 * 6, 2 * 3, 6 * 6, 6 * 3, 6])  # z, u, W, U, b


def test_writing_over_the_result_does_not_change_the_gradient() -> None:
    W, U, b = parameters(6, 3, radius=0.9, seed=5)
    core, u = trainable(W, b, U), inputs(2, 3)
    g = torch.ones(2, 6, dtype=torch.float64)
    expected = gradients(core, u, equilibrium(core, u), g)
    z = equilibrium(core, u)
    z.detach().fill_(99.0)
    found = gradients(core, u, z, g)
    for name, value in found.items():
        assert torch.equal(value, expected[name])


def test_gradients_add_up_over_several_equilibria_of_one_core() -> None:
    W, U, b = parameters(4, 2, radius=0.8, seed=6)
    core, u = trainable(W, b, U), inputs(2, 2).detach()
    equilibrium(core, u).sum().backward()
    once = core.W.grad.clone()
    (equilibrium(core, u).sum() + equilibrium(core, u).sum()).backward()
    torch.testing.assert_close(core.W.grad, 3 * once)


def test_float32_and_float64_agree() -> None:
    W, U, b = parameters(16, 4, radius=0.9, seed=7)
    found = []
    for dtype in (torch.float32, torch.float64):
        core, u = trainable(W, b, U, dtype=dtype), inputs(3, 4, dtype=dtype)
        g = torch.linspace(-1, 1, 48, dtype=dtype).reshape(3, 16)
        found.append(gradients(core, u, equilibrium(core, u), g))
    for name, value in found[0].items():
        torch.testing.assert_close(value.double(), found[1][name], rtol=1e-3, atol=1e-4)


def test_unequal_time_constants_change_neither_equilibrium_nor_gradient() -> None:
    W, U, b = parameters(5, 2, radius=0.8, seed=8)
    u, g = inputs(2, 2), torch.randn(2, 5, dtype=torch.float64)
    taus = torch.tensor([1e-9, 3e-9, 1e-8, 2e-8, 5e-8])
    cores = trainable(W, b, U, tau_s=1.0), trainable(W, b, U, tau_s=taus)
    exact = ImplicitGradient(tol=1e-12)
    even, spread = (gradients(c, u, equilibrium(c, u, forward=EXACT["settle"], gradient=exact), g) for c in cores)
    for name, value in spread.items():
        torch.testing.assert_close(value, even[name], rtol=1e-9, atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.floats(0.0, 0.95), st.sampled_from(SOLVERS), st.integers(0, 10_000))
def test_any_random_core_has_the_gradient_of_the_implicit_function_theorem(
    n: int, radius: float, solver: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n, n))
    W *= radius / max(np.linalg.norm(W, 2), 1e-12)
    b, g = rng.normal(size=n), rng.normal(size=n)
    core = trainable(W, b)
    gradient = ImplicitGradient(solver=solver, tol=1e-10, max_iter=2000)
    z = equilibrium(core, torch.zeros(1, n, dtype=torch.float64), forward=EXACT["root"], gradient=gradient)
    z.backward(torch.tensor(g).unsqueeze(0))
    rest = z.detach()[0].numpy()
    D = np.diag(1 - rest**2)
    v = D @ np.linalg.solve(np.eye(n) - (D @ W).T, g)
    np.testing.assert_allclose(core.b.grad.numpy(), v, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(core.W.grad.numpy(), np.outer(v, rest), rtol=1e-6, atol=1e-8)
