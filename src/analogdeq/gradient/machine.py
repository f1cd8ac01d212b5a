"""A core as a chip realises it, whose gradients pass to the weights that were asked for."""

from analogdeq.chip import Chip
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError


def through_chip(core: RCCore, chip: Chip) -> RCCore:
    """The chip's weights in the forward and backward pass, the core's parameters where the gradient ends.

    W_chip = W + (W_chip - W), the bracket held constant: programming errors are frozen, so dW_chip/dW = I. A gradient
    taken at this core is that of the machine, by whatever method; with `PhysicalAdjoint(array="same")` the machine
    takes it itself, and its frozen errors are no errors. Call it again after each update of the weights, with the chip
    programmed anew.

    Args:
        core: dense, with the parameters to be trained.
        chip: that core, placed on a circuit.

    Raises:
        InputError: if the chip holds another kind or shape of core.
    """
    held = chip.core
    if not isinstance(held, RCCore) or held.W.shape != core.W.shape or held.U.shape != core.U.shape:
        raise InputError("through_chip needs a dense core and a chip made of it")
    W, U, b = (
        own + (stored.to(own) - own).detach() for own, stored in zip(core.trainable(), held.trainable(), strict=True)
    )
    return RCCore(W, U, b, activation=core.activation.name, tau_s=held.tau_s, gain=held.gain)
