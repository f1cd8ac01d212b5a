"""A core's state and energies as one flat vector, the form in which foreign solvers take them."""

from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive


@final
class Flow:
    """d[z, E]/ds for a batch, E the energy of each power term, so that the solver's own stages integrate it."""

    def __init__(self, core: Core, drive: Drive) -> None:
        self._core, self._drive = core, drive
        # Not in the shape of the drive: a node may have more states than one.
        batch, like = drive.current.shape[0], drive.current
        self._dz = like.new_empty(batch, core.n_nodes)
        self._power = like.new_empty(batch, len(core.power_terms))
        self._work = like.new_empty(core.work_buffers, batch, core.n_nodes)
        self.evaluations = 0

    def start(self, z: Tensor) -> Tensor:
        """(batch, node + term) from z (batch, node)."""
        return torch.cat((z, torch.zeros_like(self._power)), 1)

    def __call__(self, y: Tensor) -> Tensor:
        """(batch, node + term) -> its derivative."""
        self.evaluations += 1
        n = self._core.n_nodes
        self._core.evaluate(y[:, :n].contiguous(), self._drive, self._dz, self._power, self._work)
        return torch.cat((self._dz, self._power), 1)
