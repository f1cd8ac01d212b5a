"""Write a trace file while the settle runs, readable by others from the first block on."""

import contextlib
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

import h5py
import numpy as np
import numpy.typing as npt

from analogdeq.errors import InputError, TraceError
from analogdeq.solve.settled import Settled
from analogdeq.solve.trace import Float32, StepLog, Steps
from analogdeq.trace import layout
from analogdeq.trace.check import check_log, check_shapes, check_steps, check_times, checked_result
from analogdeq.trace.create import create_layout
from analogdeq.trace.header import TraceHeader
from analogdeq.trace.part import PartFile
from analogdeq.trace.room import METADATA_BYTES, most_bytes


@final
class TraceWriter:
    """Writes `<path>.part`, and renames it to `path` when `finish` is called.

    Use it as a context manager. Whatever was handed over stays readable in the `.part` file if the block is left by an
    exception, if the process is killed, or if the disk is full; the name says that it is unfinished. It is a `Sink`: a
    settle that records into it keeps nothing in memory.

    Attributes:
        path: the final name.
        part_path: the name until then.
        n_times: time points that are complete.
    """

    def __init__(self, path: str | PathLike[str], header: TraceHeader, *, overwrite: bool = False) -> None:
        """Create the file with everything in it but the recorded numbers.

        Args:
            path: the finished file; usually ends in ".h5".
            header: what is known before the first time point.
            overwrite: replace a finished file, or one that a dead run left behind. Never one that is being written.

        Raises:
            TraceError: if a file is in the way, or the folder cannot be written, or the disk is full.
        """
        self.path: Final = Path(path)
        self.header: Final = header
        self.n_times = 0
        self._n_rows = np.zeros(header.sample.size, np.int64)
        self._n_attempts = 0
        self._last_s = -np.inf
        self._unflushed_bytes = METADATA_BYTES
        self._part = PartFile(self.path, overwrite=overwrite)
        self.part_path: Final = self._part.path
        self._is_open = True
        self._is_finished = False
        try:
            self._file = self._create()
        except (OSError, RuntimeError) as error:
            self._part.remove()
            raise TraceError(
                f"cannot write {self.part_path}: {_reason(error)}; free some room and run again"
            ) from error
        self._datasets = {name: dict(self._file["run"][name].items()) for name in ("trace", "steps", "result")}

    def write(
        self,
        position: int,
        first: int,
        state: npt.ArrayLike,
        power_W: npt.ArrayLike,
        residual: npt.ArrayLike,
    ) -> None:
        """Add rows of one sample; a live reader sees them once `complete` has been told their times.

        Args:
            position: which of the recorded samples.
            first: the number of rows this sample has already.
            state: (row, node) [1].
            power_W: (row, term) [W].
            residual: (row,) [1].

        Raises:
            InputError: if a shape or place is wrong; nothing is written then.
            TraceError: if the disk is full; everything completed before is kept.
        """
        waves, power, residuals = (np.asarray(values, dtype=np.float32) for values in (state, power_W, residual))
        if not 0 <= position < self._n_rows.size or first != self._n_rows[position]:
            raise InputError(
                f"row {first} of sample {position} does not come next; the samples have {self._n_rows.tolist()} rows"
            )
        check_shapes(self.header, {"row": len(waves) if waves.ndim else -1}, waves, power, residuals)
        with self._writing("the last block"):
            self._put(slice(position, position + 1), first, waves[:, None], power[:, None], residuals[:, None])

    def complete(self, time_s: npt.ArrayLike) -> None:
        """Add the times of the next rows; every sample that reached them must have been written.

        Args:
            time_s: (row,) [s]. Increasing, and later than all before.

        Raises:
            InputError: if a time is wrong; nothing is written then.
            TraceError: if the disk is full; everything completed before is kept.
        """
        time = np.asarray(time_s, dtype=np.float64)
        check_times(time, self._last_s)
        with self._writing("the last block"):
            self._extend(self.n_times + len(time))
            self._reserve([self._datasets["trace"]["time"]], len(time))
            self._datasets["trace"]["time"][self.n_times : self.n_times + len(time)] = time
            self._flush()
        self.n_times += len(time)
        self._last_s = time[-1] if len(time) else self._last_s

    def append(
        self, time_s: npt.ArrayLike, state: npt.ArrayLike, power_W: npt.ArrayLike, residual: npt.ArrayLike
    ) -> None:
        """Add time points of all samples at once; a live reader sees them when this returns.

        A chunk that is written in several goes leaves its earlier copies in the file, so that readers are never
        disturbed: append multiples of `layout.BLOCK` points where size matters.

        Args:
            time_s: (time,) [s]. Increasing, and later than all before.
            state: (time, sample, node) [1].
            power_W: (time, sample, term) [W].
            residual: (time, sample) [1].

        Raises:
            InputError: if a shape or time is wrong; nothing is written then.
            TraceError: if the disk is full; everything appended before is kept.
        """
        time = np.asarray(time_s, dtype=np.float64)
        waves, power, residuals = (np.asarray(values, dtype=np.float32) for values in (state, power_W, residual))
        check_times(time, self._last_s)
        check_shapes(self.header, {"time": time.size, "sample": self.header.sample.size}, waves, power, residuals)
        if (self._n_rows != self.n_times).any():
            raise InputError(f"rows of single samples were written; {self.n_times} of them are complete so far")
        with self._writing("the last block"):
            self._put(slice(None), self.n_times, waves, power, residuals)
        self.complete(time)

    def log_steps(self, log: StepLog) -> None:
        """Add attempted steps, in the order in which they were made; a live reader sees them when this returns.

        Raises:
            InputError: if an attempt is of no recorded sample; nothing is written then.
            TraceError: if the disk is full; everything handed over before is kept.
        """
        check_log(self.header, log)
        start, stop = self._n_attempts, self._n_attempts + log.position.size
        columns = {field.name: getattr(log, field.key).astype(field.dtype) for field in layout.ATTEMPTS}
        columns["attempt"] = np.arange(start, stop)
        datasets = self._datasets["steps"]
        with self._writing("the last attempted steps"):
            self._reserve([datasets[name] for name in columns], stop - start)
            for name, values in columns.items():
                datasets[name].resize(stop, axis=0)
                datasets[name][start:] = values
            self._flush()
        self._n_attempts = stop

    def finish(self, settled: Settled, steps: Steps | None = None) -> None:
        """Add how the recorded samples ended, close the file and give it its final name.

        Args:
            settled: the whole batch; the rows `header.sample` are stored.
            steps: every attempted step of the recorded samples, unless they were logged.

        Raises:
            InputError: if `settled` or `steps` do not fit what was recorded.
            TraceError: if the disk is full; the waveforms are kept in the `.part` file.
        """
        result = checked_result(self.header, settled)
        if steps is not None:
            if self._n_attempts:
                raise InputError(f"{self._n_attempts} attempted steps were logged already; finish without `steps`")
            check_steps(self.header, steps)
            self.log_steps(steps.log())
        with self._writing("the results"):
            self._fill("result", {field.name: getattr(result, field.key) for field in layout.RESULTS})
            energy = layout.energy_fields(self.header.energy_terms)
            self._fill("result", {field.name: result.energy_terms_J[field.key] for field in energy})
            self._fill("result", {"code": result.verdict_code})  # last: it is what marks the file as finished
            self._file.close()
            self._part.publish()
        self._is_finished = True
        self.close()

    def close(self) -> None:
        """Close the file; unless `finish` was called, it keeps its name ending in ".part"."""
        if self._is_open:
            self._is_open = False
            # HDF5 reports a broken file once more here; what can be told about it has been told.
            with contextlib.suppress(OSError, RuntimeError):
                self._file.close()
            self._part.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if error is None and not self._is_finished:
            raise TraceError(f"finish() was not called; {self._kept()}")

    def _create(self) -> h5py.File:
        """An empty file in SWMR mode, in the HDF5 1.10 format, which every reader since 2016 knows."""
        self._part.reserve(0, METADATA_BYTES + 4 * len(self.header.scenario_toml))
        file = h5py.File(self.part_path, "w", libver=("v110", "v110"), locking=False)
        create_layout(file, self.header)
        file.flush()
        file.swmr_mode = True
        self._part.lock()
        self._part.trim(file.id.get_filesize())
        return file

    def _put(self, samples: slice, first: int, state: Float32, power: Float32, residual: Float32) -> None:
        """Write rows of some samples, without flushing."""
        terms = layout.power_fields(self.header.terms)
        drawn = [term in self.header.supply_terms for term in self.header.terms]
        columns: dict[str, Float32] = {
            "state": state,
            "residual": residual,
            "power": power[..., drawn].sum(axis=-1),
            **{field.name: power[..., k] for k, field in enumerate(terms)},
        }
        stop = first + len(state)
        self._extend(stop)
        datasets = self._datasets["trace"]
        self._reserve([datasets[name] for name in columns], len(state), state.shape[1])
        for name, values in columns.items():
            datasets[name][first:stop, samples] = values
        self._n_rows[samples] = stop

    def _extend(self, n_rows: int) -> None:
        """Make the time axis of every waveform this long; what is not written yet reads as NaN."""
        if n_rows > len(self._datasets["trace"]["time"]):
            for field in layout.waveform_fields(self.header.terms):
                self._datasets["trace"][field.name].resize(n_rows, axis=0)

    def _fill(self, group: str, columns: dict[str, npt.NDArray]) -> None:
        """Write columns whose length was known from the start, and flush them."""
        datasets = {name: self._datasets[group][name] for name in columns}
        self._reserve(datasets.values(), self.header.sample.size)
        for name, values in columns.items():
            datasets[name][...] = values
        self._flush()

    def _flush(self) -> None:
        self._file.flush()
        self._part.trim(self._file.id.get_filesize())
        self._unflushed_bytes = METADATA_BYTES

    def _reserve(self, datasets: Iterable[h5py.Dataset], rows: int, samples: int | None = None) -> None:
        """Make sure of the most that `rows` rows of each dataset can add, beside what is not flushed yet."""
        self._unflushed_bytes += sum(most_bytes(dataset, rows, samples) for dataset in datasets)
        self._part.reserve(self._file.id.get_filesize(), self._unflushed_bytes)

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Turn a refused write into an error that says what was kept, and stop writing."""
        if not self._is_open:
            raise TraceError(f"{self.path} is closed; a trace file cannot be added to once it is")
        try:
            yield
        except (OSError, RuntimeError) as error:
            self.close()
            raise TraceError(f"could not write {what}: {_reason(error)}; {self._kept()}") from error

    def _kept(self) -> str:
        if self.n_times == 0:
            return f"no time point was written; {self.part_path} holds the scenario and provenance"
        return (
            f"{self.n_times} time points up to {self._last_s:.6g} s are kept in {self.part_path}; open_trace reads them"
        )


def _reason(error: BaseException) -> str:
    """The system's words where there are some, else the first line of HDF5's."""
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
