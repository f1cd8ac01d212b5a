"""How much memory a settle holds at its peak, counted tensor by tensor."""

import inspect
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from analogdeq.cores.core import Core
from analogdeq.solve.settle import settle

PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


@final
class LiveStorage(TorchDispatchMode):
    """Watches every tensor that is made while it is active; those that were there before do not count.

    Scratch memory that one operation takes and gives back inside itself is not seen.

    Attributes:
        peak_bytes: the most that was alive at once.
        peak: bytes alive then, by the line of this package that made them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self.peak: Counter[str] = Counter()
        self._alive: dict[int, tuple[StorageWeakRef, int, str]] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do the operation, and look at what it made."""
        given = {StorageWeakRef(t.untyped_storage()).cdata for t in _tensors((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            reference = StorageWeakRef(storage)
            if reference.cdata not in given and reference.cdata not in self._alive:
                self._alive[reference.cdata] = (reference, storage.nbytes(), _where())
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        n_bytes = sum(size for _, size, _ in self._alive.values())
        if n_bytes > self.peak_bytes:
            self.peak_bytes, self.peak = n_bytes, Counter()
            for _, size, where in self._alive.values():
                self.peak[where] += size
        return result


def peak_buffers(
    core: Core, u: Tensor, method: str = "auto", *, compiled: bool = True
) -> tuple[float, dict[str, float]]:
    """The most memory a settle holds at once, in buffers of the size of the state (batch, node).

    The drive U u + b and the initial state, which every solver needs, count as one buffer each. The core's own tensors
    and `u` do not count.

    Returns:
        The number at the peak, and by the line of this package that made them, largest first.
    """
    with LiveStorage() as storage:
        settle(core, u, method=method, compiled=compiled)
    one = u.shape[0] * core.n_nodes * torch.finfo(core.dtype).bits // 8
    return storage.peak_bytes / one, {where: size / one for where, size in storage.peak.most_common()}


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _where() -> str:
    """The innermost line of this package outside this file."""
    frame = inspect.currentframe()
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE) and file != __file__:
            return f"{file.removeprefix(PACKAGE)}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return "elsewhere"
