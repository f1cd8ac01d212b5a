"""Converters in training: rounded forward, and backward as if they had not rounded."""

from typing import Any, final

import torch
from torch import Tensor, nn

from analogdeq.circuits.converters import Converting
from analogdeq.errors import InputError
from analogdeq.models.hybrid import HybridDEQ


@final
class StraightThrough(nn.Module):
    """y = quantise(x) with dy/dx = 1 where |x| <= full_scale, and 0 where the converter clips.

    Args:
        converter: the design; its INL, DNL and noise belong to one chip, and training is not for one.

    Source: straight-through estimator of Y. Bengio, N. Leonard, A. Courville, arXiv:1308.3432 (2013).
    """

    def __init__(self, converter: Converting) -> None:
        super().__init__()
        self.converter = converter

    def forward(self, x: Tensor) -> Tensor:
        """(batch, line) -> the same."""
        rounded: Tensor = _Rounded.apply(x, self.converter)
        return rounded


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, converter: Converting) -> Tensor:
        ctx.save_for_backward(x.abs() <= converter.full_scale)
        return converter.quantise(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None


def behind_converters(model: nn.Module, dac: Converting, adc: Converting) -> HybridDEQ:
    """The model, changed: what its encoder says passes the DAC, what its readout sees the ADC.

    Raises:
        InputError: for a model that is not one core between encoder and readout.
    """
    if not isinstance(model, HybridDEQ):
        raise InputError(
            f"train.converters = 'straight-through' takes one core between two converters, not a {type(model).__name__}"
        )
    model.encoder = nn.Sequential(model.encoder, StraightThrough(dac))
    model.readout = nn.Sequential(StraightThrough(adc), model.readout)
    return model
