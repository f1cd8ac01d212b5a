"""The waveforms a settle records, in memory."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


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
