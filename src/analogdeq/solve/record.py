"""Waveforms on an even time grid, interpolated from the solver's own steps as they are taken."""

from dataclasses import dataclass, field
from typing import Protocol, final

import numpy as np
import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.errors import InputError
from analogdeq.solve.stepper import Stepper
from analogdeq.solve.trace import Float32, Float64, Steps, Trace


class Sink(Protocol):
    """Where blocks of finished rows go while the settle runs, for example a trace file."""

    def append(self, time_s: Float64, state: Float32, power_W: Float32, residual: Float32) -> None:
        """Take the next rows: (k,), (k, sample, node), (k, sample, term), (k, sample)."""
        ...


BLOCK = 64
"""Rows handed on at once: a sink that compresses wants whole chunks."""


@final
@dataclass(frozen=True, kw_only=True)
class Record:
    """What to record of a settle.

    Attributes:
        samples: rows of the batch.
        interval_tau: spacing of the time grid; > 0.
        until_tau: keep recording at least this long, also after a sample has settled.
        sink: gets rows as they are finished; the returned trace holds them too.
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
    """Collects the rows of a `Record`.

    Lanes advance at their own pace, so a row is handed on once every running lane has passed it.
    """

    def __init__(self, record: Record, core: Core, drive: Drive) -> None:
        self._record, self._core = record, core
        self._samples = torch.tensor(record.samples, device=core.device)
        self._drive = drive.rows(self._samples)
        n, nodes, terms = len(record.samples), core.n_nodes, len(core.power_terms)
        self._done: list[tuple[Float64, Float32, Float32, Float32]] = []
        self._first = 0
        self._rows = [np.empty((0, n, width), np.float32) for width in (nodes, terms, 1)]
        self._next = np.zeros(n, np.int64)
        self._is_running = np.ones(n, bool)
        self._steps: list[list[tuple[float, float, float, bool]]] = [[] for _ in record.samples]

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
        for slot in slots[slots >= 0].tolist():
            self._next[slot] = 0
            self._steps[slot].clear()
        self.start(slots, z)

    def observe(
        self, stepper: Stepper, slots: Tensor, time: Tensor, h: Tensor, ratio: Tensor, accepted: Tensor
    ) -> None:
        """Look at the attempted steps, after `attempt` and before `accept`."""
        recorded = torch.nonzero(slots >= 0).squeeze(1)
        table = torch.stack((time, h, ratio, accepted.double()), 1)[recorded].tolist()
        for slot, (t, dt, error, ok) in zip(slots[recorded].tolist(), table, strict=True):
            self._steps[slot].append((t, dt, error, bool(ok)))
        rows = recorded[accepted[recorded]]
        if rows.numel() == 0:
            return
        begin, length = time[rows].cpu().numpy(), h[rows].cpu().numpy()
        first = self._next[slots[rows].cpu().numpy()]
        last = np.floor((begin + length) / self._record.interval_tau + 1e-9).astype(np.int64)
        counts = np.maximum(last - first + 1, 0)
        if counts.max() == 0:
            return
        # As many points for every lane as the fullest has; those past a lane's step are left out again.
        grid = first[:, None] + np.arange(counts.max())
        valid = grid < (first + counts)[:, None]
        theta = (grid * self._record.interval_tau - begin[:, None]) / length[:, None]
        states = stepper.segment(rows, h).states(torch.as_tensor(theta, device=rows.device))
        lane = torch.as_tensor(np.nonzero(valid)[0], device=rows.device)
        self._write(slots[rows[lane]], grid[valid], states[torch.as_tensor(valid, device=rows.device)])

    def retire(self, slots: Tensor) -> None:
        """These lanes end here; their later rows stay NaN."""
        self._is_running[slots[slots >= 0].cpu().numpy()] = False
        self._flush()

    def finish(self) -> Trace:
        """The whole trace."""
        self._is_running[:] = False
        self._flush()
        tau = self._core.tau_s
        times, states, powers, residuals = (np.concatenate(parts) for parts in zip(*self._done, strict=True))
        flat = np.array([row for rows in self._steps for row in rows], np.float64).reshape(-1, 4)
        return Trace(
            time_s=times,
            sample=np.array(self._record.samples, np.int64),
            state=states,
            power_W=powers,
            terms=self._core.power_terms,
            residual=residuals,
            steps=Steps(
                row_size=np.array([len(rows) for rows in self._steps], np.int64),
                time_s=flat[:, 0] * tau,
                dt_s=flat[:, 1] * tau,
                error_norm=flat[:, 2],
                accepted=flat[:, 3].astype(bool),
            ),
        )

    def _write(self, slots: Tensor, grid: np.ndarray, z: Tensor) -> None:
        """Put states z (point, node) and what follows from them into the rows `grid` of the samples `slots`."""
        if grid.size == 0:
            return
        drive = self._drive.rows(slots)
        residual = (self._core.fixed_point_map(z, drive) - z).abs().amax(1, keepdim=True)
        power = z.new_empty(z.shape[0], len(self._core.power_terms))
        work = z.new_empty(self._core.work_buffers, *z.shape)
        self._core.evaluate(z, drive, torch.empty_like(z), power, work)
        column = slots.cpu().numpy()
        missing = int(grid.max()) + 1 - self._first - self._rows[0].shape[0]
        row = grid - self._first
        for k, values in enumerate((z, power, residual)):
            if missing > 0:
                gap = np.full((missing, *self._rows[k].shape[1:]), np.nan, np.float32)
                self._rows[k] = np.concatenate((self._rows[k], gap))
            fresh = row >= 0  # rows already handed on cannot be written again, and would not change
            self._rows[k][row[fresh], column[fresh]] = values.cpu().numpy()[fresh]
        np.maximum.at(self._next, column, grid + 1)
        self._flush()

    def _flush(self) -> None:
        """Hand on the rows that every running lane has passed."""
        running = self._next[self._is_running]
        passed = int(running.min()) - self._first if running.size else self._rows[0].shape[0]
        ready = BLOCK * (passed // BLOCK) if running.size else passed
        if ready <= 0:
            return
        step_s = self._record.interval_tau * self._core.tau_s
        times = np.arange(self._first, self._first + ready, dtype=np.float64) * step_s
        state, power, residual = (rows[:ready] for rows in self._rows)
        block = (times, state, power, residual[..., 0])
        self._done.append(block)
        self._rows = [rows[ready:] for rows in self._rows]
        self._first += ready
        if self._record.sink is not None:
            self._record.sink.append(*block)
