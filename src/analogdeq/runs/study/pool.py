"""Work for several processes, whose results come back one by one."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from analogdeq.errors import RunError
from analogdeq.runs import workflow
from analogdeq.runs.study.measure import Bench
from analogdeq.runs.study.point import Content, Figures
from analogdeq.runs.study.training import train_network
from analogdeq.scenario import load_scenario

Task = TypeVar("Task")
Result = TypeVar("Result")

_AHEAD = 2
"""Tasks handed out per process: one in work, one waiting, so that none idles and little is lost."""


class _Silence:
    """A progress of a process that nobody watches."""

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Say nothing."""


def measure_all(
    folder: Path, contents: Sequence[Content], workers: int
) -> Generator[tuple[Content, Figures], None, None]:
    """The figures of every content, in whatever order they are done; the same figures whatever `workers` is.

    Raises:
        RunError: if a process dies.
    """
    if workers == 1:
        with _one_thread():
            bench = Bench(folder)
            for content in contents:
                yield content, bench.figures(content)
        return
    yield from _in_processes(_measure, [(folder, content) for content in contents], contents, workers)


def train_all(
    folder: Path, changes: Sequence[tuple[str, ...]], workers: int, progress: workflow.Progress
) -> Generator[tuple[str, ...], None, None]:
    """Train one network for each of these changes to the study's scenario.

    Raises:
        RunError: if a process dies.
    """
    if workers == 1:
        with _one_thread():
            for change in changes:
                train_network(folder, load_scenario(folder / "scenario.toml", change), progress)
                yield change
        return
    for change, _ in _in_processes(_train, [(folder, change) for change in changes], changes, workers):
        yield change


def _in_processes(
    function: Callable[[Task], Result], tasks: Sequence[Task], names: Sequence, workers: int
) -> Iterator[tuple]:
    """(name, result) of every task.

    Processes are spawned: torch's threads do not survive a fork. A ctrl-C reaches this process alone, which then ends
    the others: what they had in hand is lost and no more.
    """
    context = multiprocessing.get_context("spawn")
    with _at_most(workers, len(tasks), context) as pool:
        waiting: dict[Future, int] = {}
        following = iter(range(len(tasks)))
        try:
            while True:
                while len(waiting) < _AHEAD * workers and (k := next(following, None)) is not None:
                    with _interrupts_held():  # a submission may start a process, which inherits this
                        waiting[pool.submit(function, tasks[k])] = k
                if not waiting:
                    return
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=waiting.__getitem__):
                    yield names[waiting.pop(future)], future.result()
        except BrokenProcessPool:
            raise RunError(
                "a process of the study died (killed, or out of memory); what was measured is kept. Go on with "
                "--resume, with fewer --workers if memory is short"
            ) from None


@contextmanager
def _at_most(workers: int, tasks: int, context: multiprocessing.context.SpawnContext) -> Iterator[ProcessPoolExecutor]:
    """A pool whose processes are ended, not waited for, when anything goes wrong."""
    before = {process.pid for process in multiprocessing.active_children()}
    pool = ProcessPoolExecutor(max(1, min(workers, tasks)), mp_context=context, initializer=_begin_process)
    try:
        yield pool
    except BaseException:
        for process in multiprocessing.active_children():
            if process.pid not in before:
                process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_process() -> None:
    """One thread, and an end when the process that began it ends, be it by kill -9."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


_benches: dict[Path, Bench] = {}
"""Of this process: what has been read once is not read again."""


def _measure(task: tuple[Path, Content]) -> Figures:
    folder, content = task
    if folder not in _benches:
        _benches[folder] = Bench(folder)
    return _benches[folder].figures(content)


def _train(task: tuple[Path, tuple[str, ...]]) -> None:
    folder, change = task
    train_network(folder, load_scenario(folder / "scenario.toml", change), _Silence())


@contextmanager
def _one_thread() -> Iterator[None]:
    """As in the processes, so that the bits are the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the end of the block; a process started meanwhile never hears it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
