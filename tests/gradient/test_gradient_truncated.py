"""Gradients that are wrong by design are wrong by what their formula says."""

import numpy as np
import pytest
import torch
from gradient_methods import ROOT
from gradient_oracles import gradients, inputs, parameters, trainable

from analogdeq.errors import GradientError, InputError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import ByRootFinding, BySettling
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.shine import ByBroyden, ShineGradient
from analogdeq.gradient.truncated import PhantomGradient, jacobian_free


@pytest.mark.parametrize(("steps", "damping"), [(1, 1.0), (4, 1.0), (5, 0.5), (3, 0.7)])
def test_a_phantom_gradient_is_that_of_damped_steps_from_the_equilibrium(steps: int, damping: float) -> None:
    W, U, b = parameters(8, 3, radius=0.9, seed=1)
    core, u = trainable(W, b, U), inputs(4, 3)
    g = torch.randn(4, 8, dtype=torch.float64)
    ours = equilibrium(core, u, forward=ROOT, gradient=PhantomGradient(steps=steps, damping=damping))
    z = ours.detach()
    for _ in range(steps):
        z = (1 - damping) * z + damping * torch.tanh(z @ core.W.T + u @ core.U.T + core.b)
    theirs = gradients(core, u, z, g)
    for name, value in gradients(core, u, ours, g).items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-9, atol=1e-12)


def test_the_jacobian_free_gradient_leaves_the_jacobian_out_and_says_how_much_that_is() -> None:
    core, log = trainable([[0.6]], [1.0], activation="identity"), SolveLog()
    z = equilibrium(core, torch.zeros(1, 1, dtype=torch.float64), forward=ROOT, gradient=jacobian_free(), log=log)
    z.backward(torch.ones_like(z))
    assert core.b.grad.item() == pytest.approx(1.0)  # the whole gradient is 1 / (1 - 0.6)
    assert log.backward_residual == pytest.approx(0.6)


def test_shine_alone_is_rough_and_refining_makes_it_exact() -> None:
    W, U, b = parameters(20, 3, radius=0.9, seed=2)
    core, u = trainable(W, b, U), inputs(6, 3)
    g = torch.randn(6, 20, dtype=torch.float64)
    exact = gradients(core, u, equilibrium(core, u, forward=ROOT, gradient=ImplicitGradient(solver="dense")), g)["u"]
    errors = []
    for refine in (0, 5, 40):
        log = SolveLog()
        z = equilibrium(
            core, u, forward=ByBroyden(tol=1e-12), gradient=ShineGradient(refine=refine, tol=1e-10), log=log
        )
        found = gradients(core, u, z, g)["u"]
        errors.append(float((found - exact).norm() / exact.norm()))
        assert log.backward_iterations <= refine + 1
    assert 1e-3 < errors[0] < 0.9
    assert errors[2] < 1e-8 < errors[1] < errors[0]


def test_shine_alone_is_the_transpose_of_the_inverse_that_the_search_left_and_logs_what_it_misses() -> None:
    W, U, b = parameters(6, 3, radius=0.8, seed=2)  # not symmetric, so the transpose is another matrix
    core, u = trainable(W, b, U), inputs(2, 3)
    g, search, log = torch.tensor(np.random.default_rng(3).normal(size=(2, 6))), ByBroyden(tol=1e-12), SolveLog()
    with torch.no_grad():
        found = search.solve(core, u)
    unit = g / g.abs().amax(1, keepdim=True)
    u_k, w_k = (t.numpy() for t in (found.inverse.u, found.inverse.w))
    H = -np.eye(6) + np.einsum("bki,bkj->bij", u_k, w_k)
    v = -np.einsum("bij,bi->bj", H, unit.numpy())
    S = 1 - found.z.numpy() ** 2
    left = unit.numpy() + (S * v) @ W.numpy() - v
    missed = np.linalg.norm(left, axis=1) / np.linalg.norm(unit.numpy(), axis=1)
    assert missed.max() < 1, "it would fall back to v = g"
    ours = gradients(core, u, equilibrium(core, u, forward=search, gradient=ShineGradient(), log=log), g)["b"]
    size = g.abs().amax(1, keepdim=True).numpy()
    np.testing.assert_allclose(ours.numpy(), (S * v * size).sum(0), rtol=1e-9)
    assert log.backward_residual == pytest.approx(missed.max(), rel=1e-9)


def test_shine_needs_a_search_that_leaves_its_inverse() -> None:
    core = trainable([[0.5]])
    z = equilibrium(core, torch.ones(1, 1, dtype=torch.float64), forward=ROOT, gradient=ShineGradient())
    with pytest.raises(GradientError, match=r"forward=ByBroyden\(\)"):
        z.sum().backward()


def test_broyden_finds_what_settling_finds_and_settles_what_it_cannot_find() -> None:
    W, U, b = parameters(12, 3, radius=0.9, seed=3)
    core, u = trainable(W, b, U), inputs(5, 3).detach()
    found, settled = ByBroyden(tol=1e-10).solve(core, u), BySettling().solve(core, u)
    assert found.is_found.all()
    torch.testing.assert_close(found.z, settled.z, rtol=0, atol=1e-6)
    few = ByBroyden(tol=1e-10, max_iter=3).solve(core, u)
    assert few.is_found.all()
    torch.testing.assert_close(few.z, settled.z)
    assert (few.evaluations > 20).all()


@pytest.mark.parametrize("options", [{"steps": 0}, {"damping": 0.0}, {"damping": 1.5}])
def test_a_phantom_gradient_of_no_steps_is_refused(options: dict) -> None:
    with pytest.raises(InputError, match="phantom"):
        PhantomGradient(**options)


def test_a_phantom_gradient_over_root_finding_costs_as_many_products_as_it_has_terms() -> None:
    W, U, b = parameters(6, 2, radius=0.5, seed=4)
    core, u, log = trainable(W, b, U), inputs(3, 2), SolveLog()
    equilibrium(core, u, forward=ByRootFinding(), gradient=PhantomGradient(steps=7), log=log).sum().backward()
    assert log.backward_iterations == 7
    assert 0 < log.backward_residual < 1
    assert np.isfinite(log.forward_residual)


def test_a_phantom_gradient_that_measures_nothing_is_the_same_gradient_without_a_residual() -> None:
    W, U, b = parameters(6, 2, radius=0.5, seed=4)
    core, u, g = trainable(W, b, U), inputs(3, 2), torch.randn(3, 6, dtype=torch.float64)
    logs, found = [SolveLog(), SolveLog()], []
    for log, measure in zip(logs, (True, False), strict=True):
        z = equilibrium(core, u, forward=ROOT, gradient=PhantomGradient(steps=4, measure=measure), log=log)
        found.append(gradients(core, u, z, g))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert 0 < logs[0].backward_residual < 1
    assert np.isnan(logs[1].backward_residual)
    assert logs[0].backward_iterations == logs[1].backward_iterations == 4
