"""The CIFAR-10 scenarios keep to the size they name, and what stands in them can be built and stepped."""

import pytest
import torch
from torch import nn

from analogdeq.build import build_fit_options, build_model
from analogdeq.runs.workflow import check_buildable, model_cost
from analogdeq.scenario import load_scenario

SMALL = ("cifar10-small", "cifar10-small-digital", "cifar10-small-feedforward")


@pytest.mark.parametrize("name", [*SMALL, "cifar10"])
def test_they_can_be_built(name: str) -> None:
    check_buildable(load_scenario(name))
    build_fit_options(load_scenario(name))


@pytest.mark.parametrize("name", SMALL)
def test_the_small_ones_have_about_170_thousand_parameters(name: str) -> None:
    assert 165_000 <= model_cost(load_scenario(name)).parameters <= 175_000


@pytest.mark.parametrize("name", ["cifar10-small", "cifar10"])
def test_equilibria_hold_most_parameters_and_operations(name: str) -> None:
    free = ["model.weights=free", "model.spectral_bound=none"]  # quicker to build, and of the same shapes
    cost = model_cost(load_scenario(name, free))
    assert cost.equilibrium_share_parameters >= 0.7
    assert cost.equilibrium_share_macs >= 0.7
    assert cost.parameters <= 10_000_000


def test_one_step_of_the_small_one_reaches_every_parameter_and_settles_every_image() -> None:
    model = build_model(load_scenario("cifar10-small"))
    logits = model(torch.rand(2, 3, 32, 32))
    nn.functional.cross_entropy(logits, torch.tensor([3, 7])).backward()
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in model.parameters())
    assert model.log.unsettled == 0
    assert model.log.forward_residual < 3e-2
    assert all(core.contraction_gap() > 0 for core in model.cores)  # so every solve converges


def test_the_small_one_follows_the_whole_gradient_closely_at_its_start() -> None:
    x, y = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(8)
    found = []
    for changes in ([], ["gradient.method=implicit", "train.gradient_tol=1e-5", "train.forward_tol=1e-5"]):
        model = build_model(load_scenario("cifar10-small", ["model.dropout=0", *changes]))
        nn.functional.cross_entropy(model(x), y).backward()
        found.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    assert float(torch.cosine_similarity(found[0], found[1], dim=0)) > 0.99
