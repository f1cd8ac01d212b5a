"""Devices that do not program and lines that do not conduct: frozen in silicon, whatever is programmed."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.devices.streams import Streams, uniforms
from analogdeq.errors import RangeError


@final
@dataclass(frozen=True, kw_only=True)
class Faults:
    """How many devices and lines are broken, and how.

    Attributes:
        stuck_low: [1]. Fraction of devices stuck at `low_S`.
        stuck_high: [1]. Fraction stuck at `high_S`.
        stuck_anywhere: [1]. Fraction stuck at a conductance drawn uniformly from `low_S` to `high_S`.
        low_S: [S]. None: the circuit's g_min.
        high_S: [S]. None: the circuit's g_max.
        dead_rows: [1]. Fraction of summing lines that are open: every device on it conducts nothing.
        dead_columns: [1]. Fraction of drive lines that are open, + and - lines apart.
    """

    stuck_low: float = 0.0
    stuck_high: float = 0.0
    stuck_anywhere: float = 0.0
    low_S: float | None = None
    high_S: float | None = None
    dead_rows: float = 0.0
    dead_columns: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no probability.

        Raises:
            RangeError: naming the value.
        """
        for name in ("stuck_low", "stuck_high", "stuck_anywhere", "dead_rows", "dead_columns"):
            if not (0 <= getattr(self, name) <= 1):
                raise RangeError(f"faults {name} = {getattr(self, name)} must be a fraction from 0 to 1")
        if self.stuck_low + self.stuck_high + self.stuck_anywhere > 1:
            raise RangeError("more than all devices would be stuck; stuck fractions must add up to 1 at most")

    def apply(self, G_S: Tensor, g_min_S: float, g_max_S: float, streams: Streams, array: str) -> Tensor:
        """[S]. The conductances with the broken ones in place.

        Args:
            G_S: (..., row, column) [S].
            g_min_S: [S]. Of the circuit, where `low_S` is None.
            g_max_S: [S]. Of the circuit, where `high_S` is None.
            streams: of the chip seed: the same devices are broken at every age and after every programming.
            array: which devices, "plus" or "minus". A summing line is shared by both.
        """
        low = g_min_S if self.low_S is None else self.low_S
        high = g_max_S if self.high_S is None else self.high_S
        which, where = (uniforms(G_S, streams.named("stuck", name, array)) for name in ("which", "where"))
        broken = G_S
        edge = 0.0
        for share, value in (
            (self.stuck_low, torch.full_like(G_S, low)),
            (self.stuck_high, torch.full_like(G_S, high)),
            (self.stuck_anywhere, low + (high - low) * where),
        ):
            broken = torch.where((which >= edge) & (which < edge + share), value, broken)
            edge += share
        rows = uniforms(G_S[..., :1], streams.named("dead rows")) < self.dead_rows
        columns = uniforms(G_S[..., :1, :], streams.named("dead columns", array)) < self.dead_columns
        return torch.where(rows | columns, torch.zeros_like(G_S), broken)
