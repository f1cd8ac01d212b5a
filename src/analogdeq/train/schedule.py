"""The course of the learning rates."""

import math

SCHEDULES = ("cosine", "constant", "one-cycle")


def rate_factor(schedule: str, *, epoch: int, of_epoch: float, epochs: int, warmup_epochs: int) -> float:
    """What a learning rate is multiplied by.

    Args:
        schedule: "one-cycle" rises in a straight line from 0 over `warmup_epochs` and falls in another to 0 at the end,
            step by step. "cosine" falls like half a cosine and "constant" stays; both change between epochs only, and
            rise over the first `warmup_epochs` in equal steps.
        epoch: epochs that are over.
        of_epoch: fraction of the present one that is over.
        epochs: of the whole training.
        warmup_epochs: of the rise; fewer than `epochs` for "one-cycle" to fall at all.

    Source: L. N. Smith, N. Topin, arXiv:1708.07120, for one cycle.
    """
    if schedule == "one-cycle":
        now = epoch + of_epoch
        if now < warmup_epochs:
            return now / warmup_epochs
        return (epochs - now) / max(epochs - warmup_epochs, 1)
    factor = 0.5 * (1 + math.cos(math.pi * epoch / max(epochs, 1))) if schedule == "cosine" else 1.0
    return factor * min(1.0, (epoch + 1) / (warmup_epochs + 1))
