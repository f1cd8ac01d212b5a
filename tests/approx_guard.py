"""`pytest.approx` without its trap: an absolute tolerance of 1e-12 that nobody asked for.

Joules, farads and seconds of a chip lie below it, so that "within one part in a thousand" would accept anything.
"""

from typing import Any

import pytest

DEFAULT_ABS = 1e-12
SMALL = 1e-3
"""Where the default is more than 1e-9 of the number; on larger ones it does no more than rounding does."""


def install() -> None:
    """From now on a comparison that the default absolute tolerance decides is an error. To be called once."""
    scalar: Any = type(pytest.approx(1.0))  # lists, dictionaries and arrays are compared by it, number by number
    compare = scalar.__eq__

    def guarded(self: Any, actual: Any) -> bool:
        if is_decided_by_default(self.expected, self.rel, self.abs):
            pytest.fail(
                f"approx({self.expected!r}, rel={self.rel!r}) would accept errors up to pytest's default abs=1e-12; "
                f"say abs=0, or the absolute error that is meant",
            )
        return compare(self, actual)

    scalar.__eq__ = guarded


def is_decided_by_default(expected: object, rel: float | None, given_abs: float | None) -> bool:
    """Whether 1e-12 is wider than the relative tolerance, and not by rounding alone."""
    if given_abs is not None or isinstance(expected, bool) or not isinstance(expected, int | float):
        return False
    return 0 < abs(expected) < SMALL and (1e-6 if rel is None else rel) * abs(expected) < DEFAULT_ABS
