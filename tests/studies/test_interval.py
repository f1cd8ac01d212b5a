"""Intervals over seeds, by scipy's own tests."""

import pytest
from scipy import stats

from analogdeq.studies.interval import difference, mean_interval

ONE, TWO = [0.91, 0.94, 0.92, 0.95], [0.90, 0.92, 0.93]


def test_the_interval_of_a_mean_is_that_of_a_t_test() -> None:
    ours = mean_interval(ONE)
    low, high = stats.ttest_1samp(ONE, 0).confidence_interval(0.95)
    assert (ours.mean - ours.half_width, ours.mean + ours.half_width) == pytest.approx((low, high))


def test_a_single_value_has_no_interval() -> None:
    assert mean_interval([0.5]).half_width is None
    assert difference({0: 0.5}, {1: 0.4}).half_width is None


def test_runs_of_the_same_seeds_are_compared_seed_by_seed() -> None:
    ours = difference(dict(enumerate(ONE[:3])), dict(enumerate(TWO)))
    low, high = stats.ttest_rel(ONE[:3], TWO).confidence_interval(0.95)
    assert (ours.mean - ours.half_width, ours.mean + ours.half_width) == pytest.approx((low, high))


def test_runs_of_other_seeds_are_compared_by_welchs_test() -> None:
    ours = difference(dict(enumerate(ONE)), dict(enumerate(TWO)))
    low, high = stats.ttest_ind(ONE, TWO, equal_var=False).confidence_interval(0.95)
    assert (ours.mean - ours.half_width, ours.mean + ours.half_width) == pytest.approx((low, high))


def test_values_without_spread_have_an_interval_of_zero() -> None:
    assert difference({0: 0.5, 1: 0.5}, {2: 0.4, 3: 0.4, 4: 0.4}).half_width == pytest.approx(0, abs=1e-12)
