"""What a caller may choose about a settle."""

import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import final

from analogdeq.errors import InputError

NATIVE = ("tsit5", "bosh3", "rodas5p", "auto")
"""This package's own per-sample steppers."""
METHODS = (
    *NATIVE,
    "torchdiffeq-dopri5",
    "scipy-radau",
    "scipy-bdf",
    "scipy-lsoda",
    "scipy-dop853",
)
"""The others are references and stiff solvers."""


@final
@dataclass(frozen=True, kw_only=True)
class SettleOptions:
    """How to integrate, and what counts as settled.

    Attributes:
        method: one of `METHODS`.
        rtol: local error allowed per step, relative to the remaining motion max |F(z) - z|: a settle is a decay, and
            this keeps the relative error of what is left of it, where a tolerance relative to |z| would not.
        atol: local error allowed per step besides, in units of full scale.
        band: half width of the band that defines the settling time, in units of full scale.
        dwell_tau: how long a sample that the linearised circuit cannot decide must stay within half the band before it
            is asked whether it is certain to stay.
        max_time_tau: time budget.
        max_steps: budget of attempted steps per sample.
    """

    method: str = "auto"
    rtol: float = 1e-3
    atol: float = 1e-6
    band: float = 1e-3
    dwell_tau: float = 2.0
    max_time_tau: float = 500.0
    max_steps: int = 20_000

    def __post_init__(self) -> None:
        """Refuse what no settle can use.

        Raises:
            InputError: naming the option.
        """
        if self.method not in METHODS:
            near = get_close_matches(self.method, METHODS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(METHODS)}"
            raise InputError(f"unknown settle method {self.method!r}; {hint}")
        for name in ("rtol", "atol", "band", "max_time_tau"):
            value = getattr(self, name)
            if not (0 < value < math.inf):
                raise InputError(f"settle {name} = {value} must be positive and finite")
        if self.band >= 1 or self.rtol >= 1:
            raise InputError(f"settle band = {self.band:g} and rtol = {self.rtol:g} must be below 1")
        if self.atol >= self.band:
            raise InputError(
                f"settle atol = {self.atol:g} must be below band = {self.band:g}, or no crossing is resolved"
            )
        if not (0 <= self.dwell_tau < math.inf):
            raise InputError(f"settle dwell_tau = {self.dwell_tau} must be finite and not negative")
        if self.max_steps < 1:
            raise InputError(f"settle max_steps = {self.max_steps} must be at least 1")
