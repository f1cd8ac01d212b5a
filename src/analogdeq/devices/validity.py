"""Where the figures of a preset hold, and what happens outside."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import final

from analogdeq.errors import InputError, RangeError

QUANTITIES = {"conductance": "S", "voltage": "V", "temperature": "K", "time": "s"}
"""What can be allowed by name, with its unit."""


@final
@dataclass(frozen=True)
class Range:
    """From `low` to `high`, with a remark on where that comes from."""

    low: float
    high: float
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a range that holds nothing.

        Raises:
            RangeError: naming both ends.
        """
        if not (self.low <= self.high):
            raise RangeError(f"a range needs low <= high, got {self.low} and {self.high}")


ANYWHERE = Range(-math.inf, math.inf)


@final
@dataclass(frozen=True, kw_only=True)
class Validity:
    """The ranges a preset was measured in; where a source says nothing there is no limit, and `describe` says so.

    Attributes:
        voltage: [V]. Of the read voltage's magnitude.
        temperature: [K].
        time: [s]. Since programming; its lower end is when the programming error was read.
    """

    voltage: Range = field(default=ANYWHERE)
    temperature: Range = field(default=ANYWHERE)
    time: Range = field(default=Range(0.0, math.inf))

    def describe(self) -> dict[str, str]:
        """Each range in words."""
        return {
            name: "not limited by the source" if math.isinf(r.low) and math.isinf(r.high) else _in_words(r, unit)
            for name, unit, r in (("voltage", "V", self.voltage), ("temperature", "K", self.temperature),
                                  ("time", "s", self.time))
        }  # fmt: skip


def check_allowed(allow: Collection[str]) -> frozenset[str]:
    """The names by which a user allows extrapolation.

    Raises:
        InputError: for a name there is none of.
    """
    unknown = sorted(set(allow) - set(QUANTITIES))
    if unknown:
        raise InputError(f"cannot allow {unknown[0]!r} outside its range; known: {', '.join(QUANTITIES)}")
    return frozenset(allow)


def check_inside(device: str, quantity: str, low: float, high: float, limits: Range, allow: Collection[str]) -> None:
    """Refuse to use a preset outside the range it was measured in.

    Args:
        device: the preset's name.
        quantity: a key of `QUANTITIES`.
        low: the lowest value asked for.
        high: the highest.
        limits: where the preset holds.
        allow: quantities whose range may be left.

    Raises:
        RangeError: unless `quantity` is allowed, saying how to allow it.
    """
    if quantity in allow or (limits.low <= low and high <= limits.high):
        return
    unit = QUANTITIES[quantity]
    asked = f"{low:g} {unit}" if low == high else f"{low:g} to {high:g} {unit}"
    note = f" ({limits.note})" if limits.note else ""
    raise RangeError(
        f"device {device!r}: {quantity} {asked} lies outside {limits.low:g} to {limits.high:g} {unit}, where its "
        f"figures hold{note}; stay inside, or allow {quantity!r} to extrapolate"
    )


def _in_words(r: Range, unit: str) -> str:
    return f"{r.low:g} to {r.high:g} {unit}" + (f" ({r.note})" if r.note else "")
