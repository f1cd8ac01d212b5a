"""Equilibrium propagation: the order of its error in beta, and where it does not apply."""

import numpy as np
import pytest
import torch
from gradient_methods import METHODS, ROOT, problem, symmetric_gradients
from gradient_oracles import inputs, parameters, trainable
from torch import nn

from analogdeq.cores.conv import ConvCore
from analogdeq.errors import GradientError, InputError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.propagation import EquilibriumPropagation


def error(variant: str, beta: float, **options: int) -> float:
    core, u, g = problem()
    exact = symmetric_gradients(core, u, g, *METHODS["dense"])["W"]
    found = symmetric_gradients(core, u, g, EquilibriumPropagation(variant=variant, beta=beta, **options), ROOT)["W"]
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize(("variant", "order"), [("one-sided", 1), ("centred", 2)])
def test_halving_beta_divides_the_error_by_two_to_the_order(variant: str, order: int) -> None:
    coarse, fine = error(variant, 0.08), error(variant, 0.04)
    assert 1e-6 < fine < coarse
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.2)


def test_more_points_on_the_circle_make_the_holomorphic_estimate_exact_at_large_beta() -> None:
    errors = [error("holomorphic", 0.4, points=points) for points in (2, 4, 8)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert errors[2] < 1e-4 < error("centred", 0.4)


def test_two_points_on_the_circle_are_the_centred_difference() -> None:
    assert error("holomorphic", 0.2, points=2) == pytest.approx(error("centred", 0.2), rel=1e-6)


@pytest.mark.parametrize("activation", ["sigmoid", "identity"])
def test_it_holds_for_other_analytic_activations(activation: str) -> None:
    core, u, g = problem(activation=activation)
    exact = symmetric_gradients(core, u, g, *METHODS["dense"])
    for name in ("centred propagation", "holomorphic propagation"):
        for key, value in symmetric_gradients(core, u, g, *METHODS[name]).items():
            assert float((value - exact[key]).norm() / exact[key].norm()) < 1e-5


def test_kinks_are_for_the_centred_variant_alone() -> None:
    core, u, g = problem(activation="hardtanh")
    exact = symmetric_gradients(core, u, g, *METHODS["dense"])
    found = symmetric_gradients(core, u, g, EquilibriumPropagation(beta=1e-7), ROOT)
    torch.testing.assert_close(found["W"], exact["W"], rtol=1e-4, atol=1e-4 * float(exact["W"].abs().max()))
    with pytest.raises(InputError, match=r"'hardtanh' has kinks: use the centred variant"):
        symmetric_gradients(core, u, g, EquilibriumPropagation(variant="holomorphic"), ROOT)


def test_a_network_without_an_energy_is_refused() -> None:
    W, U, b = parameters(6, 2, radius=0.8, seed=1)
    core = trainable(W, b, U)
    z = equilibrium(core, inputs(2, 2), gradient=EquilibriumPropagation())
    with pytest.raises(GradientError, match=r"needs a symmetric W.*x W y ="):
        z.sum().backward()
    assert core.W.grad is None


def test_a_convolution_with_symmetric_kernels_has_an_energy() -> None:
    rng = np.random.default_rng(0)
    W = torch.tensor(rng.normal(size=(2, 2, 3, 3))) * 0.08
    W = (W + W.transpose(0, 1).flip(-1, -2)) / 2
    U, b = torch.tensor(rng.normal(size=(2, 1, 3, 3))), torch.tensor(rng.normal(size=2))
    core = ConvCore(*(nn.Parameter(x) for x in (W, U, b)), height=4, width=5)
    u, g = inputs(3, 20), torch.tensor(rng.normal(size=(3, 40)))
    values = []
    for gradient in (ImplicitGradient(solver="dense"), EquilibriumPropagation(beta=1e-3)):
        z = equilibrium(core, u, gradient=gradient, forward=ROOT)
        dW, dU, db, du = torch.autograd.grad(z, (core.W, core.U, core.b, u), g)
        values.append(((dW + dW.transpose(0, 1).flip(-1, -2)) / 2, dU, db, du))
    for exact, found in zip(*values, strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-6)


def test_a_nudge_that_leaves_no_rest_near_by_is_an_error() -> None:
    core, u, g = problem()
    with pytest.raises(GradientError, match="lower beta"):
        symmetric_gradients(core, u, g, EquilibriumPropagation(variant="holomorphic", beta=3.0), ROOT)


def test_the_log_tells_what_a_large_beta_costs() -> None:
    core, u, g = problem()
    residuals = []
    for beta in (1e-3, 0.3):
        log = SolveLog()
        symmetric_gradients(core, u, g, EquilibriumPropagation(beta=beta), ROOT, log)
        residuals.append(log.backward_residual)
    assert residuals[0] < 1e-5
    assert residuals[1] > 1e-3


@pytest.mark.parametrize("options", [{"variant": "two-sided"}, {"beta": 0.0}, {"points": 3}, {"points": 0}])
def test_unusable_options_are_refused(options: dict) -> None:
    with pytest.raises(InputError, match="equilibrium propagation"):
        EquilibriumPropagation(**options)
