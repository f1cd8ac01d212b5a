"""The RC core: its equation, its Jacobian, its certificates and what it refuses."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from helpers import PHI, plain_core, random_core, random_inputs, tensor

ACTIVATIONS = ("tanh", "sigmoid", "hardtanh", "relu-clipped", "relu", "identity")


def evaluate(core: RCCore, z: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """dz/ds through the buffered interface."""
    dz = torch.full_like(z, torch.nan)
    power, work = z.new_empty(z.shape[0], 0), z.new_empty(core.work_buffers, *z.shape)
    core.evaluate(z, core.drive(u), dz, power, work)
    return dz


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_derivative_is_the_equation_of_the_circuit(activation: str) -> None:
    taus = tensor([1e-8, 2e-9, 5e-9, 1e-8])
    core = random_core(4, seed=1, activation=activation, tau_s=taus)
    z, u = torch.randn(7, 4, dtype=torch.float64), random_inputs(7, 3, seed=2)
    W, U, b = (p.numpy() for p in (core.W, core.U, core.b))
    F = PHI[activation](z.numpy() @ W.T + u.numpy() @ U.T + b)
    dz_dt = (F - z.numpy()) / taus.numpy()
    np.testing.assert_allclose(evaluate(core, z, u).numpy() / core.tau_s, dz_dt, rtol=1e-12, atol=1e-7)
    np.testing.assert_allclose(core.fixed_point_map(z, core.drive(u)).numpy(), F, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_gain_scales_the_nonlinearity_and_not_the_leak(activation: str) -> None:
    one, half = (plain_core([[0.3, -0.8], [0.5, 0.1]], activation=activation, gain=a) for a in (1.0, 0.5))
    z, u = torch.randn(5, 2, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    torch.testing.assert_close(evaluate(half, z, u), 0.5 * evaluate(one, z, u) - 0.5 * z)
    torch.testing.assert_close(half.fixed_point_map(z, half.drive(u)), 0.5 * one.fixed_point_map(z, one.drive(u)))


def test_evaluating_leaves_state_and_drive_alone() -> None:
    core = random_core(5, seed=0)
    z, u = torch.randn(3, 5, dtype=torch.float64), random_inputs(3, 3, seed=1)
    drive, before = core.drive(u), z.clone()
    current = drive.current.clone()
    core.evaluate(z, drive, torch.empty_like(z), z.new_empty(3, 0), z.new_empty(0, 3, 5))
    assert torch.equal(z, before)
    assert torch.equal(drive.current, current)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_linearisation_is_the_finite_difference_of_the_map(activation: str) -> None:
    core = RCCore(*(p for p in _parameters(5, 3)), activation=activation, gain=0.7)
    z, u = torch.randn(4, 5, dtype=torch.float64), random_inputs(4, 3, seed=2)
    drive, step = core.drive(u), 1e-6
    dense = core.linearise(z, drive).dense()
    for j in range(5):
        shift = torch.zeros(5, dtype=torch.float64)
        shift[j] = step
        column = (core.fixed_point_map(z + shift, drive) - core.fixed_point_map(z - shift, drive)) / (2 * step)
        torch.testing.assert_close(dense[:, :, j], column, rtol=1e-6, atol=1e-8)


def _parameters(n: int, inputs: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    core = random_core(n, seed=3, inputs=inputs)
    return core.W, core.U, core.b


def test_products_with_the_linearisation_are_those_of_its_dense_matrix() -> None:
    core = random_core(6, seed=0)
    z, u = torch.randn(4, 6, dtype=torch.float64), random_inputs(4, 3, seed=1)
    J, v = core.linearise(z, core.drive(u)), torch.randn(4, 6, dtype=torch.float64)
    torch.testing.assert_close(J.matvec(v), torch.einsum("bij,bj->bi", J.dense(), v))
    torch.testing.assert_close(J.rmatvec(v), torch.einsum("bij,bi->bj", J.dense(), v))


def test_the_map_with_parameters_handed_in_is_the_map() -> None:
    core = random_core(6, seed=0)
    z, u = torch.randn(4, 6, dtype=torch.float64), random_inputs(4, 3, seed=1)
    torch.testing.assert_close(core.map_with(z, u, core.W, core.U, core.b), core.fixed_point_map(z, core.drive(u)))


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("radius", [0.05, 0.4, 0.9, 1.5])
def test_the_contraction_gap_is_one_minus_slope_times_the_spectral_norm(activation: str, radius: float) -> None:
    core = random_core(9, seed=4, radius=radius, activation=activation)
    slope = 1.0 if activation == "tanh" else 0.25
    expected = max(0.0, 1 - slope * np.linalg.norm(core.W.numpy(), 2))
    assert core.contraction_gap() == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_the_contraction_gap_is_never_promised_where_there_is_none() -> None:
    # The power iteration starts from the ones vector, which this matrix sends to zero although its norm is 2.
    core = plain_core([[1.0, -1.0], [-1.0, 1.0]], activation="identity")
    assert core.contraction_gap() == 0.0


def test_the_contraction_gap_follows_a_change_of_weights() -> None:
    W = nn.Parameter(0.5 * torch.eye(3, dtype=torch.float64))
    core = RCCore(W, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    assert core.contraction_gap() == pytest.approx(0.5)
    with torch.no_grad():
        W.mul_(0.5)
    assert core.contraction_gap() == pytest.approx(0.75)
    core.load_state_dict({**core.state_dict(), "W": 0.9 * torch.eye(3, dtype=torch.float64)})
    assert core.contraction_gap() == pytest.approx(0.1)


def test_a_contraction_gap_counts_the_gain() -> None:
    assert plain_core([[0.8]], gain=0.5).contraction_gap() == pytest.approx(0.6)


def test_time_is_measured_by_the_slowest_node() -> None:
    core = plain_core(np.zeros((3, 3)), tau_s=tensor([2e-9, 1e-8, 5e-9]))
    assert core.tau_s == 1e-8
    assert core.rate is not None
    torch.testing.assert_close(core.rate, tensor([5.0, 1.0, 2.0]))
    assert plain_core(np.zeros((3, 3)), tau_s=tensor([3e-9] * 3)).rate is None


def test_full_scale_is_what_a_saturated_node_reaches() -> None:
    assert plain_core([[0.0]], gain=0.5).full_scale == 0.5
    assert plain_core([[0.0]], activation="relu").full_scale == 1.0


def test_parameters_are_trained_and_tensors_are_not() -> None:
    W, U, b = _parameters(4, 3)
    core = RCCore(nn.Parameter(W), U, nn.Parameter(b))
    assert {name for name, _ in core.named_parameters()} == {"W", "b"}
    assert set(core.state_dict()) == {"W", "U", "b"}
    assert all(mine is theirs for mine, theirs in zip(core.trainable(), (core.W, U, core.b), strict=True))


def test_a_core_moves_to_another_precision_with_its_time_constants() -> None:
    core = plain_core(np.zeros((2, 2)), tau_s=tensor([1e-9, 1e-8])).float()
    assert core.dtype == torch.float32
    assert core.rate is not None
    assert core.rate.dtype == torch.float32
    assert core.tau_s == 1e-8


def test_a_core_can_be_copied_and_sent_to_another_process() -> None:
    core = random_core(4, seed=0)
    z, u = torch.randn(2, 4, dtype=torch.float64), random_inputs(2, 3, seed=1)
    expected = core.fixed_point_map(z, core.drive(u))
    for twin in (copy.deepcopy(core), pickle.loads(pickle.dumps(core))):
        assert torch.equal(twin.fixed_point_map(z, twin.drive(u)), expected)


def good() -> dict[str, Any]:
    return {"W": torch.zeros(3, 3), "U": torch.zeros(3, 2), "b": torch.zeros(3)}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"W": torch.zeros(3)}, r"W must have 2 dimensions, got shape \(3,\)"),
        ({"W": torch.zeros(3, 2)}, r"W must be square and not empty, got shape \(3, 2\)"),
        ({"W": torch.zeros(0, 0)}, "W must be square and not empty"),
        ({"W": torch.zeros(4, 4)}, "W is for 4 nodes, but U has shape"),
        ({"U": torch.zeros(2, 2)}, r"U has shape \(2, 2\)"),
        ({"b": torch.zeros(2)}, r"b \(2,\)"),
        ({"b": torch.zeros(3, 1)}, r"b must have 1 dimensions, got shape \(3, 1\)"),
        ({"W": torch.zeros(3, 3, dtype=torch.float16)}, r"W must be float32 or float64, got torch\.float16"),
        ({"W": torch.zeros(3, 3, dtype=torch.bfloat16)}, "half precision cannot resolve a settle"),
        ({"W": torch.zeros(3, 3, dtype=torch.int64)}, r"W must be float32 or float64, got torch\.int64"),
        ({"U": torch.zeros(3, 2, dtype=torch.complex64)}, "U must be float32 or float64"),
        ({"U": torch.zeros(3, 2, dtype=torch.float64)}, r"U is torch\.float64 but W is torch\.float32; use one dtype"),
        ({"W": np.zeros((3, 3))}, "W must be a torch tensor, not ndarray"),
        ({"b": [0.0, 0.0, 0.0]}, "b must be a torch tensor, not list"),
        ({"W": torch.full((3, 3), math.nan)}, "W has 9 entries that are NaN or infinite"),
        ({"U": torch.tensor([[0.0, math.inf]] * 3)}, "U has 3 entries that are NaN or infinite"),
        ({"b": torch.tensor([0.0, -math.inf, 0.0])}, "b has 1 entries that are NaN or infinite"),
        ({"tau_s": 0.0}, "tau_s must be positive and finite, got 0 s"),
        ({"tau_s": -1e-9}, "tau_s must be positive and finite, got -1e-09 s"),
        ({"tau_s": math.nan}, "tau_s must be positive and finite, got nan s"),
        ({"tau_s": math.inf}, "tau_s must be positive and finite"),
        ({"tau_s": torch.tensor([1e-9, 0.0, 1e-9])}, "tau_s must be positive and finite"),
        ({"tau_s": torch.ones(2)}, r"tau_s must be one number or one per node \(3\), got shape \(2,\)"),
        ({"tau_s": torch.ones(3, 1)}, r"got shape \(3, 1\)"),
        ({"gain": 0.0}, r"gain = 0\.0 must be a positive number"),
        ({"gain": -1.0}, r"gain = -1\.0 must be a positive number"),
        ({"gain": math.nan}, "gain = nan must be a positive number"),
        ({"gain": math.inf}, "gain = inf must be a positive number"),
        ({"activation": "tahn"}, "did you mean 'tanh'"),
    ],
)
def test_a_core_that_cannot_be_built_says_why(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        RCCore(**{**good(), **changes})


def test_large_finite_weights_are_finite() -> None:
    W = torch.full((3, 3), 3e38)
    core = RCCore(W, torch.zeros(3, 1), torch.zeros(3))
    assert core.is_finite()
    core.b[0] = math.nan
    assert not core.is_finite()


@pytest.mark.parametrize("name", ["W", "U", "b"])
def test_weights_that_became_nan_in_training_are_noticed(name: str) -> None:
    core = random_core(4, seed=0)
    weight = getattr(core, name)
    weight[(0,) * (weight.ndim - 1) + (1,)] = math.nan
    assert not core.is_finite()


def test_a_tensor_is_kept_by_columns_and_a_parameter_as_it_is() -> None:
    W, U, b = torch.rand(5, 5), torch.zeros(5, 1), torch.zeros(5)
    kept = RCCore(W, U, b).W
    assert torch.equal(kept, W)
    assert kept.T.is_contiguous()
    assert RCCore(torch.nn.Parameter(W), U, b).W.is_contiguous()
