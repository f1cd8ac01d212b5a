"""Means over seeds with intervals by Student's t, shares by Wilson's score, medians by resampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 2000
"""Of the bootstrap: the ends of a 95 % interval are then known to a twentieth of its width or better."""


@final
@dataclass(frozen=True)
class Interval:
    """A mean and how far the true one may be from it.

    Attributes:
        mean: of the values.
        half_width: of the 95 % confidence interval; None of a single value.
    """

    mean: float
    half_width: float | None


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of at least one value, with the interval of a t distribution."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Interval(mean, None)
    spread = float(np.std(values, ddof=1)) / n**0.5
    return Interval(mean, spread * float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)))


def difference(ours: dict[int, float], theirs: dict[int, float]) -> Interval:
    """Mean of ours minus mean of theirs; seed by seed where both have the same seeds, else by Welch's t.

    Args:
        ours: seed -> value.
        theirs: likewise.
    """
    if ours.keys() == theirs.keys():
        return mean_interval([ours[seed] - theirs[seed] for seed in ours])
    a, b = list(ours.values()), list(theirs.values())
    mean = float(np.mean(a) - np.mean(b))
    if len(a) < 2 or len(b) < 2:
        return Interval(mean, None)
    variances = [float(np.var(x, ddof=1)) / len(x) for x in (a, b)]
    total = sum(variances)
    if total == 0:
        return Interval(mean, 0.0)
    freedom = total**2 / sum(v**2 / (len(x) - 1) for v, x in zip(variances, (a, b), strict=True))
    return Interval(mean, total**0.5 * float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Ends of the 95 % interval of a share that was counted in n trials; n > 0.

    Source: Wilson, J. Am. Stat. Assoc. 22:209 (1927).
    """
    z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5 / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


@final
@dataclass(frozen=True)
class Middle:
    """A median and the 95 % interval of it; None for both ends where there is a single value.

    Attributes:
        median: of the values.
        low: lower end.
        high: upper end.
    """

    median: float
    low: float | None
    high: float | None


def median_interval(values: Sequence[float], seed: int = 0) -> Middle:
    """The median of at least one value, with the percentile interval of its bootstrap distribution.

    Args:
        values: one per chip.
        seed: of the resampling; the same values give the same interval.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, Chapman & Hall 1993, section 13.3.
    """
    measured = np.asarray(values, dtype=np.float64)
    median = float(np.median(measured))
    if measured.size < 2:
        return Middle(median, None, None)
    picks = np.random.default_rng(seed).integers(0, measured.size, (RESAMPLES, measured.size))
    medians = np.median(measured[picks], axis=1)
    low, high = np.quantile(medians, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Middle(median, float(low), float(high))
