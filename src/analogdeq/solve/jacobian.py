"""The Jacobian of a circuit's flow, as a map."""

from typing import final

from torch import Tensor

from analogdeq.cores.core import Core, Drive


@final
class FlowJacobian:
    """v -> r (J - I) v at one state per lane."""

    def __init__(self, core: Core, drive: Drive, z: Tensor) -> None:
        self._jacobian, self._rate = core.linearise(z, drive), core.rate

    def __call__(self, v: Tensor) -> Tensor:
        """(lane, node) -> (lane, node)."""
        w = self._jacobian.matvec(v) - v
        return w if self._rate is None else w.mul_(self._rate)
