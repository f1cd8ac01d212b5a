"""Parameters and multiply-accumulates of a model, and how much of them the equilibria hold."""

import math
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from analogdeq.cores.analog import AnalogCore
from analogdeq.cores.conv import ConvCore


@final
@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one image through a model. Padding, biases, norms and nonlinearities are not counted as operations.

    Attributes:
        parameters_digital: numbers in encoders, readout and norms.
        parameters_equilibrium: numbers in W, U and b of every core.
        parameters_trained: numbers the optimiser moves; more than the two above where W is parametrised by several.
        macs_digital: multiply-accumulates of encoders and readout.
        macs_input: of U u, once per equilibrium.
        macs_evaluation: of W z, once per evaluation of every core.
    """

    parameters_digital: int
    parameters_equilibrium: int
    parameters_trained: int
    macs_digital: int
    macs_input: int
    macs_evaluation: int

    @property
    def parameters(self) -> int:
        """All numbers inference needs."""
        return self.parameters_digital + self.parameters_equilibrium

    @property
    def equilibrium_share_parameters(self) -> float:
        """Of the parameters, the fraction in cores."""
        return self.parameters_equilibrium / self.parameters

    @property
    def equilibrium_share_macs(self) -> float:
        """Of the multiply-accumulates, the fraction in cores, if each is evaluated only once."""
        inside = self.macs_input + self.macs_evaluation
        return inside / (inside + self.macs_digital)

    def macs(self, evaluations: float) -> float:
        """Of an inference in which the cores are evaluated this often each."""
        return self.macs_digital + self.macs_input + evaluations * self.macs_evaluation

    def summary(self) -> dict[str, Any]:
        """The figures, by name."""
        return {
            "parameters": self.parameters,
            "parameters_trained": self.parameters_trained,
            "equilibrium_share_parameters": self.equilibrium_share_parameters,
            "macs_one_evaluation": self.macs(1),
            "macs_evaluation": self.macs_evaluation,
            "equilibrium_share_macs": self.equilibrium_share_macs,
        }


@torch.no_grad()
def cost_of(model: Any, image: Tensor) -> Cost:
    """Count a model.

    Args:
        model: a `Model`.
        image: (1, ...). Passed once, to see what shapes the digital layers meet.
    """
    macs = [0]

    def count(layer: nn.Module, _: Any, out: Tensor) -> None:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            macs[0] += layer.weight[0].numel() * out.numel()

    hooks = [layer.register_forward_hook(count) for layer in model.modules()]
    was_training = model.training
    try:
        model.eval()
        x = image.to(model.dtype)
        for k, layers in enumerate(model.digital_layers()):
            layers(x)
            # Shapes are all that counts, so nothing is solved.
            x = x.new_zeros(1, model.cores[k].n_nodes) if k < len(model.cores) else x
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    weights = [core.trainable() for core in model.cores]
    return Cost(
        parameters_digital=sum(p.numel() for p in model.digital_parameters()),
        parameters_equilibrium=sum(w.numel() for one in weights for w in one),
        parameters_trained=sum(p.numel() for p in model.parameters()),
        macs_digital=macs[0],
        macs_input=sum(_macs(core, core.U) for core in model.cores),
        macs_evaluation=sum(_macs(core, core.W) for core in model.cores),
    )


def _macs(core: AnalogCore, weight: Tensor) -> int:
    """Products of one application of a core's weight."""
    positions = math.prod(core.state_shape[1:]) if isinstance(core, ConvCore) else 1
    return weight.numel() * positions
