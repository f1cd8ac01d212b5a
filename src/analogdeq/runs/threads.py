"""How many processor threads a run uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

ONE_THREAD_BELOW = 2**16
"""State elements (nodes times batch) below which a second thread saves nothing."""


@contextmanager
def threads_for(nodes: int, batch: int) -> Iterator[None]:
    """Work of this size on one thread if it is small, on torch's own choice otherwise.

    Threads wait for each other by spinning. Small products end sooner than the wait, and on a machine that does
    something else besides, the wait has been seen to take ten times longer than the work.
    """
    before = torch.get_num_threads()
    if nodes * batch < ONE_THREAD_BELOW:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
