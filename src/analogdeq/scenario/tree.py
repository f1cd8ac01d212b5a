"""Walks the tables and keys of the schema."""

import re
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from analogdeq.scenario.fields import kind
from analogdeq.scenario.schema import Scenario
from analogdeq.scenario.section import Section

KeyPath = tuple[str, ...]
"""The keys that lead to a value: ("circuit", "adc", "bits")."""


def table_class(field: FieldInfo) -> type[Section] | None:
    """The class of the table that the field holds; None for a field that holds a value."""
    held = kind(field)
    return held if isinstance(held, type) and issubclass(held, Section) else None


def table_at(path: KeyPath) -> type[Section] | None:
    """The class of the table at `path`; None where the schema has no table."""
    if not path:
        return Scenario
    field = field_at(path)
    return table_class(field) if field else None


def field_at(path: KeyPath) -> FieldInfo | None:
    """The schema's field at `path`, table or value; None where it has none."""
    parent = table_at(path[:-1]) if path else None
    return parent.model_fields.get(path[-1]) if parent else None


def tables(path: KeyPath = ()) -> Iterator[tuple[KeyPath, type[Section]]]:
    """Every table, from the root down, in the order of the schema."""
    table = table_at(path)
    if table is None:
        return
    yield path, table
    for key in table.model_fields:
        yield from tables((*path, key))


def values(table: type[Section]) -> dict[str, FieldInfo]:
    """The keys of one table that hold a value."""
    return {key: field for key, field in table.model_fields.items() if table_class(field) is None}


def heading(path: KeyPath) -> str:
    """A table as TOML heads it: "[circuit.adc]"; "" for the root."""
    return f"[{'.'.join(map(_key, path))}]" if path else ""


def name(path: KeyPath) -> str:
    """A key with its table: "[circuit.adc] bits"."""
    return f"{heading(path[:-1])} {_key(path[-1])}".lstrip()


def _key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key) else repr(key)
