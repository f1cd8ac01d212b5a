"""Where a recording goes while the settle runs: anything that takes blocks of rows, or memory."""

from typing import Protocol, final

import numpy as np

from analogdeq.solve.trace import Float32, Float64, StepLog, Steps, Trace


class Sink(Protocol):
    """Takes what is recorded as soon as it is finished, for example a trace file.

    Samples advance at their own pace, so each hands on its own rows. That is what keeps a recording's memory constant:
    a fast sample never waits for a slow one.
    """

    def write(self, position: int, first: int, state: Float32, power_W: Float32, residual: Float32) -> None:
        """Take rows `first`, `first` + 1, ... of one recorded sample: (row, node), (row, term), (row,).

        Args:
            position: which of the recorded samples.
            first: the row after the last one that this sample handed on.
            state: [1].
            power_W: [W].
            residual: [1].
        """
        ...

    def complete(self, time_s: Float64) -> None:
        """The next rows, at these times (row,) [s], are written for every sample that reached them."""
        ...

    def log_steps(self, log: StepLog) -> None:
        """Take attempted steps. A sample that is integrated again from the start begins again at time 0."""
        ...


@final
class TraceInMemory:
    """The sink that keeps everything."""

    def __init__(self, samples: tuple[int, ...], n_nodes: int, terms: tuple[str, ...]) -> None:
        self._samples, self._n_nodes, self._terms = samples, n_nodes, terms
        self._blocks: list[tuple[int, int, Float32, Float32, Float32]] = []
        self._times: list[Float64] = [np.empty(0)]
        self._logs: list[StepLog] = []

    def write(self, position: int, first: int, state: Float32, power_W: Float32, residual: Float32) -> None:
        """Keep the block."""
        self._blocks.append((position, first, state, power_W, residual))

    def complete(self, time_s: Float64) -> None:
        """Keep the times."""
        self._times.append(time_s)

    def log_steps(self, log: StepLog) -> None:
        """Keep the attempts."""
        self._logs.append(log)

    def trace(self) -> Trace:
        """All of it; the blocks are given up on the way."""
        times = np.concatenate(self._times)
        shape = (times.size, len(self._samples))
        state = np.full((*shape, self._n_nodes), np.nan, np.float32)
        power = np.full((*shape, len(self._terms)), np.nan, np.float32)
        residual = np.full(shape, np.nan, np.float32)
        while self._blocks:
            position, first, *values = self._blocks.pop()
            rows = slice(first, first + len(values[0]))
            state[rows, position], power[rows, position], residual[rows, position] = values
        return Trace(
            time_s=times,
            sample=np.array(self._samples, np.int64),
            state=state,
            power_W=power,
            terms=self._terms,
            residual=residual,
            steps=Steps.of_log(_joined(self._logs), len(self._samples)),
        )


def _joined(logs: list[StepLog]) -> StepLog:
    if not logs:
        return StepLog.of_table(np.empty((0, 5)), 1.0)
    return StepLog(
        position=np.concatenate([log.position for log in logs]),
        time_s=np.concatenate([log.time_s for log in logs]),
        dt_s=np.concatenate([log.dt_s for log in logs]),
        error_norm=np.concatenate([log.error_norm for log in logs]),
        accepted=np.concatenate([log.accepted for log in logs]),
    )
