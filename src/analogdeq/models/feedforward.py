"""The baseline without feedback: the same layers, each passed once."""

from typing import final

import torch
from torch import Tensor, nn

from analogdeq.cores.analog import AnalogCore
from analogdeq.gradient.log import SolveLog
from analogdeq.models.network import Realise
from analogdeq.models.norms import norm_of
from analogdeq.stability.reached import Reached


@final
class Feedforward(nn.Module):
    """An ordinary network, with the face that training and comparing ask of a model.

    Args:
        layers: (batch, ...) -> (batch, class).
    """

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.reached: list[Reached] = []
        self.realise: Realise | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, ...) -> (batch, class)."""
        logits: Tensor = self.layers(x)
        return logits

    @property
    def log(self) -> SolveLog:
        """One evaluation, and nothing to solve."""
        return SolveLog(
            forward_residual=0.0, forward_evaluations=1.0, unsettled=0, backward_residual=0.0, backward_iterations=0.0
        )

    @property
    def cores(self) -> list[AnalogCore]:
        """None."""
        return []

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.parameters()).dtype

    def digital_layers(self) -> list[nn.Module]:
        """All layers."""
        return [self.layers]

    def analog_parameters(self) -> list[nn.Parameter]:
        """None: it is all digital."""
        return []

    def digital_parameters(self) -> list[nn.Parameter]:
        """All of them."""
        return list(self.parameters())


@final
class ResidualBlock(nn.Module):
    """x -> relu(h + norm(W * h)), h = relu(norm(U * x)): the shapes of a convolutional core, passed once.

    Args:
        inputs: channels of x.
        channels: channels of the result.
        norm: a name in `NORMS`.

    Source: K. He et al., CVPR 2016.
    """

    def __init__(self, inputs: int, channels: int, norm: str = "group") -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, channels, 3, padding=1, bias=False)
        self.stay = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([norm_of(norm, channels), norm_of(norm, channels)])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, input channel, height, width) -> (batch, channel, height, width)."""
        h = torch.relu(self.norms[0](self.enter(x)))
        y: Tensor = torch.relu(h + self.norms[1](self.stay(h)))
        return y
