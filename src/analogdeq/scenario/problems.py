"""Turns what pydantic found wrong into lines that say where, what, and what to write instead."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from analogdeq.scenario import tree
from analogdeq.scenario.fields import choices
from analogdeq.scenario.merge import Merged
from analogdeq.scenario.suggest import closest, describe_unknown, nearest_key
from analogdeq.scenario.words import allowed, in_words, shown

_WHAT = {
    "int_type": "is not a whole number",
    "string_type": "is not text; put it in quotes",
    "greater_than": "is out of range",
    "greater_than_equal": "is out of range",
    "less_than": "is out of range",
    "less_than_equal": "is out of range",
    "literal_error": "is not one of the choices",
}
"""Pydantic's kinds of error in this project's words; the project's own kinds bring theirs."""


def problem_lines(error: ValidationError, merged: Merged) -> list[str]:
    """One line per mistake, each with its file, key, value and what is allowed."""
    details = error.errors(include_url=False)
    # "g_max" for "g_max_S" is one mistake, though g_max_S is missing too.
    meant = {nearest_key(_path(detail)) for detail in details if detail["type"] == "extra_forbidden"}
    return [_line(detail, merged) for detail in details if detail["type"] != "missing" or _path(detail) not in meant]


def _line(detail: ErrorDetails, merged: Merged) -> str:
    path, value = _path(detail), detail["input"]
    match detail["type"]:
        case "missing":
            return f"{merged.main_file}: {_missing(path)}"
        case "extra_forbidden":
            return f"{merged.source(path)}: {describe_unknown(path, value)}"
        case "rule":
            keys = [(*path[:-1], key) for key in detail["ctx"]["fields"]]
            return f"{_rule_context(keys, merged)}: {detail['msg']}"
        case "model_type":
            what = _not_a_table(path, value)
        case _:
            what = _wrong_value(path, detail)
    return f"{merged.source(path)}: {tree.name(path)} = {_given(path, merged)}: {what}"


def _missing(path: tree.KeyPath) -> str:
    table = tree.table_at(path)
    if table is None:
        return f"{tree.name(path)} is missing; {_allowed_at(path)}"
    needs = [key for key, field in tree.values(table).items() if field.is_required()]
    return f"{tree.heading(path)} is missing; it needs {' and '.join(needs)}"


def _not_a_table(path: tree.KeyPath, value: object) -> str:
    if isinstance(value, list):
        return f"is a list; write {tree.heading(path)} in single brackets"
    return f"is not a table; write {tree.heading(path)} on a line of its own, and its keys beneath"


def _wrong_value(path: tree.KeyPath, detail: ErrorDetails) -> str:
    what = _WHAT.get(detail["type"], detail["msg"])
    field, word = tree.field_at(path), detail["input"]
    near = closest(word, choices(field)) if field and isinstance(word, str) else None
    question = f"; did you mean {near!r}?" if near else ";"
    return f"{what}{question} {_allowed_at(path)}"


def _allowed_at(path: tree.KeyPath) -> str:
    field = tree.field_at(path)
    return f"allowed: {allowed(field)}" if field else "allowed: nothing"


def _rule_context(keys: list[tree.KeyPath], merged: Merged) -> str:
    """Blame the key that was said last; name the others, with their source where it differs."""
    blamed, *others = sorted(keys, key=lambda key: merged.origin.get(key, -1), reverse=True)
    context = "".join(f", {key[-1]} = {_given(key, merged)}{_whence(key, blamed, merged)}" for key in others)
    return f"{merged.source(blamed)}: {tree.name(blamed)} = {_given(blamed, merged)}{context}"


def _given(path: tree.KeyPath, merged: Merged) -> str:
    """The value as its layer wrote it, or the default where no layer did."""
    if path in merged.origin:
        return shown(merged.value(path))
    field = tree.field_at(path)
    return in_words(field, field.default) if field else ""


def _whence(path: tree.KeyPath, blamed: tree.KeyPath, merged: Merged) -> str:
    if path not in merged.origin:
        return " (default)"
    source = merged.source(path)
    return f" ({source})" if source != merged.source(blamed) else ""


def _path(detail: ErrorDetails) -> tree.KeyPath:
    return tuple(str(key) for key in detail["loc"])
