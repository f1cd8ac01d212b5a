"""Small trainable cores, and gradients of equilibria found without the package: by numpy, scipy and backpropagation."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import root
from scipy.special import expit
from torch import Tensor, nn

from analogdeq.cores.rc import RCCore
from analogdeq.gradient.forward import ByRootFinding, BySettling, Forward
from analogdeq.solve.options import SettleOptions

Array = npt.NDArray[np.float64]

SOLVERS = ("gmres", "fixed-point", "dense")
EXACT: dict[str, Forward] = {
    "root": ByRootFinding(tol=1e-14),
    "settle": BySettling(SettleOptions(band=1e-9, atol=1e-11, rtol=1e-4)),
}
"""Both forward passes, at rounding accuracy in float64."""

PHI: dict[str, Callable[[Array], Array]] = {"tanh": np.tanh, "sigmoid": expit, "identity": lambda p: p}


def parameters(n: int, inputs: int, *, radius: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """W of that spectral radius, not symmetric; U and b; float64."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n, n))
    W *= radius / np.abs(np.linalg.eigvals(W)).max()
    return torch.tensor(W), torch.tensor(rng.normal(size=(n, inputs))), torch.tensor(0.3 * rng.normal(size=n))


def trainable(W: Any, b: Any = None, U: Any = None, *, dtype: torch.dtype = torch.float64, **options: Any) -> RCCore:
    """A core whose W, U, b are trained; U = 1 and b = 0 if not given."""
    W = torch.as_tensor(W, dtype=dtype)
    n = W.shape[0]
    U = torch.eye(n, dtype=dtype) if U is None else torch.as_tensor(U, dtype=dtype)
    b = torch.zeros(n, dtype=dtype) if b is None else torch.as_tensor(b, dtype=dtype)
    return RCCore(*(nn.Parameter(value.clone()) for value in (W, U, b)), **{"tau_s": 1.0, **options})


def inputs(batch: int, width: int, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """(batch, width) from -1 to 1, to be differentiated."""
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.uniform(-1, 1, (batch, width)), dtype=dtype, requires_grad=True)


def rest(W: Array, c: Array, activation: str = "tanh", *, start: Array | None = None) -> Array:
    """The z of z = phi(W z + c), one sample, by MINPACK's Powell hybrid method."""
    phi = PHI[activation]
    found = root(lambda z: z - phi(W @ z + c), np.zeros(len(c)) if start is None else start, tol=1e-14)
    assert np.abs(found.x - phi(W @ found.x + c)).max() < 1e-12
    answer: Array = found.x
    return answer


def loss_at_rest(W: Array, U: Array, b: Array, u: Array, g: Array, activation: str = "tanh") -> float:
    """sum of g * z over the batch, z at rest."""
    return float(sum(g_k @ rest(W, U @ u_k + b, activation) for u_k, g_k in zip(u, g, strict=True)))


def slope_along(
    values: Sequence[Tensor], directions: Sequence[Array], g: Tensor, activation: str = "tanh", eps: float = 1e-5
) -> float:
    """Central difference of `loss_at_rest` in (W, U, b, u) along a direction."""
    at = [value.detach().numpy() for value in values]
    ends = [[v + sign * eps * d for v, d in zip(at, directions, strict=True)] for sign in (1, -1)]
    plus, minus = (loss_at_rest(*end, g.numpy(), activation) for end in ends)
    return (plus - minus) / (2 * eps)


def unrolled(core: RCCore, u: Tensor, steps: int = 500) -> Tensor:
    """Picard iteration, differentiated step by step."""
    z = torch.zeros(u.shape[0], core.n_nodes, dtype=u.dtype)
    for _ in range(steps):
        z = core.gain * core.activation.function(z @ core.W.T + u @ core.U.T + core.b)
    return z


def gradients(core: RCCore, u: Tensor, z: Tensor, g: Tensor) -> dict[str, Tensor]:
    """dL/d(W, U, b, u) for dL/dz = g."""
    values = torch.autograd.grad(z, (core.W, core.U, core.b, u), g)
    return dict(zip(("W", "U", "b", "u"), values, strict=True))
