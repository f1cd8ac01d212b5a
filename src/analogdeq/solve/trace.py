"""The waveforms a settle records, in memory."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class StepLog:
    """Attempted steps in the order they were made, those of all recorded samples mixed (a CF indexed ragged array).

    Attributes:
        position: (attempt,) int64. Whose attempt it is, counted along the recorded samples.
        time_s: (attempt,) [s]. Where the attempt began.
        dt_s: (attempt,) [s]. Its length.
        error_norm: (attempt,) [1]. Local error over tolerance; at most 1 was accepted.
        accepted: (attempt,) bool.
    """

    position: npt.NDArray[np.int64]
    time_s: Float64
    dt_s: Float64
    error_norm: Float64
    accepted: npt.NDArray[np.bool_]

    @classmethod
    def of_table(cls, table: Float64, tau_s: float) -> Self:
        """From rows of position, time and length in units of `tau_s`, error norm, and 1 where accepted."""
        return cls(
            position=table[:, 0].astype(np.int64),
            time_s=table[:, 1] * tau_s,
            dt_s=table[:, 2] * tau_s,
            error_norm=table[:, 3].copy(),
            accepted=table[:, 4].astype(bool),
        )


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Every step the solver attempted, all samples concatenated in the order of `row_size` (a CF ragged array).

    Attributes:
        row_size: (sample,) int64. How many attempts belong to each sample.
        time_s: (attempt,) [s]. Where the attempt began.
        dt_s: (attempt,) [s]. Its length.
        error_norm: (attempt,) [1]. Local error over tolerance; at most 1 was accepted.
        accepted: (attempt,) bool.
    """

    row_size: npt.NDArray[np.int64]
    time_s: Float64
    dt_s: Float64
    error_norm: Float64
    accepted: npt.NDArray[np.bool_]

    @classmethod
    def of_log(cls, log: StepLog, n_samples: int) -> Self:
        """Sorted by sample. Of a sample that was integrated again from the start, the last time through."""
        order = np.argsort(log.position, kind="stable")
        position, time, accepted = log.position[order], log.time_s[order], log.accepted[order]
        first = np.searchsorted(position, np.arange(n_samples))
        # Time 0 once more, though the attempt before had left it.
        again = np.zeros(len(order), bool)
        again[1:] = (time[1:] == 0) & ((time[:-1] > 0) | accepted[:-1]) & (position[1:] == position[:-1])
        np.maximum.at(first, position[again], np.flatnonzero(again))
        kept = order[np.arange(len(order)) >= first[position]]
        return cls(
            row_size=np.bincount(log.position[kept], minlength=n_samples),
            time_s=log.time_s[kept],
            dt_s=log.dt_s[kept],
            error_norm=log.error_norm[kept],
            accepted=log.accepted[kept],
        )

    def log(self) -> StepLog:
        """The same attempts, each with the position of its sample."""
        return StepLog(
            position=np.repeat(np.arange(self.row_size.size), self.row_size),
            time_s=self.time_s,
            dt_s=self.dt_s,
            error_norm=self.error_norm,
            accepted=self.accepted,
        )


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Time-domain waveforms of some samples of one settle, on one time grid.

    After a sample's integration ended its rows hold NaN.

    Attributes:
        time_s: (time,) [s]. From 0, evenly spaced.
        sample: (sample,) int64. Which rows of the settled batch were recorded.
        state: (time, sample, node) [1]. z; multiply by the unit voltage for volts.
        power_W: (time, sample, term) [W]. Zero terms for a bare core.
        terms: the names along the last axis of `power_W`.
        residual: (time, sample) [1]. max |F(z) - z|.
        steps: every attempted step of the recorded samples.
    """

    time_s: Float64
    sample: npt.NDArray[np.int64]
    state: Float32
    power_W: Float32
    terms: tuple[str, ...]
    residual: Float32
    steps: Steps
