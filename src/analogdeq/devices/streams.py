"""One chip seed, many independent draws: each mechanism has a stream of its own, named by what it draws."""

import zlib
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class Streams:
    """Generators derived from one seed by name, so that a draw does not depend on what else is drawn, or when.

    Attributes:
        seed: the chip seed, or the noise seed.
    """

    seed: int

    def named(self, *names: str | int) -> torch.Generator:
        """The generator of one draw; the same names give the same generator, at its start."""
        words = [zlib.crc32(str(name).encode()) for name in names]
        # SeedSequence takes no negative entropy; two's complement keeps every 64-bit seed apart.
        state = np.random.SeedSequence([self.seed % 2**64, *words]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(state[0]))


def normals(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normals in the shape of `like`.

    Crossbars (crossbar, row, column) are drawn one at a time: the draws need several times the memory of what they
    leave behind.
    """
    if like.ndim < 3:
        return torch.randn(like.shape, dtype=like.dtype, generator=generator)
    return torch.stack([torch.randn(one.shape, dtype=like.dtype, generator=generator) for one in like])


def uniforms(like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform numbers in [0, 1) in the shape of `like`."""
    return torch.rand(like.shape, dtype=like.dtype, generator=generator)
