"""The exponential of many small matrices, against scipy's."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from analogdeq.linalg.exponential import exponential


@pytest.mark.parametrize("size", [1e-3, 0.25, 3.0, 40.0])
def test_it_is_scipys_for_matrices_of_any_size(size: float) -> None:
    generator = torch.Generator().manual_seed(0)
    H = torch.randn(5, 12, 12, generator=generator, dtype=torch.float64)
    H -= 4 * torch.eye(12, dtype=torch.float64)  # decaying, as a circuit is
    time = size * torch.tensor([1.0, 0.5, 0.1, 1e-3, 0.0], dtype=torch.float64) / H.abs().sum(2).amax(1)
    for found, matrix, t in zip(exponential(H, time), H.numpy(), time.tolist(), strict=True):
        np.testing.assert_allclose(found.numpy(), expm(t * matrix), rtol=0, atol=3e-14 * max(1.0, size))


def test_a_matrix_that_is_not_finite_spoils_no_other() -> None:
    H = torch.zeros(2, 2, 2, dtype=torch.float64)
    H[0, 0, 0], H[1, 0, 0] = -40.0, torch.nan
    found = exponential(H, torch.ones(2, dtype=torch.float64))
    np.testing.assert_allclose(found[0].numpy(), np.diag([np.exp(-40.0), 1.0]), rtol=0, atol=1e-12)
    assert not torch.isfinite(found[1]).all()


def test_no_matrix_has_no_exponential() -> None:
    assert exponential(torch.zeros(0, 3, 3), torch.zeros(0)).shape == (0, 3, 3)
