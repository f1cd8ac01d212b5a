"""Text in a scenario that must have a certain form: names and paths."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@final
@dataclass(frozen=True, slots=True)
class Text:
    """Marks a text field as having a form.

    Attributes:
        pattern: regular expression that the whole text must match.
        form: the same in words, for error messages and the reference.
    """

    pattern: str
    form: str

    def read(self, value: str) -> str:
        """`value`, if it has the form."""
        if re.fullmatch(self.pattern, value) is None:
            raise PydanticCustomError("text", "does not have the right form")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.read, handler(source))


# Control characters other than tab and newline have no business in a report.
_PRINTABLE = r"[^\x00-\x08\x0b-\x1f\x7f]"

Slug = Annotated[
    str, Text(r"[a-z0-9][a-z0-9-]{0,79}", 'lower-case letters, digits and hyphens, such as "digits-crossbar"')
]
"""A name that is also a good file name."""
Line = Annotated[str, Text(r"[^\x00-\x1f\x7f]*", "one line of text")]
Prose = Annotated[str, Text(rf"{_PRINTABLE}*", "text of one or more lines")]
_STAGE = r"[1-9][0-9]{0,3}@[1-9][0-9]{0,2}"
Stages = Annotated[
    str, Text(rf"{_STAGE}(, ?{_STAGE}){{0,7}}", 'channels@side of up to 8 stages, such as "48@32, 64@16"')
]
FolderPath = Annotated[str, Text(r"[^\x00-\x1f\x7f]+", "the path of a folder")]
Allowances = Annotated[
    str,
    Text(
        r"( ?(conductance|voltage|temperature|time))*",
        "any of conductance, voltage, temperature and time, with spaces between",
    ),
]
"""Names of quantities whose validity range may be left."""
PresetName = Annotated[
    str,
    Text(
        r"[a-z0-9-]{1,80}|[^\x00-\x1f\x7f]+\.toml",
        "the name of a preset (lower-case letters, digits, hyphens) or the path of a .toml file",
    ),
]
