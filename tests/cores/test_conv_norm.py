"""Bounds of the norm of a convolution: never below it, and close enough to be of use."""

import numpy as np
import pytest
import torch

from analogdeq.cores import conv_norm
from analogdeq.cores.conv_norm import EXACT_UP_TO, local_bound, norm_bound, periodic_bound
from analogdeq.cores.kernels import kernels_of
from unrolling import unrolled

SHAPES = [
    (1, (2, 2), (3, 3)),
    (2, (3, 5), (3, 3)),
    (3, (1, 9), (1, 5)),
    (2, (6, 4), (5, 3)),
    (1, (7, 7), (7, 7)),
    (2, (5, 5), (1, 1)),
    (1, (3, 3), (5, 5)),
]


def norm(weight: torch.Tensor, image: tuple[int, int]) -> float:
    return float(np.linalg.norm(unrolled(weight, image), 2))


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize(("channels", "image", "sides"), SHAPES)
def test_the_periodic_bound_is_never_below_the_norm(
    channels: int, image: tuple[int, int], sides: tuple[int, int]
) -> None:
    for seed in range(20):
        weight = random(channels, channels, *sides, seed=seed)
        assert periodic_bound(weight, *image) >= norm(weight, image) * (1 - 1e-12)


@pytest.mark.parametrize("spread", [0.0, 0.05, 1.0])
@pytest.mark.parametrize(("channels", "image", "sides"), SHAPES)
def test_the_local_bound_is_never_below_the_norm(
    channels: int, image: tuple[int, int], sides: tuple[int, int], spread: float
) -> None:
    for seed in range(10):
        mean = random(channels, channels, *sides, seed=seed)
        weight = mean + spread * random(*image, channels, channels, *sides, seed=seed + 100)
        assert local_bound(weight) >= norm(weight, image) * (1 - 1e-12)


def test_a_smooth_kernel_attains_the_periodic_bound_as_the_image_grows() -> None:
    weight = torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64)  # a mean: gain 1 on a torus
    excess = [periodic_bound(weight, n, n) / norm(weight, (n, n)) - 1 for n in (4, 8, 16)]
    assert excess[0] > 3 * excess[1] > 9 * excess[2] > 0
    assert excess[2] < 0.03


def test_the_periodic_bound_is_tight_on_an_image_of_ordinary_size() -> None:
    for seed in range(3):
        weight = random(2, 2, 3, 3, seed=seed)
        assert periodic_bound(weight, 16, 16) < 1.03 * norm(weight, (16, 16))


def test_one_pixel_kernels_are_bounded_exactly() -> None:
    weight = random(3, 3, 1, 1, seed=0)
    assert periodic_bound(weight, 5, 5) == pytest.approx(norm(weight, (5, 5)), rel=1e-12)
    local = random(4, 4, 3, 3, 1, 1, seed=1)
    assert local_bound(local) == pytest.approx(norm(local, (4, 4)), rel=1e-12)


def test_small_deviations_loosen_the_local_bound_little() -> None:
    weight = random(2, 2, 3, 3, seed=0) + 0.01 * random(16, 16, 2, 2, 3, 3, seed=1)
    assert norm(weight, (16, 16)) <= local_bound(weight) < 1.1 * norm(weight, (16, 16))


def test_what_would_read_padding_does_not_enter_the_local_bound() -> None:
    weight = random(6, 6, 1, 1, 3, 3, seed=0)
    changed = weight.clone()
    changed[0, :, :, :, 0] = 1e6
    assert local_bound(changed) == pytest.approx(local_bound(weight), rel=1e-12)


@pytest.mark.parametrize("per_position", [False, True])
def test_small_images_get_the_norm_itself_and_no_less(per_position: bool) -> None:
    image, n_nodes = (8, 8), 4 * 8 * 8
    weight = random(*(image if per_position else ()), 4, 4, 3, 3, seed=0)
    assert n_nodes <= EXACT_UP_TO
    bound, exact = norm_bound(kernels_of(weight), 4, *image), norm(weight, image)
    assert exact * (1 + 1e-12) < bound < exact * (1 + 1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("per_position", [False, True])
def test_larger_images_get_a_bound_in_double_precision(
    per_position: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conv_norm, "unrolled", _forbidden)
    image, n_nodes = (12, 11), 4 * 12 * 11
    weight = random(*(image if per_position else ()), 4, 4, 3, 3, seed=0).to(dtype)
    assert n_nodes > EXACT_UP_TO
    assert norm_bound(kernels_of(weight), 4, *image) > norm(weight, image)


def _forbidden(*_: object) -> None:
    raise AssertionError("the matrix of a larger image must not be formed")


def test_zero_kernels_have_no_norm() -> None:
    zero = torch.zeros(24, 24, 1, 1, 3, 3, dtype=torch.float64)
    assert norm_bound(kernels_of(zero), 1, 24, 24) == 0.0
    assert norm_bound(kernels_of(zero[0, 0]), 1, 24, 24) == 0.0
