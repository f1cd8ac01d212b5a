"""A Brownian path that stays the same when its steps are halved."""

import math
from typing import final

import torch
from torch import Tensor

from analogdeq.devices.streams import Streams
from analogdeq.errors import InputError


@final
class BrownianPath:
    """W on a dyadic grid: level l has 2^l equal steps, and each step of a level is the sum of two of the next.

    A step's two halves are (D +- sqrt(h) N) / 2 with N of its own: the Brownian bridge. Each level draws from a stream
    of its own, so a path does not depend on which levels were asked for, or in which order.

    Args:
        seed: of the path.
        shape: of W at one time, for example (path, node).
        horizon: [time]. W runs from 0 to there.
        dtype: of the increments.

    Source: Levy's midpoint construction.
    """

    def __init__(self, seed: int, shape: tuple[int, ...], horizon: float, dtype: torch.dtype = torch.float64) -> None:
        if not (0 < horizon < math.inf):
            raise InputError(f"a path needs a positive finite horizon, got {horizon}")
        self._streams, self._shape, self._horizon, self._dtype = Streams(seed), shape, horizon, dtype

    def increments(self, level: int) -> Tensor:
        """(2^level, ...) [sqrt(time)]. The steps of a level.

        Raises:
            InputError: if there is no such level.
        """
        if not (0 <= level <= 24):
            raise InputError(f"level = {level} must lie in 0 to 24")
        steps = math.sqrt(self._horizon) * self._normals(0, 1)
        for deeper in range(1, level + 1):
            h = self._horizon / 2 ** (deeper - 1)
            bridge = math.sqrt(h) * self._normals(deeper, 2 ** (deeper - 1))
            steps = torch.stack(((steps + bridge) / 2, (steps - bridge) / 2), 1).flatten(0, 1)
        return steps

    def _normals(self, level: int, count: int) -> Tensor:
        generator = self._streams.named("brownian", level)
        return torch.randn(count, *self._shape, generator=generator, dtype=self._dtype)
