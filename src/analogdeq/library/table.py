"""A TOML file, read key by key; what nobody asked for is a mistake."""

import math
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, final

from analogdeq.errors import DataError


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: cannot be read as TOML: {error}") from None


@final
class Table:
    """One table of a file. Every method raises `DataError` naming file and key.

    Args:
        path: the file.
        where: the table in it, "[drift.mean]"; "" for the root.
        content: its keys.
    """

    def __init__(self, path: Path, where: str, content: Any) -> None:
        self._path, self._where = path, where
        if not isinstance(content, dict):
            raise self.problem(f"must be a table, got {content!r}")
        self._content: dict[str, Any] = content
        self._asked: set[str] = set()

    def problem(self, text: str) -> DataError:
        """The error for something wrong here."""
        return DataError(": ".join(part for part in (str(self._path), self._where, text) if part))

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        self._asked.add(key)
        return key in self._content

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty; `default` where the key is not there."""
        value = self._value(key, default)
        if not isinstance(value, str) or (not value and default is None):
            raise self.problem(f"{key!r} must be a text, got {value!r}")
        return value

    def choice(self, key: str, known: tuple[str, ...]) -> str:
        """One of some words."""
        value = self.text(key)
        if value not in known:
            near = get_close_matches(value, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise self.problem(f"{key!r} = {value!r} is unknown; {hint}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self.problem(f"{key!r} must be true or false, got {value!r}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.problem(f"{key!r} must be a finite number, got {value!r}")
        return float(value)

    def number_or_none(self, key: str) -> float | None:
        """A finite number, or None where the key is not there."""
        return self.number(key) if self.has(key) else None

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers, at least one."""
        value = self._value(key, None)
        if not isinstance(value, list) or not value:
            raise self.problem(f"{key!r} must be a list of numbers, got {value!r}")
        for item in value:
            if isinstance(item, bool) or not isinstance(item, int | float) or not math.isfinite(item):
                raise self.problem(f"{key!r} must hold finite numbers, got {value!r}")
        return tuple(map(float, value))

    def table(self, key: str) -> "Table":
        """A table inside this one."""
        name = f"{self._where[1:-1]}.{key}" if self._where else key
        return Table(self._path, f"[{name}]", self._value(key, None))

    def tables(self, key: str) -> "list[Table]":
        """An array of tables inside this one, at least one."""
        value = self._value(key, None)
        if not isinstance(value, list) or not value:
            raise self.problem(f"{key!r} must be an array of tables, got {value!r}")
        return [Table(self._path, f"{self._where} {key}[{k}]".strip(), item) for k, item in enumerate(value)]

    def finish(self) -> None:
        """Complain about keys that nothing asked for."""
        unknown = sorted(set(self._content) - self._asked)
        if unknown:
            raise self.problem(f"unknown key {unknown[0]!r}; known: {', '.join(sorted(self._asked))}")

    def in_words(self, *without: str) -> str:
        """Every figure of the table, for people."""
        return _in_words({key: value for key, value in self._content.items() if key not in without})

    def _value(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        value = self._content.get(key, default)
        if value is None:
            raise self.problem(f"{key!r} is missing")
        return value


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_in_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "[" + ", ".join(f"({_in_words(i)})" if isinstance(i, dict) else _in_words(i) for i in value) + "]"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
