"""The processes of one training, as torchrun starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, distributed

from analogdeq.errors import InputError


@final
@dataclass(frozen=True)
class Workers:
    """How many processes train together, and which of them this is.

    Attributes:
        rank: 0 for the one that writes files.
        world: how many.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of a batch; never empty, so that no process waits for another in vain.

        A batch smaller than the number of processes lends its first row, which `weight` counts as nothing.
        """
        mine = rows[self.rank :: self.world]
        return mine if len(mine) else rows[:1]

    def weight(self, batch: int) -> float:
        """What turns a mean over `share` into this process's part of the mean over the batch.

        Gradients are averaged over processes, so the weights sum up to their number.
        """
        return len(range(self.rank, batch, self.world)) * self.world / batch

    def sums(self, values: list[float]) -> list[float]:
        """Each value summed over all processes."""
        return self._reduced(values, distributed.ReduceOp.SUM)

    def maxima(self, values: list[float]) -> list[float]:
        """The largest of each value over all processes."""
        return self._reduced(values, distributed.ReduceOp.MAX)

    def tell(self, value: Any) -> Any:
        """What the first process says; every process must call it."""
        if self.world == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def _reduced(self, values: list[float], how: Any) -> list[float]:
        if self.world == 1:
            return values
        table = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(table, op=how)
        return [float(value) for value in table]


ALONE = Workers()


@contextmanager
def joined_workers() -> Iterator[Workers]:
    """Join the processes torchrun started; alone where it did not.

    With as many GPUs as processes on this machine each has its own, by its local rank.

    Raises:
        InputError: if torchrun's variables are there but are no numbers.
    """
    try:
        rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError:
        raise InputError("RANK and WORLD_SIZE, which torchrun sets, must be whole numbers") from None
    if world == 1:
        yield ALONE
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if torch.cuda.is_available() and local < torch.cuda.device_count():
        torch.cuda.set_device(local)
    # Gloo sums numbers of the host, NCCL those of a GPU; each where it is needed.
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Workers(rank, world)
    finally:
        distributed.destroy_process_group()
