"""What a command is given and what it answers."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

# A process started in the background may be deaf to ctrl-C, and hands that on; this one listens.
_LISTEN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
_MAIN = "from analogdeq.cli.start import main; main()"
PROGRAM = [sys.executable, "-W", "error::ResourceWarning", "-c", f"{_LISTEN}; {_MAIN}"]
SMALL = (
    "--set", "model.nodes=8", "--set", "model.inputs=8", "--set", "train.epochs=2", "--set", "train.batch_size=256",
    "--set", "task.test_limit=40", "--set", "trace.samples=2", "--set", "trace.interval_tau=0.5",
)  # fmt: skip
"""Makes a run that takes a second or two."""


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON object and nothing else."""
        return json.loads(self.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


Command = Callable[..., Answer]
