"""Reads a scenario: files, changes from the command line, validation, and every mistake at once."""

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from analogdeq.errors import InputError, ScenarioError
from analogdeq.scenario.files import Layer, read_chain
from analogdeq.scenario.merge import Merged, merge
from analogdeq.scenario.overrides import read_overrides
from analogdeq.scenario.problems import problem_lines
from analogdeq.scenario.schema import Scenario
from analogdeq.scenario.toml import parse_toml


def load_scenario(source: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario file, the files it is based on, and changes to it.

    Args:
        source: a path, or the name of a shipped scenario ("digits-crossbar").
        overrides: changes such as "circuit.node_C_F=10 nF", the later ones winning. What stands after "=" is a
            TOML value, or else plain text.

    Returns:
        The complete, validated scenario.

    Raises:
        ScenarioError: with one line per mistake, each naming the file (or "--set"), key, value and what is allowed.
        InputError: if `source` is no path, or `overrides` is not a list of texts.
    """
    _check_types(source, overrides)
    files = read_chain(source)
    changes, problems = read_overrides(overrides)
    return _validated(merge(files, changes), problems)


def parse_scenario(text: str, label: str) -> Scenario:
    """Read a complete scenario from its text, as `dump_scenario` writes it; nothing is read or written on any disk.

    Args:
        text: TOML.
        label: how messages name it.

    Raises:
        ScenarioError: with one line per mistake.
    """
    return _validated(merge([Layer(label, Path(), parse_toml(text, label))]), [])


def _validated(merged: Merged, problems: list[str]) -> Scenario:
    try:
        scenario = Scenario.model_validate(merged.data)
    except ValidationError as error:
        raise ScenarioError([*problems, *problem_lines(error, merged)]) from None
    if problems:
        raise ScenarioError(problems)
    return scenario


def _check_types(source: object, overrides: object) -> None:
    # A single text is a sequence of texts too, and would be read letter by letter.
    if isinstance(overrides, str) or not isinstance(overrides, Sequence):
        raise InputError(f"overrides is {overrides!r}; give a list of texts such as ['trace.samples=1']")
    wrong = next((item for item in overrides if not isinstance(item, str)), None)
    if wrong is not None:
        raise InputError(f"overrides has {wrong!r} in it; give texts such as 'trace.samples=1'")
    if not isinstance(source, str | os.PathLike):
        raise InputError(f"source is {source!r}; give a path or the name of a shipped scenario")
