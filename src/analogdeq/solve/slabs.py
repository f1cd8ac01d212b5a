"""A large batch is settled a slab at a time, so that the memory a settle works in does not grow with the batch."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Drive
from analogdeq.solve.outcome import Outcome
from analogdeq.solve.record import Recorder

NUMBERS = 2**17
"""State variables in a slab on a processor, whose caches hold so many per stage."""
NUMBERS_ON_DEVICE = 2**24
"""The same on an accelerator, which idles when given few."""
FEWEST = 128
"""Samples in a slab at the least: products with the weights are slow for fewer."""


@final
@dataclass(frozen=True, kw_only=True)
class Batch:
    """What the slabs of a batch share, a row per sample.

    Attributes:
        drive: its constant drive.
        start: (batch, node). Where it begins.
        outcome: what each sample came to, written once it is known.
        recorder: takes the waveforms of some samples; None where none is recorded.
    """

    drive: Drive
    start: Tensor
    outcome: Outcome
    recorder: Recorder | None = None


def slabs(rows: Tensor, n_nodes: int, together: Tensor) -> list[Tensor]:
    """The given rows of a batch (row,), slab by slab, each in one of them.

    Args:
        rows: (row,) int64.
        n_nodes: states of each.
        together: (row,) int64. Those among them that must run side by side, whatever their number; they come first.
    """
    lanes = max(FEWEST, (NUMBERS if rows.device.type == "cpu" else NUMBERS_ON_DEVICE) // n_nodes)
    if len(rows) <= lanes:
        return [rows] if len(rows) else []
    others = rows[~torch.isin(rows, together)]
    n_first = max(0, lanes - together.numel())
    first = torch.cat((together, others[:n_first]))
    return [first, *(slab for slab in others[n_first:].split(lanes) if slab.numel())]
