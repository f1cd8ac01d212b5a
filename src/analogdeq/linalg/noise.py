"""Products J v as an analog array reads them: with fresh, frozen or additive error."""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.errors import InputError
from analogdeq.linalg.system import MatVec

KINDS = ("fresh", "frozen", "additive")


@final
@dataclass(frozen=True, kw_only=True)
class ReadNoise:
    """How a product J v with a noisy matrix is wrong.

        fresh      (J + E_k) v, a new E_k for every product: read noise of the devices, proportional to the operand
        frozen     (J + E) v, one E for good: programming errors of an array
        additive   J v + e_k, a new e_k for every product, however small v is: noise of amplifier and converter

    E has independent normal entries with E[||E||_F^2] = level^2 ||J||_F^2; e_k has independent normal entries of
    standard deviation level * rms(g), g the right-hand side, whose peak spans the converter's range.

    Fresh and additive noise average out over products. Frozen noise does not: whatever the solver, v is the solution of
    the wrong system, at a distance of about level ||J||_F / sqrt(n) ||(I - J^T)^-1||. Only averaging over arrays,
    calibration, or training through the same array helps.

    Attributes:
        kind: one of `KINDS`.
        level: relative size; 0.1 is 10 %.
        seed: of the draws. Equal seeds and equal right-hand sides give equal noise, so a resumed training run repeats.
    """

    kind: str = "additive"
    level: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no noise.

        Raises:
            InputError: naming the choice.
        """
        if self.kind not in KINDS:
            raise InputError(f"unknown kind of read noise {self.kind!r}; known: {', '.join(KINDS)}")
        if not 0 <= self.level < math.inf:
            raise InputError(f"read noise level = {self.level} must be finite and not negative")

    def spoil(self, j_matvec: MatVec, g: Tensor, frobenius: Callable[[], Tensor]) -> MatVec:
        """The product as the array gives it.

        Args:
            j_matvec: the exact product.
            g: (batch, n). The right-hand side, which sets the range.
            frobenius: gives (batch,) ||J||_F; asked only where the kind needs it.
        """
        if self.level == 0:
            return j_matvec
        if self.kind == "additive":
            return self._additive(j_matvec, g)
        size = (self.level * frobenius() / g.shape[1]).unsqueeze(1).to(g)
        return self._frozen(j_matvec, g, size) if self.kind == "frozen" else self._fresh(j_matvec, g, size)

    def _additive(self, j_matvec: MatVec, g: Tensor) -> MatVec:
        generator = seeded(self.seed, g)
        size = self.level * torch.linalg.vector_norm(g, dim=1, keepdim=True) / g.shape[1] ** 0.5
        return lambda v: j_matvec(v) + size * _normal(v, generator)

    def _fresh(self, j_matvec: MatVec, g: Tensor, size: Tensor) -> MatVec:
        # The entries of E v are independent normal numbers of standard deviation size * ||v||.
        generator = seeded(self.seed, g)
        return lambda v: j_matvec(v) + size * torch.linalg.vector_norm(v, dim=1, keepdim=True) * _normal(v, generator)

    def _frozen(self, j_matvec: MatVec, g: Tensor, size: Tensor) -> MatVec:
        n = g.shape[1]
        error = torch.randn(n, n, generator=torch.Generator().manual_seed(self.seed), dtype=torch.float64).to(g)
        return lambda v: j_matvec(v) + size * (v @ error)


def seeded(seed: int, *content: Tensor) -> torch.Generator:
    """A generator whose state follows from a seed and from the numbers it will disturb.

    No counter has to be kept: another minibatch draws other noise, and a resumed run draws the same.
    """
    state = seed & 0xFFFFFFFF
    for tensor in content:
        state = zlib.crc32(tensor.detach().cpu().contiguous().numpy().tobytes(), state)
    return torch.Generator().manual_seed((seed << 32 ^ state) & (2**63 - 1))


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)
