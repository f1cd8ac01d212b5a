"""The shipped kinds of oscillator, read into physics objects."""

import math
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, final

from analogdeq.circuits.frequency_drift import FrequencyDrift
from analogdeq.circuits.oscillator import QUANTITIES, OscillatorKind
from analogdeq.errors import DataError, RangeError
from analogdeq.resources import resource_path

_NEEDED = {"title", "source", "frequency_Hz", "power_W", "lock_ratio", "assumed", "cycles", "energy_per_solution_J"}
_KNOWN = {*_NEEDED, *QUANTITIES, "drift", "not_modelled"}


@final
@dataclass(frozen=True, kw_only=True)
class Published:
    """What was reported of a kind of oscillator, to hold a simulation against.

    Attributes:
        cycles: least and most periods to a solution.
        energy_J: [J]. Least and most energy of a solution.
    """

    cycles: tuple[float, float]
    energy_J: tuple[float, float]


def oscillator_names() -> list[str]:
    """The presets under `data/oscillators/`, sorted."""
    return sorted(path.stem for path in resource_path("data", "oscillators").glob("*.toml"))


def oscillator_kind(name: str) -> OscillatorKind:
    """Read one preset by name.

    Raises:
        DataError: if there is none of that name, or its file is not what a preset must be.
    """
    table = _table(name)
    try:
        return OscillatorKind(
            name=name,
            title=str(table["title"]),
            source=str(table["source"]),
            not_modelled=str(table.get("not_modelled", "")),
            drift=FrequencyDrift(**{key: float(value) for key, value in table.get("drift", {}).items()}),
            assumed=tuple(str(name) for name in table["assumed"]),
            **{key: float(table[key]) for key in QUANTITIES if key in table},
        )
    except (AttributeError, TypeError, ValueError, RangeError) as error:
        raise DataError(f"oscillator preset {name!r}: {error}") from None


def published_range(name: str) -> Published:
    """What was reported of one kind, or follows from its class.

    Raises:
        DataError: if there is no such preset, or its ranges are not two rising numbers.
    """
    table = _table(name)
    ranges = [tuple(float(value) for value in table[key]) for key in ("cycles", "energy_per_solution_J")]
    for values in ranges:
        if len(values) != 2 or not 0 <= values[0] < values[1] < math.inf:
            raise DataError(f"oscillator preset {name!r}: a range is two rising numbers, got {list(values)}")
    (low, high), (least_J, most_J) = ranges
    return Published(cycles=(low, high), energy_J=(least_J, most_J))


def _table(name: str) -> dict[str, Any]:
    path = resource_path("data", "oscillators", f"{name}.toml")
    if not path.is_file():
        near = get_close_matches(name, oscillator_names(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(oscillator_names())}"
        raise DataError(f"no oscillator preset {name!r}; {hint}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: cannot be read as TOML: {error}") from None
    if missing := sorted(_NEEDED - set(table)):
        raise DataError(f"{path}: {missing[0]!r} is missing; a preset needs {', '.join(sorted(_NEEDED))}")
    if unknown := sorted(set(table) - _KNOWN):
        raise DataError(f"{path}: unknown key {unknown[0]!r}; known: {', '.join(sorted(_KNOWN))}")
    return table
