"""The sums of an epoch: what no step knows is left out, and not told as zero."""

import math

from analogdeq.gradient.log import SolveLog
from analogdeq.train.totals import Totals
from analogdeq.train.workers import ALONE


def log(forward: float, backward: float) -> SolveLog:
    return SolveLog(
        forward_residual=forward, forward_evaluations=2.0, backward_residual=backward, backward_iterations=3.0
    )


def row(*logs: SolveLog) -> dict[str, float]:
    totals = Totals()
    for one in logs:
        totals.add(4, 0.5, 0.0, 2, one)
    return totals.over_all(ALONE)


def test_the_largest_residual_of_the_epoch_is_told() -> None:
    found = row(log(1e-7, 2e-6), log(3e-7, 1e-6))
    assert (found["forward_residual_max"], found["backward_residual_max"]) == (3e-7, 2e-6)
    assert row(log(0.0, 0.0))["backward_residual_max"] == 0.0


def test_a_method_without_a_backward_residual_has_none_in_its_rows() -> None:
    found = row(log(1e-7, math.nan), log(3e-7, math.nan))
    assert "backward_residual_max" not in found
    assert found["forward_residual_max"] == 3e-7
    assert found["backward_iterations_mean"] == 3.0


def test_a_step_that_knows_no_residual_does_not_hide_that_of_another() -> None:
    assert row(log(1e-7, math.nan), log(3e-7, 2e-6))["backward_residual_max"] == 2e-6
    assert row(log(1e-7, 2e-6), log(math.nan, math.nan))["backward_residual_max"] == 2e-6
