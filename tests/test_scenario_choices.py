"""What a scenario may ask for is what the program has."""

from typing import get_args

from analogdeq.build import IMAGES
from analogdeq.circuits.components import MAPPINGS
from analogdeq.cores.activation import ACTIVATIONS
from analogdeq.gradient.implicit import SOLVERS
from analogdeq.gradient.physical import ARRAYS
from analogdeq.gradient.propagation import VARIANTS
from analogdeq.linalg.noise import KINDS as NOISE_KINDS
from analogdeq.models.shapes import KINDS
from analogdeq.scenario.circuit import Circuit
from analogdeq.scenario.experiment import Model, Task
from analogdeq.scenario.gradient import Gradient
from analogdeq.scenario.settle import Settle
from analogdeq.scenario.train import Train
from analogdeq.solve.options import METHODS
from analogdeq.stability.parametrise import WEIGHTS


def choices(section: type, field: str) -> set[str]:
    return set(get_args(section.model_fields[field].annotation))


def test_scenarios_offer_every_method_of_settling_and_no_other() -> None:
    assert choices(Settle, "method") == set(METHODS)


def test_scenarios_offer_the_mappings_and_gradient_solvers_there_are() -> None:
    assert choices(Circuit, "mapping") == set(MAPPINGS)
    assert choices(Train, "gradient_solver") == set(SOLVERS)


def test_scenarios_offer_the_variants_of_each_gradient() -> None:
    assert choices(Gradient, "adjoint_array") == set(ARRAYS)
    assert choices(Gradient, "nudge") == set(VARIANTS)
    (kinds, nothing) = get_args(Gradient.model_fields["read_noise"].annotation)
    assert set(get_args(kinds)) == set(NOISE_KINDS)
    assert nothing is type(None)


def test_scenarios_offer_only_bounded_activations() -> None:
    assert choices(Model, "activation") == {name for name, phi in ACTIVATIONS.items() if phi.is_bounded}


def test_scenarios_offer_the_kinds_of_models_there_are() -> None:
    assert choices(Model, "kind") == set(KINDS)


def test_scenarios_offer_the_tasks_there_are() -> None:
    assert choices(Task, "name") == set(IMAGES)


def test_scenarios_offer_the_parametrisations_of_W_there_are() -> None:
    assert choices(Model, "weights") == set(WEIGHTS)
