"""Random networks whose size, spread of time constants and gap are what one asks for."""

from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor

from analogdeq.cores.rc import RCCore

AXES: Final = ("nodes", "batch", "tau_spread", "gap")


@final
@dataclass(frozen=True, kw_only=True)
class GrowthWork:
    """tau_i dz_i/dt = -z_i + tanh(W z)_i, W symmetric and random, from random states.

    Attributes:
        nodes: N.
        batch: B.
        tau_spread: the slowest time constant over the fastest; the others lie between on a logarithmic scale.
        gap: 1 - the largest eigenvalue of W: the rate of the slowest mode at rest, in units of 1 / tau.
    """

    nodes: int = 256
    batch: int = 64
    tau_spread: float = 1.0
    gap: float = 0.1

    def at(self, axis: str, value: float) -> "GrowthWork":
        """The same work but for one axis."""
        changed: dict[str, Any] = {axis: round(value) if axis in ("nodes", "batch") else float(value)}
        return replace(self, **changed)


def growth_core(work: GrowthWork, seed: int, device: torch.device) -> tuple[RCCore, Tensor, Tensor]:
    """The core, its inputs (batch, 1), all zero, and its initial states (batch, node), uniform from -1 to 1.

    W = (G + G^T) c with independent normal entries in G. Nothing drives it, so every sample comes to rest at z = 0,
    where the slope of tanh is 1 and the Jacobian is W itself: the gap is exact, and ||W||_2 < 1 makes it the gap of a
    contraction. With inputs, saturated nodes would widen the gap to something else in every sample.
    """
    rng = np.random.default_rng(seed)
    G = rng.normal(size=(work.nodes, work.nodes))
    W = G + G.T
    # The spectrum is symmetric but for its randomness; the smaller edge may stick out by a little.
    largest = eigsh(W, k=1, which="LM", return_eigenvectors=False)[0]
    W *= np.sign(largest) * (1 - work.gap) / abs(largest)
    taus = 1e-8 * work.tau_spread ** -rng.permutation(np.linspace(0, 1, work.nodes))
    z0 = torch.as_tensor(rng.uniform(-1, 1, (work.batch, work.nodes)), dtype=torch.float32)
    core = RCCore(
        torch.as_tensor(W, dtype=torch.float32).to(device),
        torch.zeros(work.nodes, 1, device=device),
        torch.zeros(work.nodes, device=device),
        tau_s=torch.as_tensor(taus).to(device),
    )
    return core, torch.zeros(work.batch, 1, device=device), z0.to(device)
