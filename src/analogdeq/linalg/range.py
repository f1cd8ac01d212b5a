"""Operands scaled to the range of the converter that applies them."""

import torch
from torch import Tensor

from analogdeq.linalg.system import MatVec


def peak(x: Tensor) -> Tensor:
    """(batch, n) -> (batch, 1): the largest |entry| of each row; 1 where the row is 0."""
    largest = x.abs().amax(1, keepdim=True)
    return torch.where(largest > 0, largest, torch.ones_like(largest))


def in_full_range(j_matvec: MatVec) -> MatVec:
    """The same product with every operand applied at a peak of 1 and its result scaled back.

    A digital product does not care. An analog one reads its result with noise of a fixed size, so an operand that uses
    a tenth of the converter's range is read ten times worse than it need be.
    """

    def product(x: Tensor) -> Tensor:
        size = peak(x)
        return size * j_matvec(x / size)

    return product
