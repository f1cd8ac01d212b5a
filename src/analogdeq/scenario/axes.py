"""Reads what a sweep varies from the command line: `--set circuit.node_C_F="50 fF","100 fF"`."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from analogdeq.errors import ScenarioError
from analogdeq.scenario.fields import quantity
from analogdeq.scenario.files import SUFFIX
from analogdeq.scenario.overrides import LABEL, read_overrides
from analogdeq.scenario.tree import field_at

_OPENING, _CLOSING = "[{", "]}"
_DEVICE_FILE = "device.preset"


@final
@dataclass(frozen=True)
class Axis:
    """One key and the values it takes, spelt as `--set` takes them.

    Attributes:
        key: "circuit.node_C_F".
        values: at least one.
    """

    key: str
    values: tuple[str, ...]

    def changes(self) -> tuple[str, ...]:
        """One change per value."""
        return tuple(f"{self.key}={value}" for value in self.values)

    @property
    def unit(self) -> str:
        """SI unit of the key's quantity; "" where it is none."""
        field = field_at(tuple(self.key.split(".")))
        marked = quantity(field) if field is not None else None
        return marked.unit if marked is not None else ""


def read_axes(changes: list[str]) -> list[Axis]:
    """The axes of a sweep, in order; a change with one value is an axis of one point.

    Values are separated by commas. A comma within quotes, brackets or braces belongs to its value.

    Raises:
        ScenarioError: with a line for each change that cannot be read, each empty value and each key that comes twice.
    """
    axes: list[Axis] = []
    problems: list[str] = []
    for change in changes:
        key, _, text = change.partition("=")
        key = ".".join(part.strip() for part in key.split("."))
        values = tuple(_anchored(key, value) for value in _split(text))
        wrong = read_overrides([f"{key}={value}" for value in values] if "=" in change else [change])[1]
        if len(set(values)) < len(values):
            wrong.append(f"{LABEL} {change!r}: names a value twice")
        if key in {axis.key for axis in axes}:
            wrong.append(f"{LABEL} {change!r}: {key} is varied already; give all its values at once, with commas")
        problems += wrong
        axes.append(Axis(key, values))
    if problems:
        raise ScenarioError(problems)
    return axes


def _anchored(key: str, value: str) -> str:
    """A device file's path made absolute, so that a sweep can be resumed from another folder."""
    bare = value.strip("\"'")
    return str(Path(bare).absolute()) if key == _DEVICE_FILE and bare.endswith(SUFFIX) else value


def _split(text: str) -> list[str]:
    """At commas outside quotes and brackets."""
    parts, quote, depth, start = [], "", 0, 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]
