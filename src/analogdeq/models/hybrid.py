"""The hybrid DEQ: a digital encoder, an analog core that settles, a digital readout."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from analogdeq.cores.analog import AnalogCore
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from analogdeq.gradient.forward import Forward
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import Gradient
from analogdeq.models.network import Realise, reach
from analogdeq.stability.reached import Reached


@final
class HybridDEQ(nn.Module):
    """y = readout(z*),  z* = F(z*; encoder(x)).

    Args:
        encoder: (batch, ...) -> (batch, input), within -1 to +1, the range of the chip's DAC.
        core: the analog part; its W, U, b (and detunings) are the analog parameters.
        readout: (batch, node) -> (batch, class).
        forward: how equilibria are found in training.
        gradient: how they are differentiated.
    """

    def __init__(
        self,
        encoder: nn.Module,
        core: AnalogCore,
        readout: nn.Module,
        *,
        forward: Forward | None = None,
        gradient: Gradient | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.core, self.readout = encoder, core, readout
        self._forward, self._gradient = forward, gradient
        self.log = SolveLog()
        self.reached: list[Reached] = []
        self.realise: Realise | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, ...) -> (batch, class); `log` and `reached` afterwards tell of the solves."""
        self.log = SolveLog()
        reached = reach(
            self.core, self.encoder(x), forward=self._forward, gradient=self._gradient, log=self.log,
            realise=self.realise,
        )  # fmt: skip
        self.reached = [reached]
        logits: Tensor = self.readout(reached.z)
        return logits

    @property
    def cores(self) -> list[AnalogCore]:
        """The one core."""
        return [self.core]

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the core."""
        return self.core.dtype

    def digital_layers(self) -> list[nn.Module]:
        """Encoder and readout."""
        return [self.encoder, self.readout]

    def analog_parameters(self) -> list[nn.Parameter]:
        """What the crossbar stores: W, U, b."""
        return list(self.core.parameters())

    def digital_parameters(self) -> list[nn.Parameter]:
        """Encoder and readout."""
        return [*self.encoder.parameters(), *self.readout.parameters()]


def digits_model(
    *,
    pixels: int,
    inputs: int,
    nodes: int,
    classes: int,
    activation: str,
    analog_init_gain: float,
    tau_s: float,
    gain: float,
    generator: torch.Generator,
    forward: Forward | None = None,
    gradient: Gradient | None = None,
) -> HybridDEQ:
    """A hybrid DEQ of fully connected parts, initialised from `generator` alone.

    Digital layers start with Glorot's uniform distribution ("Xavier"), analog weights small: W with standard deviation
    analog_init_gain / sqrt(nodes), so that its spectral radius starts near `analog_init_gain` and every input has one
    equilibrium.
    """
    encode, decode = nn.Linear(pixels, inputs), nn.Linear(nodes, classes)
    with torch.no_grad():
        for layer in (encode, decode):
            bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
            layer.weight.copy_((2 * torch.rand(layer.weight.shape, generator=generator) - 1) * bound)
            layer.bias.zero_()
    core = RCCore(
        nn.Parameter(torch.randn(nodes, nodes, generator=generator) * (analog_init_gain / nodes**0.5)),
        nn.Parameter(torch.randn(nodes, inputs, generator=generator) / inputs**0.5),
        nn.Parameter(torch.zeros(nodes)),
        activation=activation,
        tau_s=tau_s,
        gain=gain,
    )
    return HybridDEQ(nn.Sequential(encode, nn.Tanh()), core, decode, forward=forward, gradient=gradient)


@torch.no_grad()
def bound_spectrum_(weight: Tensor, bound: float) -> None:
    """Scale a square matrix, in place, so that its 2-norm is at most `bound`."""
    norm = float(torch.linalg.matrix_norm(weight, 2))
    if norm > bound:
        weight.mul_(bound / norm)


def keep_symmetric_(cores: Sequence[AnalogCore]) -> None:
    """Make every W symmetric, in place, and keep it so: an optimiser sees the symmetric part of its gradient.

    W becomes its symmetric part over 2^(1/2): of a random matrix the eigenvalues' radius then stays what it was.

    Raises:
        InputError: for a core whose W is no matrix of reals.
    """
    for core in cores:
        if not isinstance(core, (RCCore, PhaseCore)):
            raise InputError(
                f"a gradient that needs a symmetric W takes dense RC cores (model.core = 'dense') and phase "
                f"oscillators, not {type(core).__name__}"
            )
        with torch.no_grad():
            core.W.copy_((core.W + core.W.T) / 2**1.5)
        if core.W.requires_grad:
            core.W.register_hook(lambda g: (g + g.T) / 2)
