"""How many images a model classifies rightly on ideal cores."""

import torch
from torch import Tensor, nn

from analogdeq.tasks.dataset import pixels
from analogdeq.train.workers import ALONE, Workers

CHUNK = 1024
"""Images at once: enough to fill a device, few enough for its memory."""


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor, workers: Workers = ALONE) -> float:
    """Fraction of images whose class the model says rightly.

    Args:
        model: a `Model`.
        x: (image, ...), as a `Dataset` stores them.
        y: (image,) int64.
        workers: every process takes a part of them.
    """
    model.eval()
    correct = 0
    for rows in torch.arange(len(y), device=y.device)[workers.rank :: workers.world].split(CHUNK):
        logits = model(pixels(x[rows], model.dtype))  # type: ignore[arg-type]
        correct += int((logits.argmax(1) == y[rows]).sum())
    return workers.sums([float(correct)])[0] / len(y)
