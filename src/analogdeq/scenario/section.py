"""What every table of a scenario shares: frozen, no unknown keys, "none" for the absence of a value."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Strict, model_validator
from pydantic_core import PydanticCustomError

from analogdeq.scenario.fields import takes_none

NONE = "none"
"""How a file says "no value": TOML has no null, and a variant must be able to undo what its base set."""

Count = Annotated[int, Strict()]
"""A whole number; 3.0 and true are not."""


class Section(BaseModel):
    """One table of a scenario (abstract); a field is its type, default, bounds and the docstring beneath it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        # Defaults go through the validators too, so that a rule between two fields also sees the one left out.
        validate_default=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        optional = {key for key, field in cls.model_fields.items() if takes_none(field)}
        return {key: None if value == NONE and key in optional else value for key, value in data.items()}


def broken_rule(fields: tuple[str, ...], text: str) -> PydanticCustomError:
    """The error of a rule between `fields` of one table.

    Raise it in the field validator of the last of them in the order of declaration: pydantic then calls it even
    while unrelated fields are wrong, and `info.data` holds those of the earlier ones that are right.
    """
    return PydanticCustomError("rule", "{text}", {"text": text, "fields": fields})
