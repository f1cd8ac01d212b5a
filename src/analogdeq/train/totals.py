"""Sums and extremes over one epoch, of this process and of all of them."""

import math
from dataclasses import dataclass
from typing import final

from analogdeq.gradient.log import SolveLog
from analogdeq.train.workers import Workers

UNKNOWN = -math.inf
"""The largest of no residuals."""


@final
@dataclass
class Totals:
    """What one epoch adds up; a residual that no step knows is left out of the row, it is not zero."""

    images: int = 0
    loss: float = 0.0
    penalty: float = 0.0
    correct: int = 0
    forward_evaluations: float = 0.0
    backward_iterations: float = 0.0
    unsettled: int = 0
    forward_residual: float = UNKNOWN
    backward_residual: float = UNKNOWN

    def add(self, n: int, loss: float, penalty: float, correct: int, log: SolveLog) -> None:
        """Add a step of n images."""
        self.images += n
        self.loss += loss * n
        self.penalty += penalty * n
        self.correct += correct
        self.forward_evaluations += log.forward_evaluations * n
        self.backward_iterations += log.backward_iterations * n
        self.unsettled += log.unsettled
        self.forward_residual = _larger(self.forward_residual, log.forward_residual)
        self.backward_residual = _larger(self.backward_residual, log.backward_residual)

    def over_all(self, workers: Workers) -> dict[str, float]:
        """Means and extremes over the images of all processes."""
        sums = (self.images, self.loss, self.penalty, self.correct, self.forward_evaluations)
        n, loss, penalty, correct, forward, backward, unsettled = workers.sums(
            [float(value) for value in (*sums, self.backward_iterations, self.unsettled)]
        )
        forward_residual, backward_residual = workers.maxima([self.forward_residual, self.backward_residual])
        return {
            "loss": loss / n,
            "penalty": penalty / n,
            "train_accuracy": correct / n,
            **_known("forward_residual_max", forward_residual),
            "forward_evaluations_mean": forward / n,
            **_known("backward_residual_max", backward_residual),
            "backward_iterations_mean": backward / n,
            "unsettled": int(unsettled),
            "unsettled_fraction": unsettled / n,
        }


def _larger(largest: float, value: float) -> float:
    """The larger one; a NaN, of methods that have no residual, tells nothing."""
    return largest if math.isnan(value) else max(largest, value)


def _known(name: str, value: float) -> dict[str, float]:
    return {} if value == UNKNOWN else {name: value}
