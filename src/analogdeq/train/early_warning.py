"""How near the equilibria are to losing their stability: the first thing to look at when training goes wrong."""

import warnings

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs
from torch import Tensor

from analogdeq.cores.core import Core, Linearisation
from analogdeq.stability.reached import Reached

DENSE_UP_TO = 256
"""Nodes up to which all eigenvalues are taken; beyond, the rightmost by Arnoldi iteration."""
ARNOLDI_VECTORS, ARNOLDI_RESTARTS, ARNOLDI_TOLERANCE = 48, 40, 1e-3


@torch.no_grad()
def spectral_abscissa(reached: Reached, samples: int) -> float:
    """The largest Re eig J over the first few equilibria; the circuit is stable below 1, and slow near it.

    NaN where Arnoldi iteration finds nothing, which is rare and no reason to stop a training.

    Args:
        reached: a core's equilibria.
        samples: how many of them are looked at.
    """
    core, z, u = reached.core, reached.z.detach()[:samples], reached.u.detach()[:samples]
    linear = core.linearise(z, core.drive(u))
    if core.n_nodes <= DENSE_UP_TO:
        return float(torch.linalg.eigvals(linear.dense().double()).real.max())
    found = [_rightmost(core, _of_sample(core, z, u, k)) for k in range(len(z))]
    return float(np.max(found))


def _of_sample(core: Core, z: Tensor, u: Tensor, k: int) -> Linearisation:
    return core.linearise(z[k : k + 1], core.drive(u[k : k + 1]))


def _rightmost(core: Core, linear: Linearisation) -> float:
    def product(v: np.ndarray) -> np.ndarray:
        image = linear.matvec(torch.as_tensor(v.reshape(1, -1), dtype=core.dtype, device=core.device))
        return image[0].double().cpu().numpy()

    n = core.n_nodes
    operator, start = LinearOperator((n, n), matvec=product, dtype=np.float64), np.full(n, n**-0.5)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = eigs(
                operator,
                k=1,
                which="LR",
                v0=start,
                ncv=min(n - 1, ARNOLDI_VECTORS),
                tol=ARNOLDI_TOLERANCE,
                maxiter=ARNOLDI_RESTARTS,
                return_eigenvectors=False,
            )
    except ArpackNoConvergence as error:
        values = error.eigenvalues
    return float(values.real.max()) if len(values) else float("nan")
