"""Curves as preset files write them."""

from analogdeq.devices.curve import CappedPower, ClampedLog, Curve, Piecewise, Polynomial, Saturating
from analogdeq.errors import RangeError
from analogdeq.library.table import Table

LAWS = ("polynomial", "clamped-log", "capped-power", "saturating", "piecewise")


def read_curve(table: Table) -> Curve:
    """The curve of a table whose `law` names it.

    Raises:
        DataError: naming file and key.
    """
    law = table.choice("law", LAWS)
    try:
        curve = _read(law, table)
    except RangeError as error:
        raise table.problem(str(error)) from None
    table.finish()
    return curve


def _read(law: str, table: Table) -> Curve:
    if law == "polynomial":
        return Polynomial(table.numbers("coefficients"))
    if law == "clamped-log":
        return ClampedLog(
            slope=table.number("slope"),
            offset=table.number("offset"),
            low=table.number("low"),
            high=table.number("high"),
        )
    if law == "capped-power":
        return CappedPower(scale=table.number("scale"), exponent=table.number("exponent"), high=table.number("high"))
    if law == "saturating":
        return Saturating(amplitude=table.number("amplitude"), scale=table.number("scale"))
    return Piecewise(table.number("split"), read_curve(table.table("below")), read_curve(table.table("above")))
