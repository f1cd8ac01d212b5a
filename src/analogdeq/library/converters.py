"""Energy per conversion, from the survey of published converters."""

import math
from typing import Any

from analogdeq.errors import RangeError
from analogdeq.library.table import read_toml
from analogdeq.resources import resource_path

_QUANTILES = ("best", "p10", "median")


def adc_energy_J(bits: int, speed: str, quantile: str) -> tuple[float, str]:
    """Energy per conversion [J] from the survey table, and the words that say where it comes from.

    The survey sorts by effective bits; a converter of `bits` is charged as the class that contains `bits` effective
    ones, which favours the converter (a real one loses 0.5 to 1.5 bits to noise and distortion).

    Raises:
        RangeError: if the survey has no class for `bits` at `speed`, or no such quantile.
    """
    table = read_toml(resource_path("data", "converters", "adc.toml"))
    classes: list[dict[str, Any]] = table["class"]
    if quantile not in _QUANTILES:
        raise RangeError(f"unknown quantile {quantile!r} of the ADC survey; known: {', '.join(_QUANTILES)}")
    for row in classes:
        if row["speed"] == speed and row["enob"][0] <= bits < row["enob"][1]:
            energy = float(row[f"{quantile}_pJ"]) * 1e-12
            low, high = row["enob"]
            return (
                energy,
                f"{quantile} of {row['papers']} published converters, ENOB {low} to {high}, {speed}; {table['source']}",
            )
    known = "; ".join(f"{math.ceil(row['enob'][0])} bits {row['speed']}" for row in classes)
    raise RangeError(
        f"the ADC survey has no class for {bits} bits {speed}; it has {known}; or give circuit.adc.energy_J"
    )
