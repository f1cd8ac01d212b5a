"""The shipped tables, read into physics objects: device presets and converter energies."""

import math
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch

from analogdeq.devices.preset import DevicePreset
from analogdeq.errors import DataError, RangeError
from analogdeq.resources import resource_path
from analogdeq.units import format_quantity

_PRESET_KEYS = {"title", "source", "sigma", "sigma_unit", "g_min_S", "g_max_S", "not_modelled"}
_QUANTILES = ("best", "p10", "median")


def device_names() -> list[str]:
    """The presets under `data/devices/`, sorted."""
    return sorted(path.stem for path in resource_path("data", "devices").glob("*.toml"))


def device_preset(name: str) -> DevicePreset:
    """Read one preset by name, or from a path that ends in `.toml`.

    Raises:
        DataError: if there is none of that name, or its file is not what a preset must be.
    """
    path = Path(name) if name.endswith(".toml") else resource_path("data", "devices", f"{name}.toml")
    if not path.is_file():
        near = get_close_matches(name, device_names(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(device_names())}"
        raise DataError(f"no device preset {name!r}; {hint}")
    table = _read_toml(path)
    unknown = sorted(set(table) - _PRESET_KEYS)
    if unknown:
        raise DataError(f"{path}: unknown key {unknown[0]!r}; known: {', '.join(sorted(_PRESET_KEYS))}")
    try:
        is_measured = {"S": True, "g_max": False}[table["sigma_unit"]]
        preset = DevicePreset(
            name=path.stem,
            title=str(table["title"]),
            g_min_S=float(table["g_min_S"]) if is_measured else 0.0,
            g_max_S=float(table["g_max_S"]) if is_measured else math.inf,
            sigma_S=tuple(float(c) for c in table["sigma"]),
            source=str(table["source"]),
            not_modelled=str(table.get("not_modelled", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: a preset needs title, source, sigma (numbers), sigma_unit ('S' or 'g_max') and, for 'S', "
            f"g_min_S and g_max_S; {type(error).__name__}: {error}"
        ) from None
    if not 0 <= preset.g_min_S < preset.g_max_S or preset.is_measured != is_measured:
        raise DataError(
            f"{path}: want 0 <= g_min_S < g_max_S, both finite, got {preset.g_min_S:g} and {preset.g_max_S:g}"
        )
    if not all(math.isfinite(c) for c in preset.sigma_S):
        raise DataError(f"{path}: sigma must hold finite numbers, got {preset.sigma_S}")
    reference_S = preset.g_max_S if is_measured else 1.0
    range_S = torch.linspace(preset.g_min_S, reference_S, 101, dtype=torch.float64)
    if float(preset.programming_sigma_S(range_S, reference_S).min()) < 0:
        raise DataError(f"{path}: sigma {preset.sigma_S} becomes negative between g_min_S and g_max_S")
    return preset


def describe_device(name: str) -> dict[str, Any]:
    """What a preset says, for people and scripts: programming error at five points of its range, range and source."""
    preset = device_preset(name)
    reference_S = preset.g_max_S if preset.is_measured else 1.0
    points = torch.linspace(0, 1, 5, dtype=torch.float64) * (reference_S - preset.g_min_S) + preset.g_min_S
    sigma = preset.programming_sigma_S(points, reference_S)

    def say(value: float) -> str:
        return format_quantity(value, "S") if preset.is_measured else f"{100 * value:g} % of g_max"

    return {
        "name": preset.name,
        "title": preset.title,
        "programming error": {say(float(g)): say(float(s)) for g, s in zip(points, sigma, strict=True)},
        "range": f"{say(preset.g_min_S)} to {say(preset.g_max_S)}" if preset.is_measured else "any conductance",
        "source": preset.source,
        "not modelled": preset.not_modelled or "-",
    }


def adc_energy_J(bits: int, speed: str, quantile: str) -> tuple[float, str]:
    """Energy per conversion [J] from the survey table, and the words that say where it comes from.

    The survey sorts by effective bits; a converter of `bits` is charged as the class that contains `bits` effective
    ones, which favours the converter (a real one loses 0.5 to 1.5 bits to noise and distortion).

    Raises:
        RangeError: if the survey has no class for `bits` at `speed`, or no such quantile.
    """
    table = _read_toml(resource_path("data", "converters", "adc.toml"))
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


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: cannot be read as TOML: {error}") from None
