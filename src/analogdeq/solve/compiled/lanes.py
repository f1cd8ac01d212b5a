"""What is known of the samples of a batch, and the room that some of them are worked on in."""

from typing import NamedTuple

import numpy as np
import torch

from analogdeq.solve.compiled.arithmetic import TOGETHER
from analogdeq.solve.compiled.network import Network

UNDERWAY, SETTLED, LEFT = 0, 1, 2
"""Fates: still being stepped; settled; left to the loop."""
STAGES = 7
"""Of the pair."""
FEW, MANY, CACHED_NODES = 16, 64, 300
"""Samples at work at a time, in networks of so many nodes at the most, and of more."""
TERMS = 4
"""Of power, at the most."""

LANE = np.dtype(
    [
        ("time", "f8"),
        ("h", "f8"),
        ("ratio_before", "f8"),
        ("motion", "f8"),
        ("motion_start", "f8"),
        ("distance", "f8"),
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
        ("is_located", "?"),  # whether its next step is to end where it enters the band
    ]
)
"""The numbers of a sample; `analogdeq.solve.lanes` says what most of them mean."""


class Lanes(NamedTuple):
    """One row per sample.

    Attributes:
        of: (lane,) of `LANE`.
        current: (lane, node). U u + b.
        z: (lane, node). State.
        dz: (lane, node). Its derivative.
        rest: (lane, node). The equilibrium ahead.
        exit_state: (lane, node). Where it was last outside the band.
    """

    of: np.ndarray
    current: np.ndarray
    z: np.ndarray
    dz: np.ndarray
    rest: np.ndarray
    exit_state: np.ndarray


class Slots(NamedTuple):
    """Room for some samples at work.

    Attributes:
        lane: (slot,) int64. Which sample each is.
        k: (slot, stage, node). Derivatives, or a Krylov space.
        watts: (slot, stage, term).
        points: (slot, node). What W is applied to.
        p: (slot, node). W times that.
        block: (slot, row). Scratch of the product.
        part: (slot, column). Scratch of the product.
    """

    lane: np.ndarray
    k: np.ndarray
    watts: np.ndarray
    points: np.ndarray
    p: np.ndarray
    block: np.ndarray
    part: np.ndarray


def room_for(network: Network, samples: int, vectors: int) -> Slots:
    """Empty slots for so many samples, or as many as pay, with so many vectors each.

    Where W is larger than the nearer caches, more samples at a time read it less often.
    """
    slots = min(FEW if network.rate.shape[0] <= CACHED_NODES else MANY, TOGETHER * -(-samples // TOGETHER))
    _, _, deep, width = network.blocks.shape
    n_nodes, dtype = network.rate.shape[0], torch.from_numpy(network.rate).dtype

    def zeros(*shape: int) -> np.ndarray:
        return torch.zeros(shape, dtype=dtype).numpy()  # torch's, so that its profilers see the memory

    return Slots(
        lane=np.zeros(slots, np.int64),
        k=zeros(slots, max(vectors, STAGES), n_nodes),
        watts=np.zeros((slots, STAGES, TERMS)),
        points=zeros(slots, n_nodes),
        p=zeros(slots, n_nodes),
        block=zeros(slots, deep),
        part=zeros(TOGETHER, width),
    )
