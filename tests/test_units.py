"""Text to SI numbers and back."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analogdeq.errors import AnalogdeqError, InputError, UnitError
from analogdeq.units import (
    BOLTZMANN_J_PER_K,
    ELEMENTARY_CHARGE_C,
    PREFIXES,
    UNITS,
    format_quantity,
    parse_quantity,
)

POWER_OF_TEN = {"a": -18, "f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("10 nF", "F", 1e-8),
        ("10nF", "F", 1e-8),
        ("  10  nF  ", "F", 1e-8),
        ("1e1 nF", "F", 1e-8),
        ("0.01 uF", "F", 1e-8),
        ("100 fF", "F", 1e-13),
        ("25 uS", "S", 25e-6),
        ("0.25 uS", "S", 0.25e-6),
        ("100 mV", "V", 0.1),
        ("100 kohm", "ohm", 1e5),
        ("5 GHz", "Hz", 5e9),
        ("300 K", "K", 300.0),
        ("15 1/V", "1/V", 15.0),
        ("13 pJ", "J", 13e-12),
        ("3 as", "s", 3e-18),
        ("2 TW", "W", 2e12),
        ("-3.5 mA", "A", -3.5e-3),
        ("+.5 s", "s", 0.5),
        ("5. s", "s", 5.0),
        ("1E-9 s", "s", 1e-9),
    ],
)
def test_a_quantity_is_read_to_the_last_bit(text: str, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == value


@pytest.mark.parametrize("text", ["1e-8", "1e-8 F", "0.00000001", "1E-08"])
def test_a_bare_number_is_in_the_wanted_unit(text: str) -> None:
    assert parse_quantity(text, "F") == 1e-8


@pytest.mark.parametrize("micro", ["u", "\u00b5", "\u03bc"])
def test_every_way_to_write_micro_means_1e_minus_6(micro: str) -> None:
    assert parse_quantity(f"25 {micro}S", "S") == 25e-6


@pytest.mark.parametrize("ohm", ["ohm", "Ohm", "ohms", "\u03a9", "\u2126"])
def test_every_way_to_write_ohm_is_read(ohm: str) -> None:
    assert parse_quantity(f"100 k{ohm}", "ohm") == 1e5


@pytest.mark.parametrize("per_volt", ["1/V", "/V", "V^-1"])
def test_every_way_to_write_per_volt_is_read(per_volt: str) -> None:
    assert parse_quantity(f"15 {per_volt}", "1/V") == 15.0


@given(
    mantissa=st.integers(1, 10**6),
    decimals=st.integers(0, 5),
    prefix=st.sampled_from(sorted(POWER_OF_TEN)),
    unit=st.sampled_from(UNITS),
)
def test_any_prefix_gives_the_float_nearest_to_what_is_written(
    mantissa: int, decimals: int, prefix: str, unit: str
) -> None:
    written = Decimal(mantissa).scaleb(-decimals)
    assert parse_quantity(f"{written:f} {prefix}{unit}", unit) == float(written.scaleb(POWER_OF_TEN[prefix]))


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("10 nH", "F"),
        ("10 nS", "F"),
        ("10 nf", "F"),
        ("10 NF", "F"),
        ("10 n", "F"),
        ("10 F n", "F"),
        ("10 n F", "F"),
        ("10 nnF", "F"),
        ("10 cF", "F"),
        ("1,5 nF", "F"),
        ("1_000 nF", "F"),
        ("0x10", "F"),
        ("1 e3", "F"),
        ("1e", "F"),
        ("10 F", "Hz"),
        ("10 Hz", "F"),
        ("10 V", "1/V"),
        ("10 1/V", "V"),
    ],
)
def test_a_wrong_unit_is_refused_with_the_text_and_the_wanted_unit(text: str, unit: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse_quantity(text, unit)
    assert repr(text) in str(caught.value)
    assert f"not in {unit}" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "   ", "nF", "ten nF", "--1 F", "e5 F", ".", "+", "nan", "inf", "-inf F", "NaN F"]
)
def test_text_without_a_number_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UnitError, match="is not a number with a unit; write for example '10 nF' or 1e-8"):
        parse_quantity(text, "F")


@pytest.mark.parametrize("text", ["1e999 F", "1e308 TF", "-1e999"])
def test_a_number_beyond_floating_point_is_refused(text: str) -> None:
    with pytest.raises(UnitError):
        parse_quantity(text, "F")


def test_a_unit_error_can_be_caught_as_what_it_is() -> None:
    for kind in (UnitError, InputError, AnalogdeqError, ValueError):
        with pytest.raises(kind):
            parse_quantity("ten", "F")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.234e-8, "F", "12.3 nF"),
        (1e-8, "F", "10 nF"),
        (0.0, "F", "0 F"),
        (-2.5e-3, "A", "-2.5 mA"),
        (1.0, "s", "1 s"),
        (1000.0, "ohm", "1 kohm"),
        (999.9e-9, "s", "1 µs"),
        (25e-6, "S", "25 µS"),
        (5e9, "Hz", "5 GHz"),
        (1e-15, "F", "1 fF"),
        (1e-18, "J", "1 aJ"),
        (math.nan, "s", "nan s"),
        (math.inf, "s", "inf s"),
        (-math.inf, "s", "-inf s"),
    ],
)
def test_a_quantity_is_written_for_people(value: float, unit: str, text: str) -> None:
    assert format_quantity(value, unit) == text


def test_the_number_of_digits_can_be_chosen() -> None:
    assert format_quantity(1.23456e-8, "F", 5) == "12.346 nF"
    assert format_quantity(1.96e-8, "F", 1) == "20 nF"


@given(
    value=st.floats(min_value=1e-18, max_value=9e14) | st.floats(min_value=-9e14, max_value=-1e-18),
    unit=st.sampled_from(UNITS),
    digits=st.integers(3, 17),
)
def test_what_is_written_is_read_back_to_the_digits_written(value: float, unit: str, digits: int) -> None:
    back = parse_quantity(format_quantity(value, unit, digits), unit)
    assert back == pytest.approx(value, rel=0.5000001 * 10.0 ** (1 - digits) + 1e-15, abs=0)


@given(value=st.floats(min_value=1e-18, max_value=9e14), unit=st.sampled_from(UNITS))
def test_a_written_mantissa_lies_between_1_and_1000(value: float, unit: str) -> None:
    mantissa = float(format_quantity(value, unit).split()[0])
    assert 1 <= mantissa < 1000


@given(value=st.floats(allow_nan=True, allow_infinity=True), unit=st.sampled_from(UNITS))
def test_every_float_can_be_written(value: float, unit: str) -> None:
    assert format_quantity(value, unit).endswith(unit)


def test_the_prefixes_are_the_si_prefixes() -> None:
    assert {name: PREFIXES[name] for name in POWER_OF_TEN} == {
        name: float(f"1e{p}") for name, p in POWER_OF_TEN.items()
    }


def test_constants_are_those_of_the_si_of_2019() -> None:
    assert (BOLTZMANN_J_PER_K, ELEMENTARY_CHARGE_C) == (1.380649e-23, 1.602176634e-19)
