"""The Frobenius norm of a Jacobian known by its products."""

import torch
from torch import Tensor

from analogdeq.cores.core import Linearisation
from analogdeq.cores.rc import RCLinearisation
from analogdeq.linalg.system import row_norm

PROBES = 32


def frobenius_norm(linearisation: Linearisation, like: Tensor) -> Tensor:
    """(batch,) float64: ||J||_F of each sample.

    Exact for a dense core. Otherwise the root mean square of ||J^T p|| over random signs p (M. F. Hutchinson, Commun.
    Stat. Simul. Comput. 18:1059, 1989), good to some percent: enough for the size of a noise.

    Args:
        linearisation: J of each sample.
        like: (batch, node). For its shape and type.
    """
    if isinstance(linearisation, RCLinearisation):
        rows = linearisation.W.detach().to(torch.float64).square().sum(1)
        return (linearisation.slope.to(torch.float64).square() @ rows).sqrt()
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(like.shape[0], dtype=torch.float64, device=like.device)
    for _ in range(PROBES):
        signs = 2.0 * torch.randint(2, (like.shape[1],), generator=generator) - 1
        total += row_norm(linearisation.rmatvec(signs.to(like).expand_as(like).contiguous())).square()
    return (total / PROBES).sqrt()
