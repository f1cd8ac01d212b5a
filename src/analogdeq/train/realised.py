"""A model on a chip for the time of a minibatch, and what its draws have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

from analogdeq.models.network import Realise
from analogdeq.stability.reached import Reached


@contextmanager
def settled_on(model: Any, chip: Realise | None) -> Iterator[None]:
    """Let the cores of a `Model` settle on `chip` meanwhile; on ideal cores again afterwards."""
    model.realise = chip
    try:
        yield
    finally:
        model.realise = None


@final
@dataclass
class DrawTotals:
    """What is counted of an epoch's chips; the same in every process, since all draw the same chips.

    Attributes:
        draws: minibatches.
        uncertified: minibatches with a core that is no contraction any more, by `contraction_gap`.
    """

    draws: int = 0
    uncertified: int = 0

    def add(self, reached: list[Reached]) -> None:
        """Count the chip of a minibatch."""
        self.draws += 1
        self.uncertified += any(one.core.contraction_gap() == 0 for one in reached)

    def row(self) -> dict[str, float]:
        """The columns of an epoch; none where nothing was drawn."""
        return {"uncertified_draws_fraction": self.uncertified / self.draws} if self.draws else {}
