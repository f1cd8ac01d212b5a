"""Reads changes from the command line: `--set circuit.node_C_F="10 nF"`."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analogdeq.scenario.files import BASE, Layer

LABEL = "--set"


def read_overrides(overrides: Sequence[str]) -> tuple[list[Layer], list[str]]:
    """One layer per change, in order, and a line for each that cannot be read."""
    layers, problems = [], []
    for override in overrides:
        key, equals, text = override.partition("=")
        keys = [part.strip() for part in key.split(".")]
        if not equals or not all(keys):
            problems.append(f"{LABEL} {override!r}: is not of the form table.key=value")
        elif keys == [BASE]:
            problems.append(f"{LABEL} {override!r}: only a file can have a {BASE}")
        elif not text.strip():
            problems.append(f"{LABEL} {override!r}: has no value after '='; write '\"\"' for empty text")
        else:
            layers.append(Layer(LABEL, Path.cwd(), _nested(keys, _value(text))))
    return layers, problems


def _nested(keys: list[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return value


def _value(text: str) -> Any:
    """The TOML value written in `text`; text that is none stands for itself, so that 10 nF needs no quotes."""
    try:
        data = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return _lenient(text.strip())
    # "1\nother = 2" is TOML of two keys, not one value.
    return data["value"] if list(data) == ["value"] else text.strip()


def _lenient(text: str) -> float | str:
    try:
        return float(text)  # people type .5 and 1. where TOML wants digits on both sides
    except ValueError:
        return text
