"""On noiseless problems every method finds the gradient of finite differences, and so the others' too."""

from itertools import combinations

import numpy as np
import pytest
import torch
from gradient_methods import METHODS, problem, symmetric_gradients
from gradient_oracles import loss_at_rest
from torch import Tensor

from analogdeq.gradient.log import SolveLog

every_method = pytest.mark.parametrize("name", METHODS)


def in_a_row(found: dict[str, Tensor]) -> Tensor:
    return torch.cat([found[name].flatten() for name in ("W", "U", "b", "u")])


@pytest.fixture(scope="module")
def found() -> dict[str, Tensor]:
    """Every method's gradients of one problem, in a row."""
    core, u, g = problem()
    return {name: in_a_row(symmetric_gradients(core, u, g, *METHODS[name])) for name in METHODS}


def test_every_pair_of_methods_agrees(found: dict[str, Tensor]) -> None:
    for (one, a), (two, b) in combinations(found.items(), 2):
        assert float(torch.cosine_similarity(a, b, dim=0)) > 0.9999, f"{one} and {two}"
        assert float((a - b).norm() / b.norm()) < 1e-4, f"{one} and {two}"


@every_method
def test_each_method_agrees_with_differences_of_a_root_found_elsewhere(name: str, found: dict[str, Tensor]) -> None:
    core, u, g = problem()
    rng = np.random.default_rng(3)
    at = [value.detach().numpy() for value in (core.W, core.U, core.b, u)]
    directions = [rng.normal(size=value.shape) for value in at]
    directions[0] = directions[0] + directions[0].T
    eps = 1e-5

    def loss(sign: int) -> float:
        W, U, b, v = (value + sign * eps * d for value, d in zip(at, directions, strict=True))
        # z = a tanh(W z + c) is the tanh core with a W and z / a.
        return core.gain * loss_at_rest(core.gain * W, U, b, v, g.numpy())

    slope = (loss(1) - loss(-1)) / (2 * eps)
    along = float(found[name] @ torch.cat([torch.tensor(d).flatten() for d in directions]))
    assert along == pytest.approx(slope, rel=1e-4)


@every_method
def test_each_sample_is_as_exact_as_the_others_whatever_its_size(name: str) -> None:
    core, u, g = problem()
    ours = symmetric_gradients(core, u, g, *METHODS[name])["u"]
    exact = symmetric_gradients(core, u, g, *METHODS["dense"])["u"]
    assert ((ours - exact).norm(dim=1) / exact.norm(dim=1)).max() < 1e-4


@every_method
def test_each_method_leaves_its_residual_and_count_in_the_log(name: str) -> None:
    core, u, g = problem()
    log = SolveLog()
    symmetric_gradients(core, u, g, *METHODS[name], log)
    assert log.unsettled == 0
    assert 0 <= log.forward_residual < 1e-5
    assert log.forward_evaluations > 1
    assert log.backward_iterations >= 1
    if name.startswith(("unrolled", "transient")):
        assert np.isnan(log.backward_residual)
    else:
        assert 0 <= log.backward_residual < 1e-3


@pytest.mark.parametrize("name", [name for name in METHODS if not name.startswith("physical")])
def test_only_what_is_trained_gets_a_gradient_from_any_method(name: str) -> None:
    core, u, g = problem()
    core.U.requires_grad_(False)
    gradient, forward = METHODS[name]
    from analogdeq.gradient.equilibrium import equilibrium

    equilibrium(core, u.detach(), gradient=gradient, forward=forward).backward(g)
    assert core.W.grad is not None
    assert core.b.grad is not None
    assert core.U.grad is None
