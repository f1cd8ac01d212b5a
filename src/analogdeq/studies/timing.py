"""Wall-clock times on one device, and what a table of them has to say about where it was made."""

import contextlib
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import torch

from analogdeq.errors import InputError

WARM_S = 0.1
"""Of untimed runs before the timed ones."""


def device_named(name: str) -> torch.device:
    """The device to run on.

    Raises:
        InputError: if torch knows no such device, or cannot use it here.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {name!r} is none that torch knows; use cpu, cuda or cuda:1") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device {name!r}: only cpu and cuda are timed here")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"device {name!r}: torch {metadata.version('torch')} finds no CUDA device here; "
            "use --device cpu, or install a CUDA build of torch on a machine with a GPU"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name!r}: there are only {torch.cuda.device_count()} CUDA devices")
    return device


def synchronise(device: torch.device) -> None:
    """Wait until everything that was launched on the device is done; a processor is never behind."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def wall_and_cpu(work: Callable[[], Any], device: torch.device) -> tuple[float, float]:
    """Seconds that one run takes, and seconds of the processor that this process spent on it, over all threads.

    On a machine that is shared the first grows with what the others do; the second hardly does.
    """
    before = time.process_time()
    wall_s = seconds_of(work, device)
    return wall_s, time.process_time() - before


def seconds_of(work: Callable[[], Any], device: torch.device) -> float:
    """Seconds that one run takes, until its last result is there."""
    synchronise(device)
    start = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - start


def timed(work: Callable[[], Any], repeat: int, device: torch.device, warm_s: float = WARM_S) -> tuple[float, float]:
    """Median and least seconds of `repeat` runs, after untimed ones for at least `warm_s` seconds, once at least.

    Threads of what ran before wait busily for some milliseconds, and caches and clocks are those of other work: a few
    runs of a millisecond would tell of that.
    """
    start = time.perf_counter()
    seconds_of(work, device)
    while time.perf_counter() - start < warm_s:
        seconds_of(work, device)
    seconds = [seconds_of(work, device) for _ in range(repeat)]
    return statistics.median(seconds), min(seconds)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Run on so many threads of the processor, and go back to as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def circumstances(device: torch.device) -> dict[str, str]:
    """Date, machine and torch version; call it where the threads are set."""
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    if device.type == "cuda":
        machine += f", {torch.cuda.get_device_name(device)}"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "torch": metadata.version("torch"),
    }
