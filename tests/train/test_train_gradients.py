"""Every gradient that a scenario can choose trains the digits."""

from typing import get_args

import pytest
import torch

from analogdeq.build import build_data, build_gradient, build_model
from analogdeq.errors import InputError
from analogdeq.gradient.implicit import SOLVERS, ImplicitGradient
from analogdeq.gradient.physical import PhysicalAdjoint
from analogdeq.gradient.propagation import EquilibriumPropagation
from analogdeq.gradient.shine import ShineGradient
from analogdeq.gradient.truncated import PhantomGradient
from analogdeq.gradient.unrolled import UnrolledGradient
from analogdeq.models.hybrid import HybridDEQ, keep_symmetric_
from analogdeq.scenario import Scenario, load_scenario
from analogdeq.scenario.gradient import Gradient

METHODS = get_args(Gradient.model_fields["method"].annotation)
SMALL = ("model.nodes=12", "model.inputs=8")
FINE = ("circuit.dac.bits=16", "circuit.adc.bits=16", "circuit.adc.energy_J=1 pJ")
STEPS, BATCH = 8, 60

CHOICES = (
    *((f"gradient.method={method}",) for method in METHODS if method != "transient"),
    ("gradient.method=transient", "gradient.transient_horizon_tau=8"),
    *((f"train.gradient_solver={solver}",) for solver in SOLVERS),
    *((f"gradient.read_noise={kind}", "train.gradient_max_iter=60") for kind in ("fresh", "frozen", "additive")),
    ("gradient.warm_start=on",),
    ("gradient.method=unrolled", "gradient.unroll_weight_noise=0.05", "gradient.unroll_state_noise=0.02"),
    ("gradient.method=unrolled", "gradient.unroll_checkpoint_every=6"),
    ("gradient.method=physical-adjoint", "gradient.adjoint_array=second", "gradient.adjoint_noise=0.02"),
    ("gradient.method=equilibrium-propagation", "gradient.nudge=holomorphic", "gradient.nudge_beta=0.1"),
    ("gradient.method=equilibrium-propagation", "gradient.nudge=one-sided"),
    ("gradient.method=shine", "gradient.shine_refine=5"),
)


def scenario_with(*changes: str) -> Scenario:
    return load_scenario("digits-crossbar", [*SMALL, *changes])


def losses(model: HybridDEQ, scenario: Scenario) -> list[float]:
    """The loss of one batch over a few steps of Adam."""
    data = build_data(scenario)
    x, y = data.train_x[:BATCH].to(model.core.dtype), data.train_y[:BATCH]
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    found = []
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        found.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
        optimiser.step()
    return found


@pytest.mark.parametrize("changes", CHOICES, ids=" ".join)
def test_every_choice_trains_the_digits_for_a_few_steps(changes: tuple[str, ...]) -> None:
    scenario = scenario_with(*changes)
    model = build_model(scenario)
    before = [p.detach().clone() for p in model.core.parameters()]
    found = losses(model, scenario)
    assert found[-1] < 0.7 * found[0]
    for old, new in zip(before, model.core.parameters(), strict=True):
        assert not torch.equal(old, new)


def test_exact_methods_follow_the_same_course_and_inexact_ones_another() -> None:
    course = {
        method: losses(build_model(scenario), scenario)[-1]
        for method in ("implicit", "unrolled", "physical-adjoint", "jacobian-free")
        for scenario in [scenario_with(f"gradient.method={method}", *FINE)]
    }
    assert course["unrolled"] == pytest.approx(course["implicit"], rel=1e-3)
    assert course["physical-adjoint"] == pytest.approx(course["implicit"], rel=1e-2)
    assert abs(course["jacobian-free"] / course["implicit"] - 1) > 1e-3


@pytest.mark.parametrize("choice", ["gradient.method=equilibrium-propagation", "train.gradient_solver=cg"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_methods_for_symmetric_networks_get_one_that_stays_symmetric(choice: str, dtype: str) -> None:
    scenario = scenario_with(choice, f"settle.dtype={dtype}")
    model = build_model(scenario)
    losses(model, scenario)
    torch.testing.assert_close(model.core.W, model.core.W.T, rtol=0, atol=1e-6)


@pytest.mark.parametrize("nudge", ["one-sided", "centred"])
def test_an_oscillator_network_is_trained_by_propagation_as_by_implicit_gradients_and_stays_symmetric(
    nudge: str,
) -> None:
    course = {}
    for change in ("gradient.method=equilibrium-propagation", "train.gradient_solver=cg"):
        scenario = load_scenario("digits-oscillator", [*SMALL, change, f"gradient.nudge={nudge}"])
        model = build_model(scenario)
        course[change] = losses(model, scenario)
        torch.testing.assert_close(model.core.W, model.core.W.T, rtol=0, atol=1e-6)
    propagated, implicit = course.values()
    assert propagated[-1] < 0.8 * propagated[0]
    assert propagated[-1] == pytest.approx(implicit[-1], rel=0.02)


def test_making_a_network_symmetric_keeps_its_spectral_radius() -> None:
    model = build_model(load_scenario("digits-crossbar", ["model.nodes=300"]))
    before = torch.linalg.eigvals(model.core.W.detach()).abs().max()
    keep_symmetric_([model.core])
    after = torch.linalg.eigvalsh(model.core.W.detach()).abs().max()
    assert after == pytest.approx(float(before), rel=0.1)


def test_a_scenario_hands_its_numbers_to_the_gradient() -> None:
    def built(*changes: str) -> object:
        return build_gradient(scenario_with(*changes))

    assert built("gradient.method=phantom", "gradient.phantom_steps=3", "gradient.phantom_damping=0.7") == (
        PhantomGradient(steps=3, damping=0.7)
    )
    assert built("gradient.method=jacobian-free") == PhantomGradient(steps=1, damping=1.0)
    assert built("gradient.method=shine", "gradient.shine_refine=4", "train.gradient_tol=1e-3") == (
        ShineGradient(refine=4, tol=1e-3)
    )
    unrolled = built("gradient.method=unrolled", "gradient.unroll_steps=9", "gradient.unroll_weight_noise=0.1")
    assert unrolled == UnrolledGradient(steps=9, weight_noise=0.1)
    assert built("gradient.method=equilibrium-propagation", "gradient.nudge_beta=0.3") == (
        EquilibriumPropagation(beta=0.3)
    )
    adjoint = built("gradient.method=physical-adjoint", "gradient.adjoint_array=second", "gradient.adjoint_seed=7")
    assert isinstance(adjoint, PhysicalAdjoint)
    assert (adjoint.array, adjoint.seed, adjoint.device.name) == ("second", 7, "pcm-generic")
    implicit = built("gradient.read_noise=fresh", "gradient.read_noise_level=0.3", "gradient.warm_start=on")
    assert isinstance(implicit, ImplicitGradient)
    assert implicit.read_noise is not None
    assert (implicit.read_noise.kind, implicit.read_noise.level) == ("fresh", 0.3)
    assert implicit.method == "richardson"
    assert implicit.warm_start is not None


def test_noise_and_a_dense_solver_do_not_go_together() -> None:
    with pytest.raises(InputError, match="read_noise has no meaning"):
        build_model(scenario_with("gradient.read_noise=fresh", "train.gradient_solver=dense"))
