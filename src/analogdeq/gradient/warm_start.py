"""What a linear solve leaves for the next one."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass
class WarmStart:
    """The last solution v of (I - J^T) v = g, where the next solve begins.

    Worth it where consecutive calls see almost the same samples: control from one time step to the next, or one batch
    seen again. A sample for which the old v is no better than zero begins from zero; a batch of another shape begins
    afresh. One object belongs to one loop.
    """

    v: Tensor | None = None

    def guess(self, g: Tensor) -> Tensor | None:
        """(batch, node): the last solution, if it fits."""
        v = self.v
        fits = v is not None and v.shape == g.shape and v.dtype == g.dtype and v.device == g.device
        return v if fits else None

    def keep(self, v: Tensor) -> None:
        """Remember a solution, unless it is not finite."""
        self.v = v.detach().clone() if bool(torch.isfinite(v).all()) else None
