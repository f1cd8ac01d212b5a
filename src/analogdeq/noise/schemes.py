"""One step of a stochastic differential equation, for a whole ensemble at once.

dz = f(z) dt + g dW. A state is (path, node); `dW` (path, node) has variance h per entry.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, final

import torch
from torch import Tensor

from analogdeq.errors import SettleError
from analogdeq.noise.linear import ExactStep

Drift = Callable[[Tensor], Tensor]
Diffusion = Callable[[Tensor, Tensor], Tensor]
"""(state, dW) -> g(state) dW."""


class Scheme(Protocol):
    """How to take a step."""

    def step(self, z: Tensor, dW: Tensor) -> Tensor:
        """(path, node): the state a step later."""
        ...


@final
class EulerMaruyama:
    """z' = z + h f(z) + g(z) dW. Strong order 1 and weak order 1 with additive noise (1/2 and 1 otherwise), Ito.

    For comparison: its stationary variance is 1/(1 - lam h/2) times too large.
    """

    def __init__(self, drift: Drift, diffusion: Diffusion, h: float) -> None:
        self._f, self._g, self._h = drift, diffusion, h

    def step(self, z: Tensor, dW: Tensor) -> Tensor:
        """One step."""
        return z + self._h * self._f(z) + self._g(z, dW)


@final
class StratonovichHeun:
    """A predictor by Euler, then the mean of both ends of drift and diffusion: Stratonovich's sense.

    For noise that multiplies the state, which is the limit of coloured noise. Strong order 1 where the noise commutes.

    Source: Ruemelin, SIAM J. Numer. Anal. 19:604 (1982).
    """

    def __init__(self, drift: Drift, diffusion: Diffusion, h: float) -> None:
        self._f, self._g, self._h = drift, diffusion, h

    def step(self, z: Tensor, dW: Tensor) -> Tensor:
        """One step."""
        f, g = self._f(z), self._g(z, dW)
        predicted = z + self._h * f + g
        return z + 0.5 * (self._h * (f + self._f(predicted)) + g + self._g(predicted, dW))


class _Implicit(ABC):
    """A step that needs an equation solved: Newton's method with one frozen Jacobian; linear drifts take one iteration.

    Args:
        drift: f.
        diffusion: g, the same at every state.
        h: step.
        jacobian: (node, node) A near the states that occur.
        tol: change of the last iteration, relative to the largest state.
        max_iter: budget.
    """

    def __init__(
        self, drift: Drift, diffusion: Diffusion, h: float, jacobian: Tensor, tol: float = 1e-10, max_iter: int = 50
    ) -> None:
        self._f, self._g, self._h, self._max_iter = drift, diffusion, h, max_iter
        eye = torch.eye(len(jacobian), dtype=jacobian.dtype)
        self._solve_T = torch.linalg.inv(eye - 0.5 * h * jacobian).T.contiguous()
        self._tol = max(tol, 100 * torch.finfo(jacobian.dtype).eps)

    @abstractmethod
    def step(self, z: Tensor, dW: Tensor) -> Tensor:
        """One step."""

    def _solve(self, known: Tensor, unknown: Drift) -> Tensor:
        """Z' with z' = known + h unknown(z').

        Raises:
            SettleError: if the iteration does not converge; the step is too long for so strong a curvature.
        """
        new = known
        for _ in range(self._max_iter):
            change = (known + self._h * unknown(new) - new) @ self._solve_T
            new = new + change
            size, scale = float(change.abs().max()), float(new.abs().max())
            if not math.isfinite(scale):
                break
            if size <= self._tol * max(1.0, scale):
                return new
        raise SettleError(
            f"an implicit step of {self._h:g} did not converge in {self._max_iter} iterations; shorten the step"
        )


@final
class ImplicitMidpoint(_Implicit):
    """z' = z + h f((z + z')/2) + g dW, additive noise. The stationary variance of a linear drift is exact at any step.

    Strong order 1; weak order 2 for a linear drift and 1 for a curved one (docs/decisions/0043).

    Source: Milstein and Tretyakov, Stochastic Numerics for Mathematical Physics, Springer 2004.
    """

    def step(self, z: Tensor, dW: Tensor) -> Tensor:
        """One step."""
        return self._solve(z + self._g(z, dW), lambda new: self._f(0.5 * (z + new)))


@final
class ImplicitTrapezoid(_Implicit):
    """z' = z + h (f(z) + f(z'))/2 + g dW, additive noise. The stationary variance of a linear drift is exact too.

    Strong order 1, weak order 2 whether the drift is curved or not.

    Source: Milstein and Tretyakov, Stochastic Numerics for Mathematical Physics, Springer 2004.
    """

    def step(self, z: Tensor, dW: Tensor) -> Tensor:
        """One step."""
        known = z + 0.5 * self._h * self._f(z) + self._g(z, dW)
        return self._solve(known, lambda new: 0.5 * self._f(new))


@final
class ExponentialStep:
    """z' = z + (integral of e^(A t)) f(z) + exact noise: the linear part of drift and noise exact at any step.

    dz = f(z) dt + B dW with f(z) = A (z - z*) + r(z) and r held over the step. What the noise adds within a step is
    correlated through A; `root` draws it with its exact covariance. A linear drift is exact, in law, for any step;
    otherwise the order is 1, with an error constant that goes with the curvature r.

    Args:
        drift: f.
        exact: the matrices of the step.
        h: step; `dW` comes with variance h.
        like: sets the dtype.

    Source: exponential Euler method with A frozen at the rest; Van Loan (1978) for the noise.
    """

    def __init__(self, drift: Drift, exact: ExactStep, h: float, like: Tensor) -> None:
        self._f = drift
        self._response_T = torch.as_tensor(exact.response.T.copy()).to(like)
        self._root_T = torch.as_tensor(exact.root.T.copy() / h**0.5).to(like)

    def step(self, z: Tensor, dW: Tensor) -> Tensor:
        """One step; `dW` is any draw of variance h, not the path's own increment."""
        return torch.addmm(z, self._f(z), self._response_T).addmm_(dW, self._root_T)
