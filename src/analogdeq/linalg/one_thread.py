"""Work kept to one thread of the processor."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor


@final
@dataclass
class _Kept:
    """How many callers keep torch to one thread now, and how many threads it had before the first of them."""

    callers: int = 0
    before: int = 1
    lock: threading.Lock = field(default_factory=threading.Lock)


_KEPT = _Kept()


@contextlib.contextmanager
def one_thread(like: Tensor) -> Iterator[int]:
    """Keep torch to one thread of the processor, and hand out how many it has otherwise; a device runs as it does.

    *Factorisations.* With two threads torch 2.13.0 (CPU, MKL, AMD EPYC) returned wrong factors, mostly without an
    error, for batches of matrices of 160 rows or more: residuals of 1 where one thread leaves 1e-14. Cholesky, QR,
    eigenvalues, singular values and solutions with good factors were right.

    *Few numbers.* After an operation on several threads these wait busily for the next one, some milliseconds, in which
    no other thread gets their processors.

    Callers in several threads may overlap: the count comes back when the last one is done.

    Args:
        like: a tensor where the work is done.
    """
    if like.device.type != "cpu":
        yield torch.get_num_threads()
        return
    with _KEPT.lock:
        if _KEPT.callers == 0:
            _KEPT.before = torch.get_num_threads()
            if _KEPT.before > 1:
                torch.set_num_threads(1)
        _KEPT.callers += 1
    try:
        yield _KEPT.before
    finally:
        with _KEPT.lock:
            _KEPT.callers -= 1
            if _KEPT.callers == 0 and _KEPT.before > 1:
                torch.set_num_threads(_KEPT.before)
