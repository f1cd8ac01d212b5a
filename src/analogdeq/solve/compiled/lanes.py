"""What is known of the samples of a batch, and the room that some of them are worked on in."""

from typing import NamedTuple

import numpy as np
import torch

from analogdeq.solve.compiled.jit import in_place
from analogdeq.solve.compiled.network import Network
from analogdeq.solve.compiled.product import FAR, TOGETHER

UNDERWAY, SETTLED, LEFT = 0, 1, 2
"""Fates: still being stepped; settled; left to the loop."""
TERMS = 4
"""Of power, at the most."""
SHARED = 6 * TOGETHER
"""Samples that share a product where W comes from memory."""

LANE = np.dtype(
    [
        ("time", "f8"),
        ("h", "f8"),
        ("at_most", "f8"),  # no longer steps are tried next
        ("motion", "f8"),
        ("motion_start", "f8"),
        ("distance", "f8"),
        ("residual", "f8"),  # at its rest
        ("goal", "f8"),  # it is marched until its distance is below this
        ("exit_time", "f8"),
        ("standing", "f8", (TERMS,)),  # watts that the state does not change
        ("watts", "f8", (TERMS,)),  # at its state
        ("energy", "f8", (TERMS,)),
        ("exit_energy", "f8", (TERMS,)),
        ("attempts", "i8"),
        ("rejected", "i8"),
        ("evaluations", "i8"),
        ("fate", "i8"),
        ("attracts", "i8"),  # whether its rest is known to
    ]
)
"""The numbers of a sample; `analogdeq.solve.lanes` says what most of them mean."""


class Lanes(NamedTuple):
    """One row per sample.

    Attributes:
        of: (lane,) of `LANE`.
        current: (lane, node). U u + b.
        z: (lane, node). State.
        pre: (lane, node). W z + U u + b there, when it is not at work.
        rest: (lane, node). The equilibrium ahead, or where it is looked for.
        pre_rest: (lane, node). W z + U u + b there.
        exit_state: (lane, node). Where it was last outside the band.
    """

    of: np.ndarray
    current: np.ndarray
    z: np.ndarray
    pre: np.ndarray
    rest: np.ndarray
    pre_rest: np.ndarray
    exit_state: np.ndarray


class Slots(NamedTuple):
    """Room for some samples at work.

    Attributes:
        lane: (slot,) int64. Which sample each is.
        k: (slot, row, node). Coefficients of a series; or a Krylov space, and in the last row the slopes at a rest.
        size: (slot, 4). Lengths of z_1 / rate, z_1 and the last two coefficients.
        points: (slot, node). What W is applied to.
        p: (slot, node). W times that.
    """

    lane: np.ndarray
    k: np.ndarray
    size: np.ndarray
    points: np.ndarray
    p: np.ndarray


def room_for(network: Network, rows: int) -> Slots:
    """Empty slots for as many samples as share a product, with so many rows each."""
    slots = SHARED if network.weights.nbytes > FAR else TOGETHER
    n_nodes, dtype = network.rate.shape[0], torch.from_numpy(network.rate).dtype

    def zeros(*shape: int) -> np.ndarray:
        return torch.zeros(shape, dtype=dtype).numpy()  # torch's, so that its profilers see the memory

    return Slots(
        lane=np.zeros(slots, np.int64),
        k=zeros(slots, rows, n_nodes),
        size=np.zeros((slots, 4)),
        points=zeros(slots, n_nodes),
        p=zeros(slots, n_nodes),
    )


@in_place
def together(left, slots):
    """How many of the samples that are left to work on side by side, so that no few remain in the end.

    A product with one or two takes nearly as long as one with six.
    """
    rounds = -(-left // slots.lane.shape[0])
    return -(-left // rounds)
