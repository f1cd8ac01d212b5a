"""The training loop."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import torch
from torch import Generator, Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import parametrize

from analogdeq.errors import CheckpointError, InputError
from analogdeq.models.hybrid import bound_spectrum_
from analogdeq.tasks.dataset import Dataset, pixels
from analogdeq.train.accuracy import accuracy
from analogdeq.train.board import board, show_row
from analogdeq.train.checkpoint import load_checkpoint, save_checkpoint
from analogdeq.train.clip import clip_outliers_
from analogdeq.train.early_warning import spectral_abscissa
from analogdeq.train.fresh_chips import Draw
from analogdeq.train.metrics import Row, append_metrics, cut_metrics
from analogdeq.train.options import FitOptions
from analogdeq.train.realised import DrawTotals, settled_on
from analogdeq.train.schedule import rate_factor
from analogdeq.train.seeded import seeded
from analogdeq.train.totals import Totals
from analogdeq.train.workers import ALONE, Workers

UNSEEN = -1
"""The number of the chip that tests an epoch; steps count from 0."""
SPECTRUM_SAMPLES = 4
"""Test images whose spectrum is looked at after each epoch."""
DROPOUT_SEED = 500_009
"""Keeps what dropout draws apart from the order of the images."""


@final
class Trainer:
    """Fits a model, epoch by epoch; the state after an epoch depends on nothing but its checkpoint.

    Order and noise of the images are drawn from (seed, epoch), so a run that was killed and resumed goes through the
    same numbers, and so does every one of several processes, each of which takes a part of every batch.

    Args:
        model: a `Model`, on the device of the data.
        data: what it learns.
        options: how.
        workers: the processes that train together.

    Raises:
        InputError: for hardware-aware training of a network without cores.
    """

    def __init__(self, model: Any, data: Dataset, options: FitOptions, workers: Workers = ALONE) -> None:
        if options.hardware is not None and not model.cores:
            raise InputError("hardware-aware training needs a core that a chip could hold; this network has none")
        self.model, self._data, self._options, self._workers = model, data, options, workers
        analog_decay = options.weight_decay_analog
        groups = [
            {"params": model.digital_parameters(), "lr": options.lr_digital, "weight_decay": options.weight_decay},
            {
                "params": model.analog_parameters(),
                "lr": options.lr_analog,
                "weight_decay": options.weight_decay if analog_decay is None else analog_decay,
            },
        ]
        self._optimizer = torch.optim.AdamW([group for group in groups if group["params"]])
        self._base_lr = [group["lr"] for group in self._optimizer.param_groups]
        self._forward = model if workers.world == 1 else DistributedDataParallel(model)
        self.epoch = 0

    def fit(self, checkpoint: Path, metrics: Path, scenario_toml: str, on_epoch: Callable[[Row], None]) -> None:
        """Train to the last epoch; after each, write a row of metrics and a checkpoint."""
        is_first = self._workers.is_first
        writer = board(metrics.parent / "tensorboard") if is_first else None
        if self.epoch == 0 and is_first:  # so that training for no epochs still leaves a network to evaluate
            self._save(checkpoint, scenario_toml)
            cut_metrics(metrics, 0)  # rows whose checkpoint was lost
        while self.epoch < self._options.epochs:
            row = self._train_epoch()
            if is_first:
                append_metrics(metrics, row)
                self._save(checkpoint, scenario_toml)
                show_row(writer, row)
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
        if self._workers.is_first:
            cut_metrics(metrics, self.epoch)

    def _train_epoch(self) -> Row:
        """One pass over the training images."""
        start = time.perf_counter()
        self.model.train()
        seed = self._options.seed * 1_000_003 + self.epoch
        generator = torch.Generator().manual_seed(seed)
        batches = torch.randperm(len(self._data.train_y), generator=generator).split(self._options.batch_size)
        totals, draws = Totals(), DrawTotals()
        with seeded(seed + DROPOUT_SEED + self._workers.rank):
            for step, rows in enumerate(batches):
                self._set_learning_rate(step / len(batches))
                with settled_on(self.model, self._chip(step)):
                    self._step(rows, generator, totals, draws)
        self.epoch += 1
        means = totals.over_all(self._workers)
        rates = [group["lr"] for group in self._optimizer.param_groups]
        return {
            "epoch": self.epoch,
            "loss": means.pop("loss"),
            "train_accuracy": means.pop("train_accuracy"),
            "test_accuracy": self._test_accuracy(),
            **self._on_a_new_chip(),
            "lr_digital": rates[0],
            "lr_analog": rates[-1],
            **means,
            **draws.row(),
            **self._early_warning(),
            "seconds": round(time.perf_counter() - start, 3),
        }

    def _chip(self, step: int) -> Draw | None:
        """Of (seed, epoch, step) alone, so that a resumed training meets the same chips."""
        hardware = self._options.hardware
        return None if hardware is None else hardware.draw(self.epoch, step)

    def _on_a_new_chip(self) -> Row:
        """Accuracy on one more chip that no minibatch has seen; nothing where training knows no chips."""
        if self._options.hardware is None:
            return {}
        with settled_on(self.model, self._chip(UNSEEN)):
            return {"test_accuracy_on_a_draw": self._test_accuracy()}

    def _test_accuracy(self) -> float:
        return accuracy(self.model, self._data.test_x, self._data.test_y, self._workers)

    def _step(self, rows: Tensor, generator: Generator, totals: Totals, draws: DrawTotals) -> None:
        """One update from the images `rows`, of which this process takes its share."""
        n, o = len(rows), self._options
        places = self._workers.share(torch.arange(n))
        x, y = self._batch(rows, places, generator)
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=o.mixed_precision):
            logits = self._forward(x)
        loss = nn.functional.cross_entropy(logits.to(x.dtype), y, label_smoothing=o.label_smoothing)
        penalty = self._penalty(places, n, generator)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(f"the loss is {value} in epoch {self.epoch + 1}: lower lr_digital and lr_analog")
        self._optimizer.zero_grad(set_to_none=True)
        total = loss if penalty is None else loss + penalty
        (total if self._workers.world == 1 else total * self._workers.weight(n)).backward()
        if o.grad_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), o.grad_clip)
        self._optimizer.step()
        if o.clip_rms is not None:
            clip_outliers_(self.model.cores, o.clip_rms)
        if o.spectral_bound is not None:
            for core in self.model.cores:
                bound_spectrum_(core.W, o.spectral_bound)
        mine = len(y) if self._workers.weight(n) else 0
        correct = int((logits.argmax(1) == y).sum()) if mine else 0
        totals.add(mine, value, 0.0 if penalty is None else float(penalty.detach()), correct, self.model.log)
        if o.hardware is not None:
            draws.add(self.model.reached)

    def _batch(self, rows: Tensor, places: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Images and classes of this process's places in the batch; chance is drawn for the whole batch."""
        data, o = self._data, self._options
        here = rows[places].to(data.train_x.device)
        x = pixels(data.train_x[here], self.model.dtype)
        if o.augmentation is not None:
            x = o.augmentation.apply(x, o.augmentation.draw(len(rows), generator).rows(places))
        if o.input_noise > 0:
            noise = torch.randn(len(rows), *x.shape[1:], generator=generator)[places]
            x = x + (noise * o.input_noise).to(x)
        return x, data.train_y[here]

    def _penalty(self, places: Tensor, n: int, generator: Generator) -> Tensor | None:
        penalty = self._options.penalty
        if not penalty.is_on or not self.model.reached:
            return None
        with parametrize.cached():
            return penalty.of(self.model.reached, places, n, generator)

    @torch.no_grad()
    def _early_warning(self) -> Row:
        """The spectrum at the equilibria of the first test images; nothing for a network without equilibria."""
        if not self.model.cores:
            return {}
        self.model.eval()
        self.model(pixels(self._data.test_x[:SPECTRUM_SAMPLES], self.model.dtype))
        with parametrize.cached():
            found = [spectral_abscissa(one, SPECTRUM_SAMPLES) for one in self.model.reached]
        return {"spectral_abscissa": max(found)} if all(map(math.isfinite, found)) else {}

    def _set_learning_rate(self, of_epoch: float) -> None:
        """What the schedule says after this fraction of the epoch."""
        factor = rate_factor(
            self._options.schedule, epoch=self.epoch, of_epoch=of_epoch, epochs=self._options.epochs,
            warmup_epochs=self._options.warmup_epochs,
        )  # fmt: skip
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


def load_weights(model: nn.Module, content: dict[str, Any], path: Path) -> None:
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
