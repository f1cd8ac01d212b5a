"""The layout of images in memory: a processor computes layers of few channels on large images fastest channels last."""

from typing import final

import torch
from torch import Tensor, nn


@final
class Layout(nn.Module):
    """The same image in another order in memory; the layers that follow keep it, and so do their gradients.

    Args:
        channels_last: whether the channels of a pixel are to lie next to each other, or else its rows.
    """

    def __init__(self, *, channels_last: bool) -> None:
        super().__init__()
        self._format = torch.channels_last if channels_last else torch.contiguous_format

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, height, width)."""
        return x.contiguous(memory_format=self._format)
