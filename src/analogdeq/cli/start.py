"""Where the program starts: it answers ctrl-C from the first moment on, while its modules are still being imported."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import final

INTERRUPTED = 130
"""As in `analogdeq.cli.exits`, whose import takes a while."""


@final
@dataclass
class Interrupts:
    """Whether a ctrl-C came."""

    happened: bool = False


def main() -> None:
    """Import the command line and run it."""
    with remembering_interrupts() as interrupts:
        try:
            from analogdeq.cli.app import main as run_command_line

            run_command_line()
        except (Exception, KeyboardInterrupt):
            if not interrupts.happened:
                raise
            # Ctrl-C amid an import leaves half a module behind, and what comes of that can be any exception.
            sys.stderr.write("error: interrupted\n")
            sys.exit(INTERRUPTED)


@contextmanager
def remembering_interrupts() -> Iterator[Interrupts]:
    """Note every ctrl-C of the block, which raises `KeyboardInterrupt` as before.

    A process that was started deaf to ctrl-C stays so.
    """
    memory, before = Interrupts(), signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        memory.happened = True
        signal.default_int_handler(number, frame)

    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield memory
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield memory
    finally:
        signal.signal(signal.SIGINT, before)
