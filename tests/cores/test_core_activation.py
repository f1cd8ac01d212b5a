"""The nonlinearities and their slopes."""

import numpy as np
import pytest
import torch

from analogdeq.cores import activation as activation_module
from analogdeq.cores.activation import ACTIVATIONS, activation_named
from analogdeq.errors import InputError
from helpers import PHI, tensor

NAMES = ("tanh", "sigmoid", "hardtanh", "relu-clipped", "relu", "identity")


def points() -> torch.Tensor:
    """Away from the kinks at -1, 0 and 1."""
    return torch.linspace(-3.03, 3.07, 400, dtype=torch.float64)


def test_every_activation_of_the_design_is_there() -> None:
    assert set(ACTIVATIONS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_activation_has_the_values_of_its_formula(name: str) -> None:
    p = points()
    np.testing.assert_allclose(activation_named(name).function(p).numpy(), PHI[name](p.numpy()), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("is_fast", [True, False])
def test_either_way_to_compute_tanh_is_right_to_single_precision(
    is_fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation_module, "_TANH_IS_FAST", is_fast)
    p = torch.linspace(-10, 10, 4001)
    out = torch.empty_like(p)
    for found in (activation_named("tanh").function(p), activation_named("tanh").function(p, out=out)):
        np.testing.assert_allclose(found.numpy(), np.tanh(p.double().numpy()), rtol=0, atol=1.8e-7)


@pytest.mark.parametrize("name", NAMES)
def test_writing_into_a_buffer_gives_the_same_and_leaves_the_argument_alone(name: str) -> None:
    function, p = activation_named(name).function, points()
    out = torch.empty_like(p)
    returned = function(p, out=out)
    assert returned.data_ptr() == out.data_ptr()
    assert torch.equal(p, points())
    assert torch.equal(out, function(p))
    assert function(p).data_ptr() != p.data_ptr()


@pytest.mark.parametrize("name", NAMES)
def test_an_activation_may_write_over_its_argument(name: str) -> None:
    function, p = activation_named(name).function, points()
    expected = function(p)
    assert torch.equal(function(p, out=p), expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_slope_is_the_finite_difference_of_its_function(name: str) -> None:
    activation, p, step = activation_named(name), points(), 1e-6
    numeric = (activation.function(p + step) - activation.function(p - step)) / (2 * step)
    torch.testing.assert_close(activation.slope(p, activation.function(p)), numeric, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_largest_slope_is_the_lipschitz_constant(name: str) -> None:
    activation = activation_named(name)
    p = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    f = activation.function(p)
    assert float(activation.slope(p, f).max()) == pytest.approx(activation.max_slope, rel=1e-6)
    assert float((f.diff() / p.diff()).abs().max()) <= activation.max_slope * (1 + 1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_bounded_means_within_full_scale(name: str) -> None:
    activation = activation_named(name)
    far = activation.function(tensor([-1e6, 1e6]))
    assert activation.is_bounded == bool((far.abs() <= 1).all())


@pytest.mark.parametrize("name", ["hardtanh", "relu-clipped"])
def test_what_clips_is_differentiated_as_its_slope_says_also_at_a_kink(name: str) -> None:
    activation = activation_named(name)
    p = tensor((-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)).requires_grad_()
    image = activation.function(p)
    image.sum().backward()
    plain = activation.function(p.detach())
    assert torch.equal(image.detach(), plain)
    assert torch.equal(p.grad, activation.slope(p.detach(), plain))


@pytest.mark.parametrize(("name", "kinks"), [("hardtanh", (-1.0, 1.0)), ("relu-clipped", (0.0, 1.0)), ("relu", (0.0,))])
def test_at_a_kink_the_slope_is_that_of_the_saturated_side(name: str, kinks: tuple[float, ...]) -> None:
    activation, p = activation_named(name), tensor(kinks)
    assert activation.slope(p, activation.function(p)).tolist() == [0.0] * len(kinks)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_values_and_slopes_keep_the_dtype(name: str, dtype: torch.dtype) -> None:
    activation, p = activation_named(name), points().to(dtype)
    f = activation.function(p)
    assert f.dtype == dtype
    assert activation.slope(p, f).dtype == dtype


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("tahn", "tanh"),
        ("Tanh", "tanh"),
        ("hard-tanh", "hardtanh"),
        ("relu_clipped", "relu-clipped"),
        ("sigmoidal", "sigmoid"),
    ],
)
def test_a_misspelt_activation_is_answered_with_the_nearest(typo: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"unknown activation '{typo}'; did you mean '{meant}'\\?"):
        activation_named(typo)


def test_an_activation_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(InputError, match="unknown activation 'xyz'; known: tanh, sigmoid"):
        activation_named("xyz")
