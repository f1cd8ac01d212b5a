"""A settle that never ends must fail its test, not hang the suite."""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest
import torch

from analogdeq.cores.rc import RCCore
from analogdeq.solve.settle import settle

LIMIT_S = 30


@pytest.fixture(scope="session", autouse=True)
def _what_is_compiled_is_compiled() -> None:
    """Once for each precision, before any clock runs; later sessions find it on disk."""
    for dtype in (torch.float32, torch.float64):
        W = torch.tensor([[0.1, 1.5], [-1.5, 0.1]], dtype=dtype)
        settle(RCCore(W, torch.eye(2, dtype=dtype), W[0], tau_s=1.0), torch.rand(3, 2, dtype=dtype))


@pytest.fixture(autouse=True)
def _no_settle_is_endless() -> Iterator[None]:
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"still running after {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
