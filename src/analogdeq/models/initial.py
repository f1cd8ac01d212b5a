"""First values of digital layers, from a generator alone."""

import torch
from torch import Generator, nn


@torch.no_grad()
def fill_(module: nn.Module, generator: Generator) -> None:
    """Draw every linear and convolutional layer anew, in place.

    Weights are normal with variance 2 / fan_in, biases 0; norms stay at 1 and 0.

    Source: K. He et al., ICCV 2015.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            fan_in = layer.weight[0].numel()
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * (2 / fan_in) ** 0.5)
            if layer.bias is not None:
                layer.bias.zero_()
