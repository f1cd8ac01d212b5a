"""Questions about one field of the schema: its kind, its bounds, its marks."""

import types
from typing import Annotated, Any, Literal, NamedTuple, Union, final, get_args, get_origin

from pydantic.fields import FieldInfo

from analogdeq.scenario.quantity import Quantity
from analogdeq.scenario.text import Text


@final
class Bounds(NamedTuple):
    """Limits of a number; None where there is none."""

    gt: float | None
    ge: float | None
    lt: float | None
    le: float | None


def takes_none(field: FieldInfo) -> bool:
    """Whether the field may hold no value."""
    return type(None) in _members(field.annotation)


def kind(field: FieldInfo) -> Any:
    """The type of the field's value: float, int, str, the class of a table, or `Literal[...]`."""
    member = _value_member(field)
    return get_args(member)[0] if get_origin(member) is Annotated else member


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The words that a field of fixed choices takes; () for any other field."""
    return get_args(kind(field)) if get_origin(kind(field)) is Literal else ()


def quantity(field: FieldInfo) -> Quantity | None:
    """How the field is marked as a quantity, if it is."""
    return next((mark for mark in _marks(field) if isinstance(mark, Quantity)), None)


def text(field: FieldInfo) -> Text | None:
    """How the field is marked as text of a certain form, if it is."""
    return next((mark for mark in _marks(field) if isinstance(mark, Text)), None)


def bounds(field: FieldInfo) -> Bounds:
    """The limits written in the field's `Field(...)`."""
    marks = _marks(field)
    return Bounds(*(_first_bound(marks, name) for name in Bounds._fields))


def _first_bound(marks: list[Any], name: str) -> float | None:
    return next((getattr(mark, name) for mark in marks if getattr(mark, name, None) is not None), None)


def _marks(field: FieldInfo) -> list[Any]:
    member = _value_member(field)
    inner = get_args(member)[1:] if get_origin(member) is Annotated else ()
    return [*inner, *field.metadata]


def _value_member(field: FieldInfo) -> Any:
    return next(member for member in _members(field.annotation) if member is not type(None))


def _members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of `X | None`; the annotation itself where it has none."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
