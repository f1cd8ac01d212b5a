"""Guesses what was meant by a key, table or word that does not exist."""

import difflib
import re
from collections.abc import Iterable

from analogdeq.scenario import tree
from analogdeq.scenario.section import Section
from analogdeq.scenario.words import either
from analogdeq.units import PREFIXES, UNITS

_UNIT_SUFFIX = re.compile(rf"_(per_V|[{''.join(PREFIXES)}]?(tau|{'|'.join(filter(str.isalpha, UNITS))}))$")


def describe_unknown(path: tree.KeyPath, value: object) -> str:
    """Say that the schema has nothing at `path`, and what may have been meant."""
    if isinstance(value, dict):
        return f"unknown table {tree.heading(path)}. {_table_hint(path)}"
    return f"{tree.heading(path[:-1])} unknown key {path[-1]!r}. {_key_hint(path)}".lstrip()


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most resembles, whatever its case; None if none does."""
    folded = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(word.lower(), folded, n=1)
    return folded[matches[0]] if matches else None


def nearest_key(path: tree.KeyPath) -> tree.KeyPath | None:
    """The path of the schema in the same table that the unknown `path` most resembles."""
    table = tree.table_at(path[:-1])
    if table is None:
        return None
    key = _same_but_for_the_unit(path[-1], table) or closest(path[-1], table.model_fields)
    return (*path[:-1], key) if key else None


def _table_hint(path: tree.KeyPath) -> str:
    near = nearest_key(path)
    if near and tree.table_at(near):
        return f"Did you mean {tree.heading(near)}?"
    here = [tree.heading(known) for known, _ in tree.tables() if known and known[:-1] == path[:-1]]
    return f"Tables here: {', '.join(here) or 'none'}"


def _key_hint(path: tree.KeyPath) -> str:
    homes = [
        tree.heading(home) or "the top of the file" for home, table in tree.tables() if path[-1] in table.model_fields
    ]
    if homes:
        return f"It belongs under {either(homes)}"
    near = nearest_key(path)
    if near:
        return f"Did you mean {near[-1]!r}?"
    table = tree.table_at(path[:-1])
    return f"Known here: {', '.join(table.model_fields) if table else 'nothing'}"


def _same_but_for_the_unit(key: str, table: type[Section]) -> str | None:
    """The key that `key` is without its unit, or with another: g_max_S for g_max and for g_max_uS."""
    stem = _UNIT_SUFFIX.sub("", key)
    return next((known for known in table.model_fields if _UNIT_SUFFIX.sub("", known) == stem), None)
