"""Says in words what a field takes, for error messages and for the reference."""

from collections.abc import Callable, Sequence

from pydantic.fields import FieldInfo

from analogdeq.scenario.fields import Bounds, bounds, choices, kind, quantity, takes_none, text
from analogdeq.units import format_quantity

SIGNS = (">", ">=", "<", "<=")
"""Of the four `Bounds`, in their order."""


def type_in_words(field: FieldInfo) -> str:
    """The type and unit of the field: "quantity in F", "whole number", "choice"."""
    if choices(field):
        return "choice"
    marked = quantity(field)
    if marked is None:
        return "whole number" if kind(field) is int else "text"
    if marked.reads_text:
        return f"quantity in {marked.unit}"
    return f"number, in {marked.unit}" if marked.unit else "number"


def allowed(field: FieldInfo) -> str:
    """What the field takes: "1 aF to 1 mF", "1 to 16", "'best' or 'median'"."""
    return _allowed_value(field) + (", or 'none'" if takes_none(field) else "")


def in_words(field: FieldInfo, value: object) -> str:
    """A valid value of the field as people write it: 1e-13 as "100 fF"."""
    if value is None:
        return "none"
    marked = quantity(field)
    if marked is None or not isinstance(value, float):
        return str(value)
    if marked.reads_text:
        return format_quantity(value, marked.unit, digits=6)
    return f"{value:g} {marked.unit}".rstrip()


def either(words: Sequence[str]) -> str:
    """Join words for a reader: "a", "a or b", "a, b or c"."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def shown(value: object) -> str:
    """Whatever stands in a file as a message shows it, kept to a readable length."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and value.bit_length() > 128:  # Python refuses to print the longest ones
        return f"a whole number of {value.bit_length()} bits"
    written = repr(value) if isinstance(value, str | int | float) else str(value)
    return written if len(written) <= 80 else f"{written[:77]}..."


def _allowed_value(field: FieldInfo) -> str:
    if choices(field):
        return either([repr(choice) for choice in choices(field)])
    if quantity(field):
        return _range(bounds(field), lambda bound: in_words(field, float(bound)))
    if kind(field) is int:
        return _range(bounds(field), str)
    marked = text(field)
    return marked.form if marked else "text"


def _range(limits: Bounds, written: Callable[[float], str]) -> str:
    if limits.ge is not None and limits.le is not None:
        return f"{written(limits.ge)} to {written(limits.le)}"
    given = [f"{sign} {written(limit)}" for sign, limit in zip(SIGNS, limits, strict=True) if limit is not None]
    return " and ".join(given) or "any"
