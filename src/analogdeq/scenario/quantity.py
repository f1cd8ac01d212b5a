"""Physical quantities in a scenario: a plain number in the field's unit, or text such as "10 nF"."""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from analogdeq.errors import UnitError
from analogdeq.units import PREFIXES, SPELLINGS, UNITS, parse_quantity

_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


@final
@dataclass(frozen=True, slots=True)
class Quantity:
    """Marks a float field as a finite quantity; bounds come from `Field(gt=..., le=...)` beside it.

    Attributes:
        unit: one of `analogdeq.units.UNITS`, which then may be written out in text ("10 nF"), or a word that
            only says what is counted ("tau"), or "" for a ratio: those two take plain numbers alone.
    """

    unit: str

    @property
    def reads_text(self) -> bool:
        """Whether "10 nF" is understood beside 1e-8."""
        return self.unit in UNITS

    def read(self, value: object) -> float:
        """The number meant by `value`, in `unit`."""
        number = self._number(value)
        if not math.isfinite(number):
            raise _refusal("is not finite")
        return number

    def _number(self, value: object) -> float:
        if isinstance(value, str) and self.reads_text:
            return self._number_in_text(value)
        # bool is an int in Python; "true volts" is a mistake all the same.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _refusal("is not a number")
        try:
            return float(value)
        except OverflowError:
            return math.inf

    def _number_in_text(self, text: str) -> float:
        try:
            return parse_quantity(text, self.unit)
        except UnitError as error:
            # The caller shows the value before this and what is allowed after it.
            raise _refusal(str(error).removeprefix(f"{text!r} ").partition(";")[0]) from None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    @property
    def text_pattern(self) -> str:
        """Regular expression of the text `read` understands, for editors."""
        names = [self.unit, *(spelling for spelling, unit in SPELLINGS.items() if unit == self.unit)]
        return rf"^\s*{_NUMBER}\s*([{''.join(PREFIXES)}]?({'|'.join(map(re.escape, names))}))?\s*$"


def _refusal(text: str) -> PydanticCustomError:
    return PydanticCustomError("quantity", "{text}", {"text": text})


Farad = Annotated[float, Quantity("F")]
Siemens = Annotated[float, Quantity("S")]
Volt = Annotated[float, Quantity("V")]
Ampere = Annotated[float, Quantity("A")]
Watt = Annotated[float, Quantity("W")]
Joule = Annotated[float, Quantity("J")]
Second = Annotated[float, Quantity("s")]
Hertz = Annotated[float, Quantity("Hz")]
Kelvin = Annotated[float, Quantity("K")]
Ohm = Annotated[float, Quantity("ohm")]
PerVolt = Annotated[float, Quantity("1/V")]

Ratio = Annotated[float, Quantity("")]
"""A number without a unit."""
TimeConstants = Annotated[float, Quantity("tau")]
"""A time counted in time constants of the core, tau = R C."""
