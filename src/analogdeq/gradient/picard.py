"""Plain fixed-point iterations for a whole batch, as long as they contract."""

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive

CONTRACTION = 0.9
"""Where the largest residual falls by less per evaluation, something better than plain iteration is needed."""
WINDOW = 3
"""Evaluations over which that is judged."""
MAX_EVALUATIONS = 100


def contract(core: Core, drive: Drive, z: Tensor, tol: float) -> tuple[Tensor, int]:
    """Iterate z <- F(z); samples below `tol` stay where they are, so that a sample ends the same alone and in a batch.

    It costs hardly more than the evaluations, because nothing is sorted by sample while all are open. Whatever does not
    contract is left as it is after the window that showed it.

    Args:
        core: the network.
        drive: its constant drive.
        z: (batch, node). Where to begin; overwritten.
        tol: largest |F(z) - z| at which a sample is done.

    Returns:
        (batch, node), and the evaluations of F spent.
    """
    limit, start = torch.inf, z.clone()
    for k in range(MAX_EVALUATIONS):
        motion = core.fixed_point_map(z, drive).sub_(z)
        residual = motion.abs().amax(1)
        worst = float(residual.max())
        if worst <= tol:
            return z, k + 1
        if k % WINDOW == 0:
            if not worst <= limit:
                return (z if worst < torch.inf and worst <= 2 * limit else start), k + 1
            limit = CONTRACTION**WINDOW * worst
        if float(residual.min()) <= tol:
            motion.mul_((residual > tol).unsqueeze(1))
        z.add_(motion)
    return z, MAX_EVALUATIONS
