"""Fixtures of the trace tests."""

from collections.abc import Callable

import pytest
from made_up import make_header, make_settled

from analogdeq.solve.settled import Settled
from analogdeq.trace import TraceHeader


@pytest.fixture
def settled() -> Settled:
    return make_settled()


@pytest.fixture
def header(settled: Settled) -> TraceHeader:
    return make_header(settled)


@pytest.fixture
def settled_of() -> Callable[..., Settled]:
    return make_settled


@pytest.fixture
def header_of() -> Callable[..., TraceHeader]:
    return make_header
