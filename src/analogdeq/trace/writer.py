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
from analogdeq.solve.trace import Steps
from analogdeq.trace import layout
from analogdeq.trace.create import create_layout
from analogdeq.trace.header import TraceHeader
from analogdeq.trace.part import PartFile
from analogdeq.trace.result import TraceResult, result_of

METADATA_BYTES: Final = 256 * 1024
"""Room for headers and indices beside the numbers; an empty file with every term takes about 60 kB of it."""
CHUNK_RECORD_BYTES: Final = 256
"""Room for one chunk's entry in its index, and its checksums."""


@final
class TraceWriter:
    """Writes `<path>.part`, and renames it to `path` when `finish` is called.

    Use it as a context manager. Whatever was appended stays readable in the `.part` file if the block is left by an
    exception, if the process is killed, or if the disk is full; the name says that it is unfinished.

    Attributes:
        path: the final name.
        part_path: the name until then.
        n_times: time points written so far.
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
        self._last_s = -np.inf
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

    def append(
        self, time_s: npt.ArrayLike, state: npt.ArrayLike, power_W: npt.ArrayLike, residual: npt.ArrayLike
    ) -> None:
        """Add time points; a live reader sees them when this returns.

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
        self._check_block(time, waves, power, residuals)
        terms = layout.power_fields(self.header.terms)
        columns: dict[str, npt.NDArray] = {
            "state": waves,
            "residual": residuals,
            "power": self._supply_power(power),
            **{field.name: power[..., position] for position, field in enumerate(terms)},
            "time": time,  # last: a point whose time can be read is complete
        }
        with self._writing("the last block"):
            self._extend("trace", columns, self.n_times)
        self.n_times += len(time)
        self._last_s = time[-1] if len(time) else self._last_s

    def finish(self, settled: Settled, steps: Steps) -> None:
        """Add how the recorded samples ended, close the file and give it its final name.

        Args:
            settled: the whole batch; the rows `header.sample` are stored.
            steps: every attempted step of the recorded samples.

        Raises:
            InputError: if `settled` or `steps` do not fit what was recorded.
            TraceError: if the disk is full; the waveforms are kept in the `.part` file.
        """
        result = self._checked_result(settled, steps)
        with self._writing("the steps and results"):
            self._extend("steps", {"attempt": np.arange(steps.time_s.size), **_attempts(steps)}, 0)
            self._fill("steps", {"row_size": steps.row_size})
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

    def _check_block(self, time: np.ndarray, state: np.ndarray, power: np.ndarray, residual: np.ndarray) -> None:
        header, rows = self.header, len(time) if time.ndim else -1
        samples = header.sample.size
        for name, values, shape, axes in (
            ("time_s", time, (rows,), "(time,)"),
            ("state", state, (rows, samples, header.n_nodes), "(time, sample, node)"),
            ("power_W", power, (rows, samples, len(header.terms)), "(time, sample, term)"),
            ("residual", residual, (rows, samples), "(time, sample)"),
        ):
            if values.shape != shape:
                raise InputError(f"{name} has shape {values.shape}; expected {shape} = {axes}")
        if not (np.isfinite(time).all() and (np.diff(time, prepend=self._last_s) > 0).all()):
            raise InputError(
                f"time_s must be finite, increasing and later than {self._last_s:g} s, the last time written"
            )

    def _checked_result(self, settled: Settled, steps: Steps) -> TraceResult:
        header, batch = self.header, len(settled.z)
        if header.sample.max() >= batch or header.sample.min() < 0:
            raise InputError(f"sample {header.sample.max()} was recorded, but only {batch} samples were settled")
        if settled.z.shape[1:] != (header.n_nodes,):
            raise InputError(
                f"z has shape {tuple(settled.z.shape)}; expected ({batch}, {header.n_nodes}) = (batch, node)"
            )
        if steps.row_size.shape != header.sample.shape or steps.row_size.sum() != steps.time_s.size:
            raise InputError(
                f"steps.row_size must count the attempts of each of the {header.sample.size} recorded samples, "
                f"{steps.time_s.size} in all; it is {steps.row_size.tolist()}"
            )
        result = result_of(settled, header.sample)
        if tuple(result.energy_terms_J) != header.energy_terms:
            raise InputError(f"the ledger has {list(result.energy_terms_J)}; the file has {list(header.energy_terms)}")
        return result

    def _supply_power(self, power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        drawn = [term in self.header.supply_terms for term in self.header.terms]
        return power[..., drawn].sum(axis=-1)

    def _extend(self, group: str, columns: dict[str, npt.NDArray], start: int) -> None:
        """Write columns that begin at row `start`, and flush them."""
        datasets = {name: self._file["run"][group][name] for name in columns}
        self._part.reserve(*self._room(datasets.values(), max(map(len, columns.values()))))
        for name, values in columns.items():
            datasets[name].resize(start + len(values), axis=0)
            datasets[name][start:] = values
        self._flush()

    def _fill(self, group: str, columns: dict[str, npt.NDArray]) -> None:
        """Write columns whose length was known from the start, and flush them."""
        datasets = {name: self._file["run"][group][name] for name in columns}
        self._part.reserve(*self._room(datasets.values(), self.header.sample.size))
        for name, values in columns.items():
            datasets[name][...] = values
        self._flush()

    def _flush(self) -> None:
        self._file.flush()
        self._part.trim(self._file.id.get_filesize())

    def _room(self, datasets: Iterable[h5py.Dataset], rows: int) -> tuple[int, int]:
        """Where the file ends, and the most that `rows` rows of each dataset can add, even if nothing compresses."""
        return self._file.id.get_filesize(), METADATA_BYTES + sum(_most_bytes(dataset, rows) for dataset in datasets)

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


def _attempts(steps: Steps) -> dict[str, npt.NDArray]:
    return {field.name: getattr(steps, field.key).astype(field.dtype) for field in layout.ATTEMPTS}


def _most_bytes(dataset: h5py.Dataset, rows: int) -> int:
    """An upper bound: `rows` rows touch one more chunk than they fill at each end, and edge chunks are whole."""
    chunks = rows // dataset.chunks[0] + 2
    for length, chunk in zip(dataset.shape[1:], dataset.chunks[1:], strict=True):
        chunks *= -(-length // chunk)
    return chunks * (int(np.prod(dataset.chunks)) * dataset.dtype.itemsize + CHUNK_RECORD_BYTES)


def _reason(error: BaseException) -> str:
    """The system's words where there are some, else the first line of HDF5's."""
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
