"""How to train."""

from dataclasses import dataclass, field
from typing import final

from analogdeq.stability.penalties import Penalty
from analogdeq.tasks.augment import Augmentation
from analogdeq.train.fresh_chips import FreshChips


@final
@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How to train.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step, over all processes together.
        lr_digital: AdamW learning rate of encoder and readout.
        lr_analog: AdamW learning rate of W, U, b.
        weight_decay: decoupled.
        weight_decay_analog: of W, U, b; None for the same.
        schedule: "cosine" to 0 over all epochs, "constant", or "one-cycle"; see `rate_factor`.
        warmup_epochs: epochs over which the learning rates rise first.
        grad_clip: largest Euclidean norm of the whole gradient; None for no limit.
        spectral_bound: W is scaled back to this 2-norm after each step; None for no limit.
        clip_rms: W, U and b are clipped to this multiple of their root mean square after each step; None for no limit.
        label_smoothing: fraction of each label that is spread over all classes.
        input_noise: standard deviation of Gaussian noise added to training images, whose pixels span 0 to 1.
        augmentation: of training images; None for none.
        penalty: terms added to the loss.
        mixed_precision: encoder and readout in bfloat16; the equilibrium stays in the core's precision.
        hardware: the chips that minibatches settle on; None for ideal cores.
        seed: of the order of the images and of all noise but the chips', which have their own.
    """

    epochs: int
    batch_size: int
    lr_digital: float
    lr_analog: float
    weight_decay: float
    weight_decay_analog: float | None = None
    schedule: str = "cosine"
    warmup_epochs: int = 0
    grad_clip: float | None = 1.0
    spectral_bound: float | None = None
    clip_rms: float | None = None
    label_smoothing: float = 0.0
    input_noise: float = 0.0
    augmentation: Augmentation | None = None
    penalty: Penalty = field(default_factory=Penalty)
    mixed_precision: bool = False
    hardware: FreshChips | None = None
    seed: int = 0
