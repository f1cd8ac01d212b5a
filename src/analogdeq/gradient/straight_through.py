"""Gradients that pass straight through a chip: what its devices hold forward, what they were asked for backward."""

import copy

import torch
from torch import Tensor

from analogdeq.cores.network import SaturatingNetwork
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError


def straight_through(core: SaturatingNetwork, held: SaturatingNetwork) -> SaturatingNetwork:
    """The network `held` with its own weights forward, and gradients that end in the parameters of `core`.

        W_held = s W + (W_held - s W),     s = sum w w_held / sum w^2 over all of W, U and b,

    the bracket held constant, so dW_held/dW = s: programming and reading add errors that do not follow the weight,
    drift shrinks all weights alike, and s is the share that is left (1 but for the noise, on a fresh or a compensated
    chip). A conductance that its error would have driven below zero, where devices are clipped, or that stands on a
    level passes its gradient like any other: the mean over draws follows the target.

    What that leaves out: R_f = max|w| / (g_max - g_min) scales all errors of the crossbar and so moves them a little
    with its largest weight; of devices that are no resistors, square and cube of the current.

    Args:
        core: the network to be trained, dense or convolutional.
        held: what a chip made of it computes. A convolution's may have weights of its own at every position; their
            gradients are summed.

    Raises:
        InputError: if `held` has another shape than `core`.
    """
    asked, found = core.trainable(), tuple(value.detach() for value in held.trainable())
    for name, own, stored in zip("WUb", asked, found, strict=True):
        if stored.shape[stored.ndim - own.ndim :] != own.shape:
            raise InputError(
                f"a chip whose {name} has shape {tuple(stored.shape)} was not made of a core whose {name} has shape "
                f"{tuple(own.shape)}"
            )
    scale = _shared_scale(asked, found)
    weights = [scale * own + (stored - scale * own.detach()) for own, stored in zip(asked, found, strict=True)]
    return _with_weights(held, weights)


def mirrored(held: SaturatingNetwork) -> SaturatingNetwork:
    """The network with W_ij = W_ji for i > j: every coupling one pair of devices, used in both directions.

    That is the chip that equilibrium propagation and conjugate gradients take for granted. Errors keep the size of one
    device; a mean of W and its transpose would shrink them by 2^(1/2).

    Raises:
        InputError: for a network whose W is no matrix.
    """
    if not isinstance(held, RCCore):
        raise InputError(
            f"couplings that share their devices are known for an RCCore only, not for a {type(held).__name__}"
        )
    lower = held.W.detach().tril(-1)
    return _with_weights(held, [lower + lower.T + held.W.detach().diag().diag(), held.U, held.b])


def _shared_scale(asked: tuple[Tensor, ...], found: tuple[Tensor, ...]) -> float:
    """How much of what was asked for is there, by least squares; 1 where nothing was asked for."""
    with torch.no_grad():
        own = torch.cat([one.expand_as(stored).flatten() for one, stored in zip(asked, found, strict=True)]).double()
        stored = torch.cat([one.flatten() for one in found]).double()
        square = float(own @ own)
        return float(own @ stored) / square if square > 0 else 1.0


def _with_weights(network: SaturatingNetwork, weights: list[Tensor]) -> SaturatingNetwork:
    """The same network with other tensors for W, U and b; the original keeps its own."""
    other = copy.copy(network)
    other.__dict__["_parameters"] = {}
    other.__dict__["_buffers"] = {**network._buffers, **dict(zip("WUb", weights, strict=True))}
    return other
