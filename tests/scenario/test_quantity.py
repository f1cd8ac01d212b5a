import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from analogdeq.scenario.quantity import (
    Ampere,
    Farad,
    Hertz,
    Joule,
    Kelvin,
    Ohm,
    PerVolt,
    Ratio,
    Second,
    Siemens,
    TimeConstants,
    Volt,
    Watt,
)


@pytest.mark.parametrize(
    ("quantity", "text", "value"),
    [
        (Farad, "10 nF", 1e-8),
        (Siemens, "25 uS", 2.5e-5),
        (Siemens, "25µS", 2.5e-5),
        (Volt, "100 mV", 0.1),
        (Ampere, "1 pA", 1e-12),
        (Watt, "0.5 mW", 5e-4),
        (Joule, "13 pJ", 1.3e-11),
        (Second, "2 ns", 2e-9),
        (Hertz, "5 GHz", 5e9),
        (Kelvin, "300 K", 300.0),
        (Ohm, "100 kohm", 1e5),
        (Ohm, "100 kΩ", 1e5),
        (PerVolt, "15 1/V", 15.0),
    ],
)
def test_text_with_a_prefixed_unit_is_the_number_in_the_unit(quantity, text, value):
    assert TypeAdapter(quantity).validate_python(text) == value


@pytest.mark.parametrize("given_value", [1, 1.0, "1", " 1 F "])
def test_a_number_and_a_number_in_text_are_in_the_unit(given_value):
    read = TypeAdapter(Farad).validate_python(given_value)
    assert read == 1.0
    assert type(read) is float


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_keeps_its_bits(value):
    assert TypeAdapter(Volt).validate_python(value).hex() == value.hex()
    assert TypeAdapter(Volt).validate_python(repr(value)).hex() == value.hex()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1e999", "1e400 kF", 10**400, -(10**400)])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValidationError, match="is not finite"):
        TypeAdapter(Farad).validate_python(value)


@pytest.mark.parametrize("value", [True, False, None, [1.0], {"F": 1}, b"1 F", 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValidationError, match="is not a number"):
        TypeAdapter(Farad).validate_python(value)


@pytest.mark.parametrize("text", ["10 nV", "10 n", "10 f", "1 F F", "1 nanofarad", "1,5 nF"])
def test_text_in_another_unit_is_refused(text):
    with pytest.raises(ValidationError, match="is not in F"):
        TypeAdapter(Farad).validate_python(text)


@pytest.mark.parametrize("text", ["", "nF", "nan", "inf", "ten nF", "--1 F"])
def test_text_without_a_number_is_refused(text):
    with pytest.raises(ValidationError, match="is not a number with a unit"):
        TypeAdapter(Farad).validate_python(text)


@pytest.mark.parametrize("quantity", [Ratio, TimeConstants])
def test_a_ratio_takes_no_text(quantity):
    assert TypeAdapter(quantity).validate_python(2) == 2.0
    with pytest.raises(ValidationError, match="is not a number"):
        TypeAdapter(quantity).validate_python("2")


class Bounded(BaseModel):
    above: Farad = Field(default=1e-9, gt=0)
    within: Volt | None = Field(default=None, ge=0, le=1)


@pytest.mark.parametrize("fields", [{"above": 0}, {"above": "0 F"}, {"within": "1001 mV"}, {"within": -0.1}])
def test_bounds_hold_for_numbers_and_for_text(fields):
    with pytest.raises(ValidationError, match=r"greater than|less than"):
        Bounded(**fields)


def test_bounds_themselves_and_none_are_inside():
    assert Bounded(within="1000 mV").within == 1.0
    assert Bounded(within=None).within is None
