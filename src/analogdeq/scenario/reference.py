"""What a scenario may say, generated from the schema: as JSON schema for editors, as Markdown for people."""

from typing import Any

from pydantic.fields import FieldInfo

from analogdeq.scenario import tree
from analogdeq.scenario.fields import bounds, choices, kind, quantity, takes_none, text
from analogdeq.scenario.files import BASE
from analogdeq.scenario.schema import Scenario
from analogdeq.scenario.section import NONE, Section
from analogdeq.scenario.words import allowed, in_words, type_in_words

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BASE_MEANING = (
    "Another scenario file, relative to this one, or the name of a shipped one, whose values this file starts from: "
    "keys given here replace those, table by table."
)

_KEYWORDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
_INTRODUCTION = f"""# Scenario reference

A scenario is a TOML file. This page is generated from the schema (`python -m analogdeq.scenario docs/scenario.md`).

* A quantity is a number in the unit its key ends in, or text with any SI prefix: `node_C_F = 1e-13` and
  `node_C_F = "100 fF"` are the same.
* A key that allows `"none"` can be switched off with it.
* `{BASE} = "other.toml"` starts from another file, so that a variant says only what is different about it.
* `--set circuit.node_C_F="10 nF"` on the command line changes a key for one run.
"""

_BASE_ROW = f"| `{BASE}` | text | `{NONE}` | a .toml file, or a shipped name | {BASE_MEANING} |"


def json_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a scenario file, with units under "x-unit".

    Keys are required only in a file without a `base`.
    """
    schema = _table_schema(Scenario)
    schema["properties"] = {BASE: {"type": "string", "description": BASE_MEANING}, **schema["properties"]}
    return {"$schema": DIALECT, **schema, "if": {"required": [BASE]}, "else": _required(Scenario)}


def markdown_reference() -> str:
    """The reference of every table and key, as Markdown."""
    return "\n".join([_INTRODUCTION, *(_table_section(path, table) for path, table in tree.tables())])


def _table_schema(table: type[Section]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": _prose(table.__doc__),
        "properties": {key: _schema(field) for key, field in table.model_fields.items()},
        "additionalProperties": False,
    }


def _schema(field: FieldInfo) -> dict[str, Any]:
    table = tree.table_class(field)
    return _table_schema(table) if table else _value_schema(field)


def _required(table: type[Section]) -> dict[str, Any]:
    """The part of the schema that says which keys must be there, in this table and in those it must have."""
    needed = {key: tree.table_class(field) for key, field in table.model_fields.items() if field.is_required()}
    inner = {key: _required(held) for key, held in needed.items() if held}
    return {"required": list(needed)} | ({"properties": inner} if inner else {})


def _value_schema(field: FieldInfo) -> dict[str, Any]:
    alternatives = [*_alternatives(field), *([{"const": NONE}] if takes_none(field) else [])]
    schema = alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
    marked = quantity(field)
    if marked and marked.unit:
        schema = schema | {"x-unit": marked.unit}
    if not field.is_required() and field.default is not None:
        schema = schema | {"default": field.default}
    return schema | {"description": _prose(field.description)}


def _alternatives(field: FieldInfo) -> list[dict[str, Any]]:
    """The forms a value may take, "none" aside."""
    if choices(field):
        return [{"enum": list(choices(field))}]
    marked, form = quantity(field), text(field)
    if kind(field) is str:
        return [{"type": "string"} | ({"pattern": f"^(?:{form.pattern})$"} if form else {})]
    limits = bounds(field)._asdict().items()
    number = {"type": "integer" if kind(field) is int else "number"}
    number |= {_KEYWORDS[name]: limit for name, limit in limits if limit is not None}
    return [number, {"type": "string", "pattern": marked.text_pattern}] if marked and marked.reads_text else [number]


def _table_section(path: tree.KeyPath, table: type[Section]) -> str:
    title = f"`{tree.heading(path)}`" if path else "Top of the file"
    rows = "\n".join([*([] if path else [_BASE_ROW]), *(_row(key, field) for key, field in tree.values(table).items())])
    head = "| key | type | default | allowed | meaning |\n|---|---|---|---|---|"
    return f"## {title}\n\n{_prose(table.__doc__)}\n\n{head}\n{rows}\n"


def _row(key: str, field: FieldInfo) -> str:
    cells = (f"`{key}`", type_in_words(field), _default(field), allowed(field), _prose(field.description))
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    return f"`{in_words(field, field.default)}`" if field.default != "" else "empty"


def _prose(docstring: str | None) -> str:
    """A docstring as one line."""
    return " ".join((docstring or "").split())
