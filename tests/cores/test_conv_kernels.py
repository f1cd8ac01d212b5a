"""Convolutions against scipy, against matrices written out by hand, and against their adjoints."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from analogdeq.cores import kernels as module
from analogdeq.cores.kernels import LocalKernels, SharedKernels, kernels_of
from analogdeq.cores.kernels import unrolled as unrolled_by_units
from unrolling import unrolled

CASES = [
    ((3, 3), (5, 4)),
    ((3, 3), (2, 2)),
    ((1, 1), (3, 3)),
    ((5, 3), (4, 6)),
    ((1, 5), (1, 7)),
    ((7, 1), (5, 1)),
]


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.fixture(params=[False, True], ids=["convolution routine", "product of matrices"])
def both_routes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared kernel takes the second route on a GPU, where the first would lose digits."""
    if request.param:
        monkeypatch.setattr(module, "_loses_digits", lambda x: True)


@pytest.mark.usefixtures("both_routes")
@pytest.mark.parametrize(("sides", "image"), CASES)
def test_a_shared_kernel_is_scipys_correlation_of_the_same_size(sides: tuple[int, int], image: tuple[int, int]) -> None:
    weight, x = random(3, 2, *sides), random(4, 2, *image)
    got = SharedKernels(weight).apply(x)
    for n in range(4):
        for o in range(3):
            parts = (correlate2d(np.pad(x[n, i], _rims(sides)), weight[o, i], mode="valid") for i in range(2))
            np.testing.assert_allclose(got[n, o].numpy(), sum(parts), rtol=0, atol=1e-12)


def _rims(sides: tuple[int, int]) -> list[tuple[int, int]]:
    return [(side // 2, side // 2) for side in sides]


@pytest.mark.usefixtures("both_routes")
@pytest.mark.parametrize("per_position", [False, True])
@pytest.mark.parametrize(("sides", "image"), CASES)
def test_kernels_do_what_their_unrolled_matrix_does_and_so_do_their_adjoints(
    sides: tuple[int, int], image: tuple[int, int], per_position: bool
) -> None:
    weight = random(*(image if per_position else ()), 3, 2, *sides)
    matrix = torch.as_tensor(unrolled(weight, image))
    x, y = random(5, 2, *image), random(5, 3, *image)
    kernels = kernels_of(weight)
    torch.testing.assert_close(kernels.apply(x).flatten(1), x.flatten(1) @ matrix.T)
    torch.testing.assert_close(kernels.transpose(y).flatten(1), y.flatten(1) @ matrix)
    torch.testing.assert_close(unrolled_by_units(kernels, 2, *image), matrix)


def test_equal_kernels_at_every_position_are_one_kernel() -> None:
    weight, x = random(3, 3, 3, 3), random(2, 3, 4, 6)
    local = LocalKernels(weight.expand(4, 6, -1, -1, -1, -1))
    torch.testing.assert_close(local.apply(x), SharedKernels(weight).apply(x))


def test_weights_of_a_local_kernel_that_would_read_padding_count_nowhere() -> None:
    weight = random(2, 2, 1, 1, 3, 3)
    changed = weight.clone()
    changed[0, 0, :, :, 0, :] = 1e6
    changed[1, 1, :, :, :, 2] = -1e6
    x = random(3, 1, 2, 2)
    assert torch.equal(LocalKernels(changed).apply(x), LocalKernels(weight).apply(x))


@pytest.mark.usefixtures("both_routes")
@pytest.mark.parametrize("shape", [(2, 2, 3, 3), (3, 4, 2, 2, 3, 3)])
def test_kernels_can_be_differentiated_twice(shape: tuple[int, ...]) -> None:
    weight, x = random(*shape).requires_grad_(), random(2, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda w, x: kernels_of(w).apply(x), (weight, x))
    assert torch.autograd.gradgradcheck(lambda w, x: kernels_of(w).apply(x), (weight, x))
