"""What `settle` refuses, and what it says."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from analogdeq.errors import InputError
from analogdeq.solve.options import METHODS, SettleOptions
from analogdeq.solve.settle import settle
from helpers import NATIVE, chip, plain_core, random_core, random_inputs, settle_core, tensor


def good_u() -> torch.Tensor:
    return random_inputs(2, 3, seed=0)


@pytest.mark.parametrize(
    ("u", "complaint"),
    [
        (torch.zeros(0, 3, dtype=torch.float64), "u is an empty batch; there is nothing to settle"),
        (torch.zeros(3, dtype=torch.float64), r"u must have shape \(batch, 3\), got \(3,\)"),
        (torch.zeros(2, 4, dtype=torch.float64), r"u must have shape \(batch, 3\), got \(2, 4\)"),
        (torch.zeros(2, 3, 1, dtype=torch.float64), r"u must have shape \(batch, 3\), got \(2, 3, 1\)"),
        (torch.zeros(2, 3), r"u is torch\.float32 but the core computes in torch\.float64; convert one of them"),
        (torch.zeros(2, 3, dtype=torch.float16), r"u is torch\.float16"),
        (torch.zeros(2, 3, dtype=torch.int64), r"u is torch\.int64"),
        (torch.zeros(2, 3, dtype=torch.complex128), r"u is torch\.complex128"),
        (np.zeros((2, 3)), r"u must be a torch tensor of shape \(batch, 3\), not ndarray"),
        ([[0.0, 0.0, 0.0]], r"not list"),
        (None, r"not NoneType"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(u: Any, complaint: str) -> None:
    for core in (random_core(4, seed=0), chip(random_core(4, seed=0))):
        with pytest.raises(InputError, match=complaint):
            settle(core, u)


@pytest.mark.parametrize(
    ("z0", "complaint"),
    [
        (torch.zeros(2, 3, dtype=torch.float64), r"z0 must have shape \(2, 4\), got \(2, 3\)"),
        (torch.zeros(1, 4, dtype=torch.float64), r"z0 must have shape \(2, 4\), got \(1, 4\)"),
        (torch.zeros(4, dtype=torch.float64), r"z0 must have shape \(2, 4\), got \(4,\)"),
        (torch.zeros(2, 4), r"z0 is torch\.float32 but the core computes in torch\.float64"),
        (np.zeros((2, 4)), "z0"),
        ([[0.0] * 4] * 2, "z0"),
    ],
)
def test_starts_that_do_not_fit_are_refused(z0: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        settle(random_core(4, seed=0), good_u(), z0=z0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["W", "U", "b"])
def test_weights_that_became_nan_are_refused(name: str, value: float) -> None:
    core = random_core(4, seed=0)
    weight = getattr(core, name)
    weight[(0,) * (weight.ndim - 1) + (1,)] = value
    with pytest.raises(InputError, match="weights hold NaN or infinity; no trajectory is defined"):
        settle(core, good_u())


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("tsit", "tsit5"),
        ("Tsit5", "tsit5"),
        ("bosh23", "bosh3"),
        ("scipy-radua", "scipy-radau"),
        ("radau", "scipy-radau"),
    ],
)
def test_a_misspelt_method_is_answered_with_the_nearest(typo: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"unknown settle method '{typo}'; did you mean '{meant}'\\?"):
        settle(random_core(4, seed=0), good_u(), method=typo)


def test_a_method_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(InputError, match=f"unknown settle method 'xyz'; known: {', '.join(METHODS)}"):
        SettleOptions(method="xyz")


@pytest.mark.parametrize("name", ["rtol", "atol", "band", "max_time_tau"])
@pytest.mark.parametrize("value", [0.0, -1e-3, math.nan, math.inf])
def test_a_tolerance_or_budget_that_is_not_positive_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"settle {name} = .* must be positive and finite"):
        settle(random_core(4, seed=0), good_u(), **{name: value})


@pytest.mark.parametrize("changes", [{"band": 1.0}, {"rtol": 1.0}, {"rtol": 5.0}])
def test_a_tolerance_of_one_or_more_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InputError, match="must be below 1"):
        SettleOptions(**changes)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_dwell_that_is_negative_or_endless_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"settle dwell_tau = .* must be finite and not negative"):
        SettleOptions(dwell_tau=value)


@pytest.mark.parametrize("value", [0, -3])
def test_a_budget_without_steps_is_refused(value: int) -> None:
    with pytest.raises(InputError, match=f"settle max_steps = {value} must be at least 1"):
        SettleOptions(max_steps=value)


@pytest.mark.parametrize("method", NATIVE)
def test_no_dwell_at_all_still_means_inside_the_band(method: str) -> None:
    out = settle_core([[0.5]], b=[0.5], dwell_tau=0.0, method=method)
    assert out.is_settled.all()
    assert out.t_settle_s.item() == pytest.approx(settle_core([[0.5]], b=[0.5]).t_settle_s.item(), rel=5e-3)


def test_results_can_take_part_in_training() -> None:
    """Whatever bookkeeping a settle spares itself, its tensors are ordinary ones."""
    weight = torch.ones(4, dtype=torch.float64, requires_grad=True)
    out = settle(chip(random_core(4, seed=0)), good_u())
    (out.z @ weight).sum().backward()
    torch.testing.assert_close(weight.grad, out.z.sum(0))
    assert out.ledger is not None
    fields = [*vars(out).values(), *vars(out.ledger).values()]
    tensors = [value for value in fields if isinstance(value, torch.Tensor)]
    assert len(tensors) > 15
    for value in tensors:
        assert not value.is_inference()
        value.add_(1)


def test_settling_under_inference_mode_works_too() -> None:
    core = random_core(4, seed=0)
    with torch.inference_mode():
        inner = settle(core, good_u())
    assert torch.equal(inner.z, settle(core, good_u()).z)


def test_a_core_in_training_can_be_settled() -> None:
    core = random_core(4, seed=0)
    core.W.requires_grad_()
    assert settle(core, good_u()).is_settled.all()
    assert core.contraction_gap() >= 0
    assert not settle(core, good_u()).z.requires_grad


def test_huge_but_finite_inputs_saturate() -> None:
    out = settle(plain_core([[0.5]]), tensor([[1e30], [-1e300]]))
    assert out.is_settled.all()
    assert out.z.flatten().tolist() == pytest.approx([1.0, -1.0])


def test_settling_a_chip_beyond_its_dac_is_settling_it_at_full_scale() -> None:
    placed = chip(random_core(4, seed=0))
    far, edge = settle(placed, tensor([[5.0, -7.0, 1.0]])), settle(placed, tensor([[1.0, -1.0, 1.0]]))
    assert torch.equal(far.z, edge.z)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("method", NATIVE)
def test_an_input_that_is_no_finite_number_diverges_on_core_and_chip_alike(value: float, method: str) -> None:
    """And nobody else in the batch notices."""
    core = random_core(4, seed=0)
    u = random_inputs(3, 3, seed=1)
    for settling in (core, chip(core)):
        sound = settle(settling, u, method=method)
        bad = u.clone()
        bad[1, 2] = value
        out = settle(settling, bad, method=method)
        assert [verdict.text for verdict in out.verdict] == ["settled", "diverged", "settled"]
        # The implicit stepper solves its stages over the batch, to its tolerance.
        torch.testing.assert_close(out.z[[0, 2]], sound.z[[0, 2]], rtol=0, atol=1e-8)
        assert bool(out.t_settle_s[1].isnan())
