"""Loss terms that make a circuit quicker and thriftier: its settling time and its energy."""

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.gradient.settling import differentiable_settle
from analogdeq.gradient.trajectory import AdjointOptions
from analogdeq.solve.options import SettleOptions
from analogdeq.stability.reached import Reached

LOOSE = AdjointOptions(rtol=1e-4, atol=1e-6)
"""A tenth of a per cent in the gradient, at a third of the default's cost."""


def settling_penalties(
    reached: Reached, circuit: CrossbarCircuit | None = None, options: SettleOptions | None = None
) -> tuple[Tensor, Tensor]:
    """E t / tau and E ln(E_s / 1 J), the means over the batch of settling time and of the logarithm of energy.

    Time is counted in time constants and energy by its logarithm, so weights have no unit: a weight w of the second
    pays w for every factor e of joules, whatever the circuit. Samples that do not settle count with the time and the
    energy of their integration, without a gradient of the time.

    Args:
        reached: where the core came to rest; only the core and its input are used.
        circuit: for joules; without one the second term is 0.
        options: of the settle; its band defines the settling time.

    Returns:
        () [1] and () [1], with the gradient of `differentiable_settle`.

    Raises:
        InputError: for a circuit with another kind of core, or of another time constant.
    """
    # First with its graph: a settle computes a parametrised W without one, and what is computed first is kept.
    reached.core.trainable()
    out = differentiable_settle(reached.core, reached.u, circuit=circuit, options=options, adjoint=LOOSE)
    time_tau = (out.time_s / reached.core.tau_s).mean()
    if out.energy_J is None:
        return time_tau, torch.zeros_like(time_tau)
    return time_tau, out.energy_J.log().mean().to(time_tau)
