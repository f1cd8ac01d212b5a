"""Weights to conductances and back."""

import numpy as np
import pytest
import torch

from analogdeq.circuits.mapping import ConductancePairs, map_weights
from analogdeq.errors import AnalogdeqError, InputError, RangeError
from helpers import circuit, tensor

MAPPINGS = ("one-sided", "balanced")


def some_weights(rows: int = 5, columns: int = 8, seed: int = 0) -> torch.Tensor:
    weights = np.random.default_rng(seed).normal(size=(rows, columns))
    weights[0, 0] = 0.0
    return tensor(weights)


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_weights_survive_the_round_trip_through_conductances(mapping: str, scale: float) -> None:
    weights = scale * some_weights()
    pairs = map_weights(weights, circuit(mapping=mapping))
    largest = float(weights.abs().max())
    torch.testing.assert_close(pairs.weights(), weights, rtol=0, atol=1e-15 * 4 * largest)


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("g_min_S", [0.0, 0.25e-6, 20e-6])
def test_every_conductance_lies_in_the_window_and_the_largest_weight_uses_all_of_it(
    mapping: str, g_min_S: float
) -> None:
    pairs = map_weights(some_weights(), circuit(mapping=mapping, g_min_S=g_min_S))
    both = torch.stack((pairs.plus_S, pairs.minus_S))
    assert float(both.min()) >= g_min_S * (1 - 1e-12)
    assert float(both.max()) <= 25e-6 * (1 + 1e-12)
    assert float(both.max()) == pytest.approx(25e-6, rel=1e-12, abs=0)
    assert float(both.min()) == pytest.approx(g_min_S, rel=1e-12, abs=1e-20)


def test_one_sided_pairs_are_those_of_the_textbook() -> None:
    pairs = map_weights(tensor([[2.0, -1.0, 0.0]]), circuit(g_min_S=1e-6, g_max_S=21e-6))
    assert pairs.feedback_ohm == pytest.approx(2.0 / 20e-6)
    torch.testing.assert_close(pairs.plus_S, tensor([[21e-6, 1e-6, 1e-6]]))
    torch.testing.assert_close(pairs.minus_S, tensor([[1e-6, 11e-6, 1e-6]]))


def test_balanced_pairs_are_those_of_the_textbook() -> None:
    pairs = map_weights(tensor([[2.0, -1.0, 0.0]]), circuit(g_min_S=1e-6, g_max_S=21e-6, mapping="balanced"))
    assert pairs.feedback_ohm == pytest.approx(2.0 / 20e-6)
    torch.testing.assert_close(pairs.plus_S, tensor([[21e-6, 6e-6, 11e-6]]))
    torch.testing.assert_close(pairs.minus_S, tensor([[1e-6, 16e-6, 11e-6]]))


def test_balanced_rows_all_have_the_same_sum_and_hence_the_same_noise_gain() -> None:
    pairs = map_weights(some_weights(), circuit(mapping="balanced"))
    torch.testing.assert_close(pairs.row_sum_S(), torch.full((5,), 8 * 25.25e-6, dtype=torch.float64))
    gains = pairs.noise_gain()
    torch.testing.assert_close(gains, gains[:1].expand(5))


def test_one_sided_costs_less_conductance_than_balanced() -> None:
    weights = some_weights()
    one_sided, balanced = (map_weights(weights, circuit(mapping=name)) for name in MAPPINGS)
    assert bool((one_sided.row_sum_S() < balanced.row_sum_S()).all())


def test_sums_and_noise_gain_are_those_of_the_devices() -> None:
    pairs = ConductancePairs(tensor([[1.0, 2.0], [3.0, 4.0]]), tensor([[0.5, 0.25], [0.0, 1.0]]), 10.0)
    assert torch.equal(pairs.row_sum_S(), tensor([3.75, 8.0]))
    assert torch.equal(pairs.column_sum_S(), tensor([4.5, 7.25]))
    assert torch.equal(pairs.noise_gain(), tensor([38.5, 81.0]))
    assert torch.equal(pairs.weights(), tensor([[5.0, 17.5], [30.0, 30.0]]))


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_the_smallest_and_largest_representable_weights_map(mapping: str) -> None:
    for extreme in (1e-300, 1e300):
        pairs = map_weights(tensor([[extreme, -extreme / 2]]), circuit(mapping=mapping))
        torch.testing.assert_close(pairs.weights(), tensor([[extreme, -extreme / 2]]), rtol=1e-12, atol=0)


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf"), float("-inf")])
def test_weights_without_a_finite_non_zero_largest_have_no_feedback_resistor(bad: float) -> None:
    with pytest.raises(InputError, match=r"the largest \|weight\| is"):
        map_weights(tensor([[bad, 0.0]]), circuit())


def test_a_nan_among_good_weights_is_refused() -> None:
    with pytest.raises(InputError):
        map_weights(tensor([[1.0, float("nan"), 0.5]]), circuit())


def test_no_weights_at_all_are_refused() -> None:
    with pytest.raises(InputError, match="feedback resistor"):
        map_weights(torch.empty(0, 0), circuit())


def test_an_unknown_mapping_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AnalogdeqError, match=r"unknown mapping 'one_sided'.*'one-sided'.*'balanced'") as caught:
        map_weights(some_weights(), circuit(mapping="one_sided"))
    assert isinstance(caught.value, RangeError)
