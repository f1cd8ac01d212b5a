"""A settle that never ends must fail its test, not hang the suite; and a settle that must not need the loop."""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from analogdeq.solve.loop import SettleLoop

LIMIT_S = 30


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


@pytest.fixture
def no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a sample is left to the loop."""

    def run(self: SettleLoop) -> None:
        raise AssertionError("left to the loop")

    monkeypatch.setattr(SettleLoop, "run", run)
