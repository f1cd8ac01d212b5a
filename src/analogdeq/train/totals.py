"""Sums and extremes over one epoch, of this process and of all of them."""

from dataclasses import dataclass
from typing import final

from analogdeq.gradient.log import SolveLog
from analogdeq.train.workers import Workers


@final
@dataclass
class Totals:
    """What one epoch adds up."""

    images: int = 0
    loss: float = 0.0
    penalty: float = 0.0
    correct: int = 0
    forward_evaluations: float = 0.0
    backward_iterations: float = 0.0
    unsettled: int = 0
    forward_residual: float = 0.0
    backward_residual: float = 0.0

    def add(self, n: int, loss: float, penalty: float, correct: int, log: SolveLog) -> None:
        """Add a step of n images."""
        self.images += n
        self.loss += loss * n
        self.penalty += penalty * n
        self.correct += correct
        self.forward_evaluations += log.forward_evaluations * n
        self.backward_iterations += log.backward_iterations * n
        self.unsettled += log.unsettled
        self.forward_residual = max(self.forward_residual, log.forward_residual)
        self.backward_residual = max(self.backward_residual, log.backward_residual)

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
            "forward_residual_max": forward_residual,
            "forward_evaluations_mean": forward / n,
            "backward_residual_max": backward_residual,
            "backward_iterations_mean": backward / n,
            "unsettled": int(unsettled),
            "unsettled_fraction": unsettled / n,
        }
