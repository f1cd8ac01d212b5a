"""Metrics for TensorBoard, where it is installed; metrics.jsonl has them always."""

from pathlib import Path
from typing import Any

from analogdeq.train.metrics import Row


def board(folder: Path) -> Any:
    """A writer of event files in `folder`, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(log_dir=str(folder))


def show_row(writer: Any, row: Row) -> None:
    """Add one epoch's numbers; nothing where `writer` is None."""
    if writer is None:
        return
    for name, value in row.items():
        if name != "epoch":
            writer.add_scalar(name, value, row["epoch"])
    writer.flush()
