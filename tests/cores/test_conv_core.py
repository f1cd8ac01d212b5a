"""The convolutional core: its equation, its dense twin, its Jacobian, its certificate, and what it refuses."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn

from analogdeq.cores.conv import ConvCore
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from helpers import PHI, random_inputs, tensor
from unrolling import bias, conv_core, dense_twin, unrolled

ACTIVATIONS = ("tanh", "sigmoid", "hardtanh", "relu-clipped", "relu", "identity")
CASES: list[dict[str, Any]] = [
    {},
    {"input_kernel": (3, 3), "inputs": 2},
    {"kernel": (5, 3), "input_kernel": (1, 3), "image": (3, 5), "channels": 3},
    {"per_position": True, "input_kernel": (3, 1)},
    {"gain": 0.6, "activation": "sigmoid"},
    {"image": (1, 6), "kernel": (1, 5)},
]


def evaluate(core: ConvCore | RCCore, z: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """dz/ds through the buffered interface."""
    dz = torch.full_like(z, torch.nan)
    core.evaluate(z, core.drive(u), dz, z.new_empty(z.shape[0], 0), z.new_empty(core.work_buffers, *z.shape))
    return dz


def state_and_input(core: ConvCore, batch: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    z = torch.randn(batch, core.n_nodes, dtype=core.dtype)
    return z, random_inputs(batch, core.n_inputs, seed=2, dtype=core.dtype)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_derivative_is_the_equation_with_scipys_correlations(activation: str) -> None:
    taus = tensor(np.random.default_rng(0).uniform(2e-9, 1e-8, (2, 4, 3)))
    core = conv_core(inputs=2, input_kernel=(3, 3), activation=activation, tau_s=taus)
    z, u = state_and_input(core)
    dz_dt = evaluate(core, z, u).view(-1, *core.state_shape) / core.tau_s
    for n, (state, image) in enumerate(zip(z.view(-1, 2, 4, 3).numpy(), u.view(-1, 2, 4, 3).numpy(), strict=True)):
        for o in range(2):
            p = core.b[o].item() + sum(
                correlate2d(state[i], core.W[o, i], mode="same") + correlate2d(image[i], core.U[o, i], mode="same")
                for i in range(2)
            )
            expected = (PHI[activation](p) - state[o]) / taus[o].numpy()
            np.testing.assert_allclose(dz_dt[n, o].numpy(), expected, rtol=1e-11, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_dense_core_of_the_unrolled_matrices(case: dict[str, Any]) -> None:
    core = conv_core(**case)
    twin = dense_twin(core)
    z, u = state_and_input(core)
    assert (core.n_nodes, core.n_inputs, core.full_scale) == (twin.n_nodes, twin.n_inputs, twin.full_scale)
    torch.testing.assert_close(core.drive(u).current, twin.drive(u).current)
    torch.testing.assert_close(evaluate(core, z, u), evaluate(twin, z, u))
    torch.testing.assert_close(core.fixed_point_map(z, core.drive(u)), twin.fixed_point_map(z, twin.drive(u)))


@pytest.mark.parametrize("per_position", [False, True])
def test_single_precision_keeps_six_digits(per_position: bool) -> None:
    core = conv_core(channels=8, inputs=3, image=(9, 8), per_position=per_position, dtype=torch.float32)
    twin = dense_twin(copy.deepcopy(core).double())
    z, u = state_and_input(core)
    exact = evaluate(twin, z.double(), u.double())
    torch.testing.assert_close(evaluate(core, z, u).double(), exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_jacobian_products_are_those_of_the_dense_core(case: dict[str, Any]) -> None:
    core = conv_core(**case)
    twin = dense_twin(core)
    z, u = state_and_input(core)
    mine, theirs = core.linearise(z, core.drive(u)), twin.linearise(z, twin.drive(u))
    v = torch.randn_like(z)
    torch.testing.assert_close(mine.matvec(v), theirs.matvec(v))
    torch.testing.assert_close(mine.rmatvec(v), theirs.rmatvec(v))
    torch.testing.assert_close(mine.dense(), theirs.dense())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_linearisation_is_the_finite_difference_of_the_map(activation: str) -> None:
    core = conv_core(image=(2, 3), activation=activation, gain=0.7)
    z, u = state_and_input(core)
    drive, step = core.drive(u), 1e-6
    dense = core.linearise(z, drive).dense()
    for j in range(core.n_nodes):
        shift = torch.zeros(core.n_nodes, dtype=torch.float64)
        shift[j] = step
        column = (core.fixed_point_map(z + shift, drive) - core.fixed_point_map(z - shift, drive)) / (2 * step)
        torch.testing.assert_close(dense[:, :, j], column, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_the_map_with_parameters_handed_in_is_the_map(case: dict[str, Any]) -> None:
    core = conv_core(**case)
    z, u = state_and_input(core)
    torch.testing.assert_close(core.map_with(z, u, *core.trainable()), core.fixed_point_map(z, core.drive(u)))


def test_rows_of_numbers_are_images_channel_by_channel() -> None:
    core = conv_core(channels=2, inputs=3, image=(4, 3))
    assert core.state_shape == (2, 4, 3)
    assert core.input_shape == (3, 4, 3)
    images = torch.randn(5, 3, 4, 3, dtype=torch.float64)
    current = core.drive(images.flatten(1)).current.view(-1, *core.state_shape)
    expected = nn.functional.conv2d(images, core.U, core.b)
    torch.testing.assert_close(current, expected)


@pytest.mark.parametrize("per_position", [False, True])
def test_evaluating_leaves_state_and_drive_alone(per_position: bool) -> None:
    core = conv_core(per_position=per_position)
    z, u = state_and_input(core)
    drive, before = core.drive(u), z.clone()
    current = drive.current.clone()
    core.evaluate(z, drive, torch.empty_like(z), z.new_empty(4, 0), z.new_empty(0, *z.shape))
    assert torch.equal(z, before)
    assert torch.equal(drive.current, current)


@pytest.mark.parametrize("per_position", [False, True])
def test_a_sample_does_not_see_its_batch(per_position: bool) -> None:
    core = conv_core(per_position=per_position)
    z, u = state_and_input(core, batch=7)
    together = evaluate(core, z, u)
    for n in range(7):
        torch.testing.assert_close(evaluate(core, z[n : n + 1], u[n : n + 1])[0], together[n], rtol=1e-13, atol=1e-14)
    z[3] = math.nan
    spoilt = evaluate(core, z, u)
    assert bool(torch.isnan(spoilt[3]).all())
    others = [0, 1, 2, 4, 5, 6]
    torch.testing.assert_close(spoilt[others], together[others], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("per_position", [False, True])
@pytest.mark.parametrize("size", [0.2, 0.5, 0.7, 3.0])
def test_the_contraction_gap_of_a_small_image_is_that_of_the_dense_core(size: float, per_position: bool) -> None:
    core = conv_core(size=size, image=(4, 5), per_position=per_position)
    assert core.contraction_gap() == pytest.approx(dense_twin(core).contraction_gap(), abs=1e-8)


@pytest.mark.parametrize("per_position", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_contraction_gap_of_a_larger_image_is_never_promised_too_wide(activation: str, per_position: bool) -> None:
    for seed, size in enumerate((0.3, 0.5, 1.0)):
        core = conv_core(
            channels=3, image=(14, 13), size=size, seed=seed, activation=activation, per_position=per_position
        )
        true_gap = dense_twin(core).contraction_gap()
        assert 0 <= core.contraction_gap() <= true_gap
        if not per_position:
            assert core.contraction_gap() >= true_gap - 0.05 * (1 - true_gap)


def test_a_checkerboard_that_the_first_guess_is_blind_to_still_has_its_norm() -> None:
    # The power iteration starts from a constant image, which this kernel sends to zero inside.
    weight = tensor([[[[0.0, -0.3, 0.0], [-0.3, 1.2, -0.3], [0.0, -0.3, 0.0]]]])
    core = ConvCore(weight, torch.zeros(1, 1, 1, 1, dtype=torch.float64), tensor([0.0]), height=24, width=24)
    assert core.contraction_gap() == 0.0


def test_the_contraction_gap_follows_a_change_of_weights() -> None:
    core = conv_core(channels=1, image=(3, 3), kernel=(1, 1))
    for weight in (0.5, -0.9, 1.5):
        core.W.fill_(weight)
        assert core.contraction_gap() == pytest.approx(max(0.0, 1 - abs(weight)), abs=1e-9)


def test_parameters_are_trained_and_tensors_are_not() -> None:
    source = conv_core()
    core = ConvCore(nn.Parameter(source.W), source.U, nn.Parameter(source.b), height=4, width=3)
    assert {name for name, _ in core.named_parameters()} == {"W", "b"}
    assert set(core.state_dict()) == {"W", "U", "b"}
    assert all(mine is theirs for mine, theirs in zip(core.trainable(), (core.W, core.U, core.b), strict=True))


def test_time_constants_may_be_one_an_image_or_a_row() -> None:
    taus = tensor(np.linspace(1e-9, 1e-8, 24))
    as_image, as_row = (conv_core(tau_s=t) for t in (taus.view(2, 4, 3), taus))
    assert as_image.rate is not None
    assert as_row.rate is not None
    torch.testing.assert_close(as_image.rate, as_row.rate)
    assert as_image.tau_s == 1e-8
    assert conv_core(tau_s=3e-9).rate is None


def test_a_core_can_be_copied_converted_and_sent_to_another_process() -> None:
    core = conv_core()
    z, u = state_and_input(core)
    expected = core.fixed_point_map(z, core.drive(u))
    for twin in (copy.deepcopy(core), pickle.loads(pickle.dumps(core))):
        assert torch.equal(twin.fixed_point_map(z, twin.drive(u)), expected)
    single = copy.deepcopy(core).float()
    assert single.dtype == torch.float32
    torch.testing.assert_close(
        single.fixed_point_map(z.float(), single.drive(u.float())).double(), expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ["W", "U", "b"])
def test_weights_that_became_nan_in_training_are_noticed(name: str) -> None:
    core = conv_core()
    assert core.is_finite()
    getattr(core, name).view(-1)[1] = math.nan
    assert not core.is_finite()


def test_the_hand_written_matrix_is_the_one_of_an_impulse_response() -> None:
    """The oracle of this file, held against a case small enough to read."""
    weight = tensor([[[[1.0, 2.0, 3.0]]]])
    np.testing.assert_array_equal(unrolled(weight, (1, 3)), [[2.0, 3.0, 0.0], [1.0, 2.0, 3.0], [0.0, 1.0, 2.0]])
    core = conv_core(channels=2, image=(1, 2), kernel=(1, 1), per_position=True)
    np.testing.assert_array_equal(bias(core), [*core.b[0, :, 0].tolist(), *core.b[0, :, 1].tolist()])


def good() -> dict[str, Any]:
    return {
        "W": torch.zeros(2, 2, 3, 3),
        "U": torch.zeros(2, 1, 1, 1),
        "b": torch.zeros(2),
        "height": 4,
        "width": 3,
    }


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"W": torch.zeros(2, 2, 3)}, r"W must have 4 or 6 dimensions, got shape \(2, 2, 3\)"),
        ({"U": torch.zeros(2, 1)}, r"U must have 4 or 6 dimensions, got shape \(2, 1\)"),
        ({"b": torch.zeros(2, 1)}, r"b must have 1 or 3 dimensions, got shape \(2, 1\)"),
        ({"W": torch.zeros(2, 3, 3, 3)}, r"W must lead from as many channels as it leads to, got shape \(2, 3, 3, 3\)"),
        ({"W": torch.zeros(0, 0, 3, 3)}, "W and U must not be empty"),
        ({"U": torch.zeros(2, 0, 1, 1)}, "W and U must not be empty"),
        ({"U": torch.zeros(3, 1, 1, 1)}, r"W is for 2 channels, but U has shape \(3, 1, 1, 1\)"),
        ({"b": torch.zeros(3)}, r"b \(3,\)"),
        ({"W": torch.zeros(2, 2, 2, 3)}, "W has kernels of 2 x 3; .* needs odd sides"),
        ({"U": torch.zeros(2, 1, 1, 4)}, "U has kernels of 1 x 4; .* needs odd sides"),
        ({"W": torch.zeros(2, 2, 3, 7)}, "W has kernels of 3 x 7, too large for an image of 4 x 3"),
        ({"U": torch.zeros(2, 1, 9, 1)}, "U has kernels of 9 x 1, too large for an image of 4 x 3"),
        ({"height": 0}, "height and width must be positive whole numbers, got 0 and 3"),
        ({"width": 3.0}, r"height and width must be positive whole numbers, got 4 and 3\.0"),
        ({"W": torch.zeros(4, 3, 2, 2, 3, 3)}, r"must all hold for every position, or all begin with .*\(4, 3\)"),
        (
            {"W": torch.zeros(5, 3, 2, 2, 3, 3), "U": torch.zeros(5, 3, 2, 1, 1, 1), "b": torch.zeros(5, 3, 2)},
            r"all begin with the image's \(4, 3\); got shapes \(5, 3, 2, 2, 3, 3\)",
        ),
        ({"W": torch.zeros(2, 2, 3, 3, dtype=torch.float16)}, r"W must be float32 or float64, got torch\.float16"),
        ({"U": torch.zeros(2, 1, 1, 1, dtype=torch.float64)}, r"U is torch\.float64 but W is torch\.float32"),
        ({"W": [[0.0]]}, "W must be a torch tensor, not list"),
        ({"W": torch.full((2, 2, 3, 3), math.nan)}, "W has 36 entries that are NaN or infinite"),
        ({"U": torch.full((2, 1, 1, 1), math.inf)}, "U has 2 entries that are NaN or infinite"),
        ({"tau_s": 0.0}, "tau_s must be positive and finite, got 0 s"),
        ({"tau_s": torch.ones(2)}, r"tau_s must be one number or one per node \(24\), got shape \(2,\)"),
        ({"tau_s": torch.ones(2, 3, 4)}, r"got shape \(2, 3, 4\)"),
        ({"gain": -1.0}, r"gain = -1\.0 must be a positive number"),
        ({"activation": "tahn"}, "did you mean 'tanh'"),
    ],
)
def test_a_core_that_cannot_be_built_says_why(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        ConvCore(**{**good(), **changes})
