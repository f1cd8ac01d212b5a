"""Models of fully connected layers."""

from torch import Generator, nn

from analogdeq.models.feedforward import Feedforward
from analogdeq.models.initial import fill_


def dense_feedforward(*, pixels: int, inputs: int, nodes: int, classes: int, generator: Generator) -> Feedforward:
    """The layers of a dense hybrid, passed once: encoder, U, W, readout; one more bias, ReLU where the core has phi."""
    layers = nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, inputs),
        nn.Tanh(),
        nn.Linear(inputs, nodes),
        nn.ReLU(),
        nn.Linear(nodes, nodes),
        nn.ReLU(),
        nn.Linear(nodes, classes),
    )
    fill_(layers, generator)
    return Feedforward(layers)
