"""The cores there is compiled code for, as the numbers it computes with."""

from functools import lru_cache, singledispatch
from typing import NamedTuple

import numpy as np
import torch

from analogdeq.chip import Chip
from analogdeq.circuits.power import CrossbarPower
from analogdeq.cores.core import Core
from analogdeq.cores.rc import RCCore
from analogdeq.solve.attraction import kick
from analogdeq.solve.compiled.product import in_order

SQUASHES = {"tanh": (0.0, 1.0, 1.0), "sigmoid": (0.5, 0.5, 0.5)}
"""(c_0, c_1, c_2) of phi(p) = c_0 + c_1 tanh(c_2 p). Activations with kinks are left
to the loop, which knows how to step across them."""
STIFF = 30.0
"""A rate beyond which series, whose steps stability limits, take longer than waveforms."""


class Network(NamedTuple):
    """tau_i dz_i/dt = -z_i + a (c_0 + c_1 tanh(c_2 p)), p = W z + U u + b, and the watts that go with it.

    Attributes:
        weights: W^T, as `in_order` makes it.
        rate: (node,) dz/ds = rate (F - z).
        slowness: (node,) 1 / rate.
        squash: (4,) a, c_0, c_1, c_2.
        kick: (node,) from -1 to 1. A direction that is nobody's eigenvector.
        watts: (7, node). `CrossbarPower.per_node`.
        has_power: whether there are any.
        is_uniform: whether all rates are 1.
        is_stiff: whether steps are iterated as waveforms; there are none with watts.
    """

    weights: np.ndarray
    rate: np.ndarray
    slowness: np.ndarray
    squash: np.ndarray
    kick: np.ndarray
    watts: np.ndarray
    has_power: bool
    is_uniform: bool
    is_stiff: bool


@singledispatch
def network_of(core: Core) -> Network | None:
    """The numbers of a core there is compiled code for; None for any other."""
    return None


@network_of.register
def _(core: RCCore) -> Network | None:
    if core.activation.name not in SQUASHES:
        return None
    like = core.b.detach().numpy()
    return _network(core, np.zeros((7, like.shape[0]), like.dtype), has_power=False)


@network_of.register
def _(core: Chip) -> Network | None:
    realised, power = core.core, core.power
    if not isinstance(realised, RCCore) or not isinstance(power, CrossbarPower):
        return None
    if realised.activation.name not in SQUASHES:
        return None
    return _network(realised, power.per_node().numpy(), has_power=True)


def _network(core: RCCore, watts: np.ndarray, *, has_power: bool) -> Network:
    W = core.W.detach().numpy()
    n_nodes = W.shape[0]
    rate = np.ones(n_nodes, W.dtype) if core.rate is None else core.rate.numpy()
    return Network(
        weights=in_order(W),
        rate=np.ascontiguousarray(rate),
        slowness=np.ascontiguousarray(1 / rate).astype(W.dtype),
        squash=np.array([core.gain, *SQUASHES[core.activation.name]], dtype=W.dtype),
        kick=_kick(n_nodes, W.dtype),
        watts=np.ascontiguousarray(watts, dtype=W.dtype),
        has_power=has_power,
        is_uniform=core.rate is None,
        is_stiff=not has_power and float(rate.max()) > STIFF,
    )


@lru_cache(maxsize=16)
def _kick(n_nodes: int, dtype: np.dtype) -> np.ndarray:
    """The direction of `analogdeq.solve.attraction`."""
    return kick(torch.zeros(1, n_nodes, dtype=torch.float64))[0].numpy().astype(dtype)
