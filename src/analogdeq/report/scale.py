"""Units for axes: one SI prefix for a whole axis."""

import math
from typing import final

import numpy as np
import numpy.typing as npt

from analogdeq.units import PREFIXES


@final
class AxisScale:
    """Seconds as "ns", joules as "pJ": the prefix that keeps the largest value between 1 and 1000.

    Attributes:
        factor: multiply an SI value by this to get what the axis shows.
        unit: the prefixed unit.
    """

    def __init__(self, values: npt.ArrayLike, unit: str) -> None:
        """Choose by the largest finite magnitude; all zero or nothing finite keeps the plain unit."""
        magnitudes = np.abs(np.asarray(values, dtype=np.float64))
        largest = float(np.max(magnitudes, where=np.isfinite(magnitudes), initial=0.0))
        exponent = 3 * math.floor(math.log10(largest) / 3) if largest > 0 else 0
        exponent = min(max(exponent, -18), 12)
        symbol = next(
            symbol for symbol, size in PREFIXES.items() if symbol != "u" and round(math.log10(size)) == exponent
        )
        self.factor = 10.0**-exponent
        self.unit = f"{symbol}{unit}"
