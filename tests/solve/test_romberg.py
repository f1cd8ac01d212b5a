"""Romberg's weights against integrals in closed form."""

import math

import pytest

from analogdeq.solve.romberg import romberg_weights


@pytest.mark.parametrize("doublings", [0, 1, 2, 4])
def test_a_polynomial_of_the_degree_that_is_promised_is_integrated_exactly(doublings: int) -> None:
    n, weights = 2**doublings, romberg_weights(doublings)
    for degree in range(2 * doublings + 2):
        value = sum(w * (k / n) ** degree for k, w in enumerate(weights)) / n
        assert value == pytest.approx(1 / (degree + 1), rel=1e-13, abs=0)


def test_a_decay_over_seven_time_constants_is_integrated_to_five_digits() -> None:
    weights = romberg_weights(4)
    value = sum(w * math.exp(-7 * k / 16) for k, w in enumerate(weights)) * 7 / 16
    assert value == pytest.approx(1 - math.exp(-7), rel=2e-5, abs=0)
