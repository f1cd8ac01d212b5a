"""The training loop."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from analogdeq.errors import CheckpointError, InputError
from analogdeq.models.hybrid import HybridDEQ, bound_spectrum_
from analogdeq.tasks.dataset import Dataset
from analogdeq.train.checkpoint import load_checkpoint, save_checkpoint
from analogdeq.train.metrics import Row, append_metrics, cut_metrics


@final
@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How to train.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step.
        lr_digital: AdamW learning rate of encoder and readout.
        lr_analog: AdamW learning rate of W, U, b.
        weight_decay: decoupled, for all of them.
        schedule: "cosine" to 0 over all epochs, or "constant".
        grad_clip: largest Euclidean norm of the whole gradient; None for no limit.
        spectral_bound: W is scaled back to this 2-norm after each step; None for no limit.
        input_noise: standard deviation of Gaussian noise added to training images, whose pixels span 0 to 1.
        seed: of the order of the images and of that noise.
    """

    epochs: int
    batch_size: int
    lr_digital: float
    lr_analog: float
    weight_decay: float
    schedule: str = "cosine"
    grad_clip: float | None = 1.0
    spectral_bound: float | None = None
    input_noise: float = 0.0
    seed: int = 0


@final
class Trainer:
    """Fits a hybrid DEQ, epoch by epoch; the state after an epoch depends on nothing but its checkpoint.

    Order and noise of the images are drawn from (seed, epoch), so a run that was killed and resumed goes through the
    same numbers.
    """

    def __init__(self, model: HybridDEQ, data: Dataset, options: FitOptions) -> None:
        self.model, self._data, self._options = model, data, options
        self._optimizer = torch.optim.AdamW(
            [
                {"params": model.digital_parameters(), "lr": options.lr_digital},
                {"params": model.analog_parameters(), "lr": options.lr_analog},
            ],
            weight_decay=options.weight_decay,
        )
        self._base_lr = [group["lr"] for group in self._optimizer.param_groups]
        self.epoch = 0

    def fit(self, checkpoint: Path, metrics: Path, scenario_toml: str, on_epoch: Callable[[Row], None]) -> None:
        """Train to the last epoch; after each, write a row of metrics and a checkpoint."""
        if self.epoch == 0:  # so that training for no epochs still leaves a network to evaluate
            self._save(checkpoint, scenario_toml)
            cut_metrics(metrics, 0)  # rows whose checkpoint was lost
        while self.epoch < self._options.epochs:
            row = self._train_epoch()
            append_metrics(metrics, row)
            self._save(checkpoint, scenario_toml)
            on_epoch(row)

    def resume(self, checkpoint: Path, metrics: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            CheckpointError: if it is damaged or of a network of another shape.
            DataError: if the metrics are damaged.
        """
        content = load_checkpoint(checkpoint)
        load_weights(self.model, content, checkpoint)
        try:
            self._optimizer.load_state_dict(content["optimizer"])
            self.epoch = int(content["epoch"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{checkpoint}: its optimizer state or epoch does not fit: {error}") from None
        cut_metrics(metrics, self.epoch)

    def _train_epoch(self) -> Row:
        """One pass over the training images."""
        start = time.perf_counter()
        self._set_learning_rate()
        self.model.train()
        n = self._data.train_x.shape[0]
        generator = torch.Generator().manual_seed(self._options.seed * 1_000_003 + self.epoch)
        order = torch.randperm(n, generator=generator)
        totals = _Totals()
        for rows in order.split(self._options.batch_size):
            x = self._data.train_x[rows]
            noise = torch.randn(x.shape, generator=generator) * self._options.input_noise
            self._step((x + noise).to(self.model.core.dtype), self._data.train_y[rows], totals)
        self.epoch += 1
        return {
            "epoch": self.epoch,
            "loss": totals.loss / n,
            "train_accuracy": totals.correct / n,
            "test_accuracy": accuracy(self.model, self._data.test_x, self._data.test_y),
            "lr_digital": self._optimizer.param_groups[0]["lr"],
            "lr_analog": self._optimizer.param_groups[1]["lr"],
            "forward_residual_max": totals.forward_residual,
            "forward_evaluations_mean": totals.forward_evaluations / n,
            "backward_residual_max": totals.backward_residual,
            "backward_iterations_mean": totals.backward_iterations / n,
            "unsettled": totals.unsettled,
            "seconds": round(time.perf_counter() - start, 3),
        }

    def _step(self, x: Tensor, y: Tensor, totals: "_Totals") -> None:
        logits = self.model(x)
        loss = nn.functional.cross_entropy(logits, y)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(f"the loss is {value} in epoch {self.epoch + 1}: lower lr_digital and lr_analog")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self._options.grad_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._options.grad_clip)
        self._optimizer.step()
        if self._options.spectral_bound is not None:
            bound_spectrum_(self.model.core.W, self._options.spectral_bound)
        totals.add(self.model, value, logits, y)

    def _set_learning_rate(self) -> None:
        fraction = self.epoch / max(self._options.epochs, 1)
        factor = 0.5 * (1 + math.cos(math.pi * fraction)) if self._options.schedule == "cosine" else 1.0
        for group, base in zip(self._optimizer.param_groups, self._base_lr, strict=True):
            group["lr"] = base * factor

    def _save(self, path: Path, scenario_toml: str) -> None:
        content = {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scenario": scenario_toml,
        }
        save_checkpoint(path, content)


def load_weights(model: HybridDEQ, content: dict[str, Any], path: Path) -> None:
    """Put a checkpoint's weights into a model.

    Raises:
        CheckpointError: if their shapes differ.
    """
    try:
        model.load_state_dict(content["model"])
    except (LookupError, TypeError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path}: the checkpoint is of another network than the scenario describes: {reason}"
        ) from None


@torch.no_grad()
def accuracy(model: HybridDEQ, x: Tensor, y: Tensor) -> float:
    """Fraction of images the model classifies rightly on the ideal core."""
    model.eval()
    return float((model(x.to(model.core.dtype)).argmax(1) == y).double().mean())


@dataclass
class _Totals:
    """Sums and extremes over one epoch."""

    loss: float = 0.0
    correct: int = 0
    forward_residual: float = 0.0
    forward_evaluations: float = 0.0
    backward_residual: float = 0.0
    backward_iterations: float = 0.0
    unsettled: int = 0

    def add(self, model: HybridDEQ, loss: float, logits: Tensor, y: Tensor) -> None:
        n, log = y.shape[0], model.log
        self.loss += loss * n
        self.correct += int((logits.argmax(1) == y).sum())
        self.forward_residual = max(self.forward_residual, log.forward_residual)
        self.forward_evaluations += log.forward_evaluations * n
        self.backward_residual = max(self.backward_residual, log.backward_residual)
        self.backward_iterations += log.backward_iterations * n
        self.unsettled += log.unsettled
