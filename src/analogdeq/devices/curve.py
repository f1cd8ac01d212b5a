"""Curves that measured statistics are fitted with: functions of one variable, elementwise over a tensor."""

import math
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor

from analogdeq.errors import RangeError

_SMALLEST = 1e-30
"""Stands for zero under a logarithm or a negative power; every such curve is clamped there."""


class Curve(Protocol):
    """A function of one variable."""

    def __call__(self, x: Tensor) -> Tensor:
        """The curve at `x`, in the shape of `x`."""
        ...


@final
@dataclass(frozen=True)
class Polynomial:
    """sum_k c_k x^k."""

    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse coefficients that are no numbers."""
        _refuse_unless_finite("polynomial", self.coefficients)

    def __call__(self, x: Tensor) -> Tensor:
        """The polynomial at `x` by Horner's rule."""
        value = torch.zeros_like(x)
        for coefficient in reversed(self.coefficients):
            value = value * x + coefficient
        return value


@final
@dataclass(frozen=True, kw_only=True)
class ClampedLog:
    """slope ln x + offset, no lower than `low` and no higher than `high`."""

    slope: float
    offset: float
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        _refuse_unless_finite("clamped-log", (self.slope, self.offset, self.low, self.high))
        if self.low > self.high:
            raise RangeError(f"a clamped-log curve needs low <= high, got {self.low:g} and {self.high:g}")

    def __call__(self, x: Tensor) -> Tensor:
        """The curve at `x`; at and below 0 it is where the logarithm tends to."""
        return (self.slope * x.clamp_min(_SMALLEST).log() + self.offset).clamp(self.low, self.high)


@final
@dataclass(frozen=True, kw_only=True)
class CappedPower:
    """scale x^exponent, no higher than `high`."""

    scale: float
    exponent: float
    high: float

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        _refuse_unless_finite("capped-power", (self.scale, self.exponent, self.high))

    def __call__(self, x: Tensor) -> Tensor:
        """The curve at `x`."""
        return (self.scale * x.clamp_min(_SMALLEST) ** self.exponent).clamp_max(self.high)


@final
@dataclass(frozen=True, kw_only=True)
class Saturating:
    """amplitude (1 - exp(-x / scale))."""

    amplitude: float
    scale: float

    def __post_init__(self) -> None:
        """Refuse a scale that is not positive."""
        _refuse_unless_finite("saturating", (self.amplitude, self.scale))
        if self.scale <= 0:
            raise RangeError(f"a saturating curve needs scale > 0, got {self.scale:g}")

    def __call__(self, x: Tensor) -> Tensor:
        """The curve at `x`."""
        return -self.amplitude * torch.expm1(-x / self.scale)


@final
@dataclass(frozen=True)
class Piecewise:
    """`below` where x < `split`, else `above`."""

    split: float
    below: Curve
    above: Curve

    def __call__(self, x: Tensor) -> Tensor:
        """The curve at `x`."""
        return torch.where(x < self.split, self.below(x), self.above(x))


@final
@dataclass(frozen=True)
class Scaled:
    """y_scale curve(x / x_scale): the same curve in other units."""

    curve: Curve
    x_scale: float
    y_scale: float

    def __call__(self, x: Tensor) -> Tensor:
        """The curve at `x`."""
        return self.y_scale * self.curve(x / self.x_scale)


def _refuse_unless_finite(what: str, numbers: tuple[float, ...]) -> None:
    if not all(math.isfinite(number) for number in numbers):
        raise RangeError(f"a {what} curve must hold finite numbers, got {numbers}")
