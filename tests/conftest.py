"""Every test starts from the same seeds and leaves torch as it found it."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import settings

import approx_guard
from analogdeq.cores.rc import RCCore
from analogdeq.solve.settle import settle

# The same examples every time: a suite that fails one day in ten teaches people to run it again.
settings.register_profile("seeded", derandomize=True)
settings.load_profile("seeded")

approx_guard.install()

# The tensors of these tests are small: a second thread costs more than it computes.
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _what_is_compiled_is_compiled() -> None:
    """Once for each precision, before any clock runs or program starts; later sessions find it on disk."""
    for dtype in (torch.float32, torch.float64):
        W = torch.tensor([[0.1, 1.2], [-0.4, 0.1]], dtype=dtype)  # no contraction, but Picard iterations converge
        settle(RCCore(W, torch.eye(2, dtype=dtype), W[0], tau_s=1.0), torch.rand(3, 2, dtype=dtype))


@pytest.fixture(autouse=True)
def _same_seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_test_changes_torch() -> Iterator[None]:
    before = _torch_state()
    yield
    assert _torch_state() == before, "this test left global torch state changed"


def _torch_state() -> dict[str, object]:
    return {
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "anomaly detection": torch.is_anomaly_enabled(),
    }
