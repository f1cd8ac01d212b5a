"""Physical constants, and the way between plain SI numbers and what people write ("10 nF")."""

import math
import re
from decimal import Decimal

from analogdeq.errors import UnitError

BOLTZMANN_J_PER_K = 1.380649e-23
"""Exact since the SI of 2019."""
ELEMENTARY_CHARGE_C = 1.602176634e-19
"""Exact since the SI of 2019."""

PREFIXES = {
    "a": 1e-18, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3,
    "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
}  # fmt: skip
UNITS = ("F", "S", "V", "A", "W", "J", "s", "Hz", "K", "ohm", "1/V")
SPELLINGS = {"Ω": "ohm", "\u2126": "ohm", "Ohm": "ohm", "ohms": "ohm", "V^-1": "1/V", "/V": "1/V"}

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$")


def parse_quantity(text: str, unit: str) -> float:
    """Read "10 nF" as 1e-8, given that a number in `unit` is wanted.

    Args:
        text: a number, optionally followed by a prefixed unit. A bare number is taken to be in `unit`.
        unit: one of `UNITS`.

    Raises:
        UnitError: if there is no number, it is beyond floating point, or its unit is not `unit` with an SI prefix.
    """
    match = _NUMBER.match(text)
    if match is None:
        raise UnitError(f"{text!r} is not a number with a unit; write for example '10 n{unit}' or 1e-8")
    number, suffix = float(match.group(1)), match.group(2)
    if not suffix:
        return _finite(number, text)
    scale = _scale(suffix, unit)
    if scale is None:
        raise UnitError(
            f"{text!r} is not in {unit}; write for example '{number:g} n{unit}' or a plain number in {unit}"
        )
    # In decimals, so that "10 nF" equals 1e-8 to the last bit; 10 * 1e-9 does not.
    return _finite(float(Decimal(repr(number)) * Decimal(repr(scale))), text)


def format_quantity(value: float, unit: str, digits: int = 3) -> str:
    """Write 1.234e-8 F as "12.3 nF"; NaN and infinities are written as they are."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    exponent = min(max(3 * math.floor(math.log10(abs(value)) / 3), -18), 12)
    mantissa = float(f"{value / 10.0**exponent:.{digits}g}")
    if abs(mantissa) >= 1000 and exponent < 12:  # 999.9 rounded up
        mantissa, exponent = mantissa / 1000, exponent + 3
    symbol = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}[exponent]
    return f"{mantissa:.{max(digits, 3)}g} {symbol}{unit}"  # already rounded; fewer digits would bring an exponent


def _finite(value: float, text: str) -> float:
    if not math.isfinite(value):
        raise UnitError(f"{text!r} is not finite; floating point ends at 1.8e308")
    return value


def _scale(suffix: str, unit: str) -> float | None:
    """The SI prefix of `suffix` if the rest of it names `unit`, else None."""
    for spelling in (unit, *(alias for alias, name in SPELLINGS.items() if name == unit)):
        if suffix.endswith(spelling) and suffix[: -len(spelling)] in PREFIXES:
            return PREFIXES[suffix[: -len(spelling)]]
    return None
