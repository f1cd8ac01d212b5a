"""Means over seeds with intervals, by Student's t."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


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
