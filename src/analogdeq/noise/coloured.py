"""Noise with a memory: sums of Ornstein-Uhlenbeck processes, and random telegraph noise. Time is in units of choice."""

import math
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analogdeq.errors import InputError
from analogdeq.noise import spectra

Array = npt.NDArray[np.float64]


class Coloured(Protocol):
    """A noise process per node and path, Markov, so that steps may be of any length."""

    def start(self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        """A state drawn from the stationary law, for (path, node)."""
        ...

    def advance(self, state: Tensor, h: float, generator: torch.Generator) -> Tensor:
        """The state a time h later, exact for any h."""
        ...

    def value(self, state: Tensor) -> Tensor:
        """(path, node): what the noise is now."""
        ...


@final
@dataclass(frozen=True)
class OrnsteinUhlenbeckSum:
    """sum_k y_k,  dy_k = -lam_k y_k dt + sqrt(2 lam_k s2_k) dW_k; stepped by its exact recurrence.

    y' = e^(-lam h) y + sqrt(s2 (1 - e^(-2 lam h))) N(0,1)

    Attributes:
        rates: (process,) [1/time]. lam.
        variances: (process,) s2.
        scale: (node,) what the sum is multiplied with at each node.
    """

    rates: Tensor
    variances: Tensor
    scale: Tensor

    def start(self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        """(process, path, node), stationary."""
        normal = torch.randn(len(self.rates), *shape, generator=generator, dtype=dtype)
        return normal * self.variances.to(dtype).sqrt()[:, None, None]

    def advance(self, state: Tensor, h: float, generator: torch.Generator) -> Tensor:
        """Every process h later."""
        keep = torch.exp(-self.rates * h)
        fresh = (self.variances * -torch.expm1(-2 * self.rates * h)).sqrt()
        normal = torch.randn(state.shape, generator=generator, dtype=state.dtype)
        return keep.to(state)[:, None, None] * state + fresh.to(state)[:, None, None] * normal

    def value(self, state: Tensor) -> Tensor:
        """(path, node)."""
        return state.sum(0) * self.scale.to(state)

    def density(self, f: Array) -> Array:
        """One-sided spectral density of the sum at unit scale."""
        pairs = zip(self.variances.tolist(), self.rates.tolist(), strict=True)
        return np.sum([spectra.ornstein_uhlenbeck(f, s2, lam) for s2, lam in pairs], axis=0)

    def split(self, horizon: float, slow: float = 0.01) -> "tuple[OrnsteinUhlenbeckSum, OrnsteinUhlenbeckSum]":
        """The processes that stand still over `horizon` (lam horizon < slow), and those that move.

        The first are drawn once per inference as an offset; only the second belong into the integration.
        """
        still = self.rates * horizon < slow
        return tuple(  # type: ignore[return-value]
            OrnsteinUhlenbeckSum(self.rates[part], self.variances[part], self.scale) for part in (still, ~still)
        )


def flicker_sum(
    f_min: float, f_max: float, scale: Tensor, *, per_decade: float = 2.0, padding_decades: float = 1.0
) -> OrnsteinUhlenbeckSum:
    """1/f noise, S(f) = scale^2 / f from `f_min` to `f_max`, as Ornstein-Uhlenbeck processes of equal variance.

    Rates 2 pi f_k with f_k equally spaced in ln f by d = ln 10 / per_decade, and variance d each. In the band the
    ripple is 2 sech(pi^2 / d), 0.07 % at two per decade. The padding keeps the ends of the band up.

    Args:
        f_min: [1/time]. Lower end of the band.
        f_max: [1/time]. Upper end.
        scale: (node,) square root of S(f) f at each node.
        per_decade: processes per decade.
        padding_decades: how far to go on beyond either end.

    Raises:
        InputError: if the band is empty.

    Source: superposition of Lorentzians, Bernamont (1937), van der Ziel (1950); ripple by Poisson summation.
    """
    if not (0 < f_min < f_max < math.inf) or per_decade <= 0 or padding_decades < 0:
        raise InputError(f"1/f noise needs 0 < f_min < f_max, got {f_min:g} and {f_max:g}")
    decades = math.log10(f_max / f_min) + 2 * padding_decades
    count = round(decades * per_decade) + 1
    spacing = math.log(10) * decades / (count - 1)
    lowest = math.log(f_min) - padding_decades * math.log(10)
    f = torch.exp(lowest + spacing * torch.arange(count, dtype=torch.float64))
    return OrnsteinUhlenbeckSum(2 * math.pi * f, torch.full_like(f, spacing), scale)


@final
@dataclass(frozen=True)
class Telegraph:
    """Random telegraph noise: 0 or `step`, exponential dwell times; stepped by its exact transition probabilities.

    Attributes:
        step: (node,) height at each node.
        mean_high: [time]. Mean time spent at `step`.
        mean_low: [time]. Mean time spent at 0.
    """

    step: Tensor
    mean_high: float
    mean_low: float

    def __post_init__(self) -> None:
        """Refuse times that are not positive.

        Raises:
            InputError: naming them.
        """
        if not (0 < self.mean_high < math.inf and 0 < self.mean_low < math.inf):
            raise InputError(f"telegraph noise needs positive mean times, got {self.mean_high} and {self.mean_low}")

    @property
    def share_high(self) -> float:
        """[1]. Stationary probability of being high."""
        return self.mean_high / (self.mean_high + self.mean_low)

    def start(self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        """(path, node) of 0 and 1, stationary."""
        return (torch.rand(shape, generator=generator, dtype=dtype) < self.share_high).to(dtype)

    def advance(self, state: Tensor, h: float, generator: torch.Generator) -> Tensor:
        """P(high, h later) = p + (state - p) e^(-(1/t_h + 1/t_l) h)."""
        p = self.share_high
        high = p + (state - p) * math.exp(-(1 / self.mean_high + 1 / self.mean_low) * h)
        return (torch.rand(state.shape, generator=generator, dtype=state.dtype) < high).to(state.dtype)

    def value(self, state: Tensor) -> Tensor:
        """(path, node), about its mean."""
        return (state - self.share_high) * self.step.to(state)
