"""A number computed from the weights, and the bound it must keep."""

from dataclasses import dataclass
from typing import final

ROUNDING = 1e-5
"""[1]. What float32 weights may miss a bound by, relative to the larger of the bound and 1."""


@final
@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What one parametrisation promises of W, checked on the weights as they are.

    Attributes:
        name: the quantity, such as "||W||_2".
        value: [1]. Computed in float64 from the float weights.
        bound: [1]. What `value` must not exceed.
        tolerance: [1]. What it may exceed it by, relative to the larger of the bound and 1.
        meaning: what follows where it holds.
    """

    name: str
    value: float
    bound: float
    tolerance: float = ROUNDING
    meaning: str

    @property
    def holds(self) -> bool:
        """Whether the value keeps the bound; False for NaN."""
        return self.value <= self.bound + self.tolerance * max(abs(self.bound), 1.0)
