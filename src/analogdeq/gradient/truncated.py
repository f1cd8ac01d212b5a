"""Gradients from a few terms of the Neumann series: phantom, truncated and Jacobian-free."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.errors import InputError
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import GradientAtRest, RestPoint, unit_size
from analogdeq.linalg.system import relative, row_norm


@final
@dataclass(frozen=True, kw_only=True)
class PhantomGradient(GradientAtRest):
    """v = a sum_{i < k} (I - a (I - J^T))^i g: k damped steps from the equilibrium, differentiated.

    It is what backpropagation through z <- (1 - a) z + a F(z), k times from z*, gives. With a = 1 it is the Neumann
    series cut after k terms; with k = 1 and a = 1, v = g, the Jacobian is left out (`jacobian_free`).

    Cost: one evaluation of F, k - 1 products with J^T through its graph, and one more if the residual is measured.
    Memory: that graph.

    Wrong by design: v misses the solution of (I - J^T) v = g by (I - a (I - J^T))^k (I - J^T)^-1 g, more the closer an
    eigenvalue of J is to 1, and shrinks towards 0 with a k. It is a descent direction where J is a contraction and k
    large enough; with an eigenvalue of J below 1 - 2/a more steps make it worse.

    Attributes:
        steps: k.
        damping: a, above 0 and at most 1.
        measure: whether the log gets the residual that v leaves; without it, it says NaN.

    Source: Z. Geng, X.-Y. Zhang, S. Bai, Y. Wang, Z. Lin, NeurIPS 2021 ("On training implicit models"); S. W. Fung et
    al., arXiv:2103.12803, for k = 1.
    """

    steps: int = 5
    damping: float = 0.5
    measure: bool = True

    def __post_init__(self) -> None:
        """Refuse what is no series.

        Raises:
            InputError: naming the value.
        """
        if self.steps < 1 or not 0 < self.damping <= 1:
            raise InputError(
                f"phantom gradient steps = {self.steps} must be at least 1, damping = {self.damping} above 0, at most 1"
            )

    def pull_back(self, point: RestPoint, g: Tensor, wanted: Sequence[bool], log: SolveLog) -> list[Tensor | None]:
        """All products through the graph of one evaluation of F at the equilibrium."""
        values = (point.u, *point.parameters)
        leaves = [value.detach().requires_grad_(needed) for value, needed in zip(values, wanted, strict=True)]
        z = point.z.detach().requires_grad_()
        with torch.enable_grad():
            image = point.core.map_with(z, *leaves)
        unit, size = unit_size(g)

        def follow(v: Tensor) -> Tensor:
            """The next term of the series: g + J^T v."""
            (product,) = torch.autograd.grad(image, z, v, retain_graph=True)
            return product.add_(unit)

        v = self.damping * unit
        for _ in range(self.steps - 1):
            v = torch.lerp(v, follow(v), self.damping)
        log.backward_iterations = float(self.steps)
        log.backward_residual = math.nan
        if self.measure:
            log.backward_residual = float(relative(row_norm(follow(v) - v), row_norm(unit)).max())
        open_leaves = [leaf for leaf in leaves if leaf.requires_grad]
        found = iter(torch.autograd.grad(image, open_leaves, v * size, allow_unused=True))
        return [next(found) if leaf.requires_grad else None for leaf in leaves]


def jacobian_free() -> PhantomGradient:
    """V = g: the gradient of one evaluation of F at the equilibrium, as if J were 0.

    Its direction is right where J is small; with eigenvalues of J near 1 its cosine with the gradient falls to 0.6 and
    below, and nothing in it says so but the residual in the log.

    Source: S. W. Fung et al., arXiv:2103.12803 (Jacobian-free backpropagation).
    """
    return PhantomGradient(steps=1, damping=1.0)
