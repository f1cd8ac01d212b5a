"""Intervals over seeds, by scipy's own tests."""

import numpy as np
import pytest
from scipy import stats

from analogdeq.studies.interval import Middle, difference, mean_interval, median_interval, wilson

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


@pytest.mark.parametrize(("good", "n"), [(0, 30), (1, 30), (17, 30), (30, 30), (97, 100)])
def test_wilsons_interval_is_scipys(good: int, n: int) -> None:
    ours, theirs = wilson(good / n, n), stats.binomtest(good, n).proportion_ci(0.95, method="wilson")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_the_interval_of_a_median_is_about_that_of_its_order_statistics() -> None:
    values = list(np.random.default_rng(0).normal(size=101))
    found, ordered = median_interval(values), sorted(values)
    assert found.median == ordered[50]
    # Exact by the binomial law: ranks 41 to 61 of 101 hold the median with 95 %.
    assert found.low == pytest.approx(ordered[40], abs=0.08)
    assert found.high == pytest.approx(ordered[60], abs=0.08)
    assert median_interval(values) == found


def test_one_value_has_a_median_and_no_interval() -> None:
    assert median_interval([3.0]) == Middle(3.0, None, None)
