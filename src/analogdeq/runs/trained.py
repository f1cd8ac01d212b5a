"""How far the network of a run has been trained."""

import shlex

from analogdeq.errors import CheckpointError
from analogdeq.runs.directory import RunDirectory
from analogdeq.train.checkpoint import load_checkpoint


def epochs_trained(run: RunDirectory) -> int:
    """How many epochs the network in the run's checkpoint has been trained for.

    Raises:
        CheckpointError: if there is none, or it does not say.
    """
    epoch = load_checkpoint(run.checkpoint).get("epoch")
    if not isinstance(epoch, int):
        raise CheckpointError(f"{run.checkpoint}: does not say after which epoch it was written; train again")
    return epoch


def training_note(run: RunDirectory) -> str:
    """A warning for people where the run's network is not trained to the end; "" where it is."""
    done, wanted = epochs_trained(run), run.scenario().train.epochs
    if done >= wanted:
        return ""
    return (
        f"{run.path}: this network is half-trained, {done} of {wanted} epochs; the figures are of it as it is. "
        f"To train it to the end: analogdeq train --resume {shlex.quote(str(run.path))}"
    )
