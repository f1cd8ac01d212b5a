"""No test compares small numbers by an absolute tolerance that it did not ask for."""

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (9e-15, pytest.approx(2e-15, rel=1e-3)),
        (2e-7, pytest.approx(2.000001e-7)),
        ([1.0, 5e-10], pytest.approx([1.0, 2e-10], rel=1e-3)),
        ({"E": 5e-10}, pytest.approx({"E": 2e-10}, rel=1e-3)),
        (np.array([5e-14]), pytest.approx(np.array([2e-14]), rel=1e-3)),
    ],
    ids=["number", "no tolerance given", "list", "dictionary", "array"],
)
def test_small_numbers_compared_by_the_default_absolute_tolerance_are_an_error(
    actual: object, expected: object
) -> None:
    with pytest.raises(pytest.fail.Exception, match="say abs=0"):
        assert actual == expected


def test_small_numbers_whose_tolerance_is_said_are_compared() -> None:
    assert pytest.approx(2e-15, rel=1e-3, abs=0) == 2.0001e-15
    assert pytest.approx(2e-15, rel=1e-3, abs=0) != 2.1e-15
    assert pytest.approx(2e-15, abs=1e-14) == 3e-15


def test_other_comparisons_are_as_ever() -> None:
    assert pytest.approx(0.3, rel=1e-12) == 0.1 + 0.2
    assert pytest.approx(0.0) == 1e-13
    assert pytest.approx([True, "a"]) == [True, "a"]
    assert float("nan") == pytest.approx(float("nan"), nan_ok=True)
