"""Waveforms on an even time grid, interpolated from the solver's own steps as they are taken."""

from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.errors import InputError
from analogdeq.solve.sink import Sink, TraceInMemory
from analogdeq.solve.stepper import Stepper
from analogdeq.solve.trace import Float32, Float64, StepLog, Trace

BLOCK: Final = 64
"""Rows a sample hands on at once: a sink that compresses wants whole chunks."""
STEP_BLOCK: Final = 4096
"""Attempted steps handed on at once."""


@final
@dataclass(frozen=True, kw_only=True)
class Record:
    """What to record of a settle.

    Attributes:
        samples: rows of the batch.
        interval_tau: spacing of the time grid; > 0.
        until_tau: keep recording at least this long, also after a sample has settled.
        sink: gets rows as they are finished, and nothing is kept: the settle then returns no trace. None keeps the
            whole trace in memory and returns it.
    """

    samples: tuple[int, ...]
    interval_tau: float = 0.05
    until_tau: float = 0.0
    sink: Sink | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be recorded.

        Raises:
            InputError: for an empty or repeated list of samples or an interval that is not positive.
        """
        if not self.samples or len(set(self.samples)) != len(self.samples) or min(self.samples) < 0:
            raise InputError(f"record samples = {self.samples} must be distinct rows of the batch, at least one")
        if not (0 < self.interval_tau < float("inf")):
            raise InputError(f"record interval_tau = {self.interval_tau} must be positive and finite")
        if not (0 <= self.until_tau < float("inf")):
            raise InputError(f"record until_tau = {self.until_tau} must be finite and not negative")


@final
class Recorder:
    """Computes the rows of a `Record` and hands them on, `BLOCK` rows of a sample at a time.

    It holds one block per recorded sample and `STEP_BLOCK` attempts, however long the recording is, however far the
    samples' clocks are apart, and however long a step is.
    """

    def __init__(self, record: Record, core: Core, drive: Drive) -> None:
        self._record, self._core = record, core
        self._samples = torch.tensor(record.samples, device=core.device)
        self._drive = drive.rows(self._samples)
        n, terms = len(record.samples), core.power_terms
        memory = TraceInMemory(record.samples, core.n_nodes, terms)
        self._memory = memory if record.sink is None else None
        self._sink: Sink = memory if record.sink is None else record.sink
        self._rows: list[Float32] = [np.empty((n, BLOCK, k), np.float32) for k in (core.n_nodes, len(terms), 1)]
        self._next = np.zeros(n, np.int64)
        """The first row of each sample that has not been computed."""
        self._written = np.zeros(n, np.int64)
        """How many rows of each sample the sink has."""
        self._n_complete = 0
        self._is_running = np.ones(n, bool)
        self._attempts: list[Float64] = []
        self._n_attempts = 0

    @property
    def until_tau(self) -> float:
        """How long recorded lanes must run."""
        return self._record.until_tau

    def slots(self, index: Tensor) -> Tensor:
        """(lane,) int64: which recorded sample each lane is, -1 for none. `index` holds rows of the batch."""
        match = index.unsqueeze(1) == self._samples
        return torch.where(match.any(1), match.to(torch.int8).argmax(1), -1)

    def start(self, slots: Tensor, z: Tensor) -> None:
        """Record the initial states z (lane, node) of the lanes that are recorded."""
        rows = torch.nonzero(slots >= 0).squeeze(1)
        self._write(slots[rows], np.zeros(rows.shape[0], np.int64), z[rows])

    def forget(self, slots: Tensor, z: Tensor) -> None:
        """Lanes were put back to t = 0 and their states z: what was recorded of them is recorded again."""
        self._next[slots[slots >= 0].cpu().numpy()] = 0
        self.start(slots, z)

    def observe(
        self, stepper: Stepper, slots: Tensor, time: Tensor, h: Tensor, ratio: Tensor, accepted: Tensor
    ) -> None:
        """Look at the attempted steps, after `attempt` and before `accept`."""
        lanes = torch.nonzero(slots >= 0).squeeze(1)
        columns = (slots.double(), time, h, ratio.double(), accepted.double())
        table: Float64 = torch.stack(columns, 1)[lanes].cpu().numpy()
        self._log(table)
        taken = table[:, 4] > 0
        lanes, position = lanes[torch.as_tensor(taken, device=lanes.device)], table[taken, 0].astype(np.int64)
        begin, length = table[taken, 1], table[taken, 2]
        last = np.floor((begin + length) / self._record.interval_tau + 1e-9).astype(np.int64)
        # A long step covers many blocks: one of each lane at a time.
        while (busy := np.flatnonzero(self._next[position] <= last)).size:
            lanes, position, begin, length, last = lanes[busy], position[busy], begin[busy], length[busy], last[busy]
            first = self._next[position]
            end = np.minimum(last, first - first % BLOCK + BLOCK - 1)
            # As many points for every lane as the fullest has; those past a lane's end are left out again.
            grid = first[:, None] + np.arange((end - first).max() + 1)
            valid = grid <= end[:, None]
            theta = (grid * self._record.interval_tau - begin[:, None]) / length[:, None]
            states = stepper.segment(lanes, h).states(torch.as_tensor(theta, device=lanes.device))
            lane = torch.as_tensor(np.nonzero(valid)[0], device=lanes.device)
            self._write(slots[lanes[lane]], grid[valid], states[torch.as_tensor(valid, device=lanes.device)])

    def retire(self, slots: Tensor) -> None:
        """These lanes end here; their later rows stay NaN."""
        ended = slots[slots >= 0].cpu().numpy()
        self._is_running[ended] = False
        for position in ended.tolist():
            self._hand_on(position)
        self._complete()

    def finish(self) -> Trace | None:
        """Hand on what is left; the whole trace, unless a sink has it."""
        self._is_running[:] = False
        for position in range(self._next.size):
            self._hand_on(position)
        self._log_steps(self._n_attempts)
        self._complete()
        return None if self._memory is None else self._memory.trace()

    def _write(self, slots: Tensor, grid: npt.NDArray[np.int64], z: Tensor) -> None:
        """Put states z (point, node) and what follows from them into the rows `grid` of the samples `slots`.

        A sample's points lie within one block.
        """
        if grid.size == 0:
            return
        drive = self._drive.rows(slots)
        residual = (self._core.fixed_point_map(z, drive) - z).abs().amax(1, keepdim=True)
        power = z.new_empty(z.shape[0], len(self._core.power_terms))
        work = z.new_empty(self._core.work_buffers, *z.shape)
        self._core.evaluate(z, drive, torch.empty_like(z), power, work)
        position, row = slots.cpu().numpy(), grid % BLOCK
        fresh = grid >= self._written[position]  # rows already handed on cannot be written again, and would not change
        for rows, values in zip(self._rows, (z, power, residual), strict=True):
            rows[position[fresh], row[fresh]] = values.cpu().numpy()[fresh]
        np.maximum.at(self._next, position, grid + 1)
        full = position[fresh & (row == BLOCK - 1)]
        for k in full.tolist():
            self._hand_on(k)
        if full.size:
            self._complete()

    def _hand_on(self, position: int) -> None:
        """Give the sink the rows of one sample that it has not."""
        first = int(self._written[position])
        count = int(self._next[position]) - first
        if count > 0:
            state, power, residual = (rows[position, :count].copy() for rows in self._rows)
            self._sink.write(position, first, state, power, residual[:, 0])
            self._written[position] += count

    def _complete(self) -> None:
        """Tell the sink the times that every running sample has passed."""
        running = self._written[self._is_running]
        n_complete = int(running.min() if running.size else self._written.max())
        if n_complete > self._n_complete:
            step_s = self._record.interval_tau * self._core.tau_s
            self._sink.complete(np.arange(self._n_complete, n_complete, dtype=np.float64) * step_s)
            self._n_complete = n_complete

    def _log(self, table: Float64) -> None:
        """Keep attempts (attempt, 5) until there are enough to hand on."""
        self._attempts.append(table)
        self._n_attempts += len(table)
        if self._n_attempts >= STEP_BLOCK:
            self._log_steps(self._n_attempts - self._n_attempts % STEP_BLOCK)

    def _log_steps(self, count: int) -> None:
        """Give the sink the oldest `count` attempts."""
        if count == 0:
            return
        table = np.concatenate(self._attempts)
        self._sink.log_steps(StepLog.of_table(table[:count], self._core.tau_s))
        self._attempts, self._n_attempts = [table[count:].copy()], len(table) - count
