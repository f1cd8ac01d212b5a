"""Writes a scenario back as TOML, complete: every key, every unit."""

import json
from collections.abc import Iterator

from analogdeq.scenario.fields import quantity
from analogdeq.scenario.schema import Scenario
from analogdeq.scenario.section import NONE, Section
from analogdeq.scenario.tree import KeyPath, heading, tables, values
from analogdeq.scenario.words import in_words


def dump_scenario(scenario: Scenario) -> str:
    """The fully resolved scenario as TOML text, which `load_scenario` reads back as an equal `Scenario`.

    Keys that hold no value are left out where that is their default, and say "none" where it is not. Quantities carry
    a comment that a person can read.
    """
    return "\n\n".join("\n".join(_table(scenario, path)) for path, _ in tables()) + "\n"


def _table(scenario: Scenario, path: KeyPath) -> Iterator[str]:
    table: Section = scenario
    for key in path:
        table = getattr(table, key)
    if path:
        yield heading(path)
    for key, field in values(type(table)).items():
        value = getattr(table, key)
        if value is None and field.default is None:
            continue
        marked = quantity(field)
        comment = f"  # {in_words(field, value)}" if marked and marked.unit and value is not None else ""
        yield f"{key} = {_literal(value)}{comment}"


def _literal(value: str | int | float | None) -> str:
    if value is None:
        return f'"{NONE}"'
    if isinstance(value, str):
        # A JSON string is a TOML basic string, except that TOML wants DEL escaped too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    # repr is the shortest text that reads back to the same bits, and TOML reads every form of it.
    return repr(value)
