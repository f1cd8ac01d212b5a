"""The contraction gap of a core whose feedback weights are any linear map."""

from collections.abc import Callable

import torch
from torch import Tensor

LinearMap = Callable[[Tensor], Tensor]


def contraction_gap(slope: float, W: LinearMap, W_T: LinearMap, start: Tensor, norm: Callable[[], float]) -> float:
    """max(0, 1 - slope ||W||_2), certified.

    A few power iterations bound ||W||_2 from below at the cost of matrix-vector products, which settles most cores
    that are no contraction; only the others need `norm`.

    Args:
        slope: [1]. The Lipschitz constant of what follows W.
        W: v -> W v.
        W_T: v -> W^T v.
        start: a vector of norm 1, of the shape W takes.
        norm: ||W||_2, or an upper bound of it.
    """
    v, lower = start, 0.0
    for _ in range(8):
        image = W_T(W(v))
        lower = float(torch.linalg.vector_norm(image)) ** 0.5
        if not lower * slope < 1:
            return 0.0
        v = image / max(lower * lower, 1e-30)
    return max(0.0, 1 - slope * norm())
