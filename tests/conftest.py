"""Every test starts from the same seeds and leaves torch as it found it."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import settings

import approx_guard

# The same examples every time: a suite that fails one day in ten teaches people to run it again.
settings.register_profile("seeded", derandomize=True)
settings.load_profile("seeded")

approx_guard.install()

# The tensors of these tests are small: a second thread costs more than it computes.
torch.set_num_threads(1)


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
