"""Read a trace file: finished, left behind by a dead run, or still being written."""

import bisect
import contextlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self, final

import h5py
import numpy as np
import numpy.typing as npt

from analogdeq.errors import TraceError
from analogdeq.solve.trace import Float32, Float64, StepLog, Steps, Trace
from analogdeq.trace import layout
from analogdeq.trace.result import TraceResult


def open_trace(path: str | PathLike[str]) -> "TraceFile":
    """Open a trace file for reading.

    Args:
        path: a finished file, or a ".part" file; that one may be growing, see `TraceFile.refresh`.

    Raises:
        TraceError: if there is no such file, or it is damaged, not a trace, or of a version this analogdeq cannot read.
    """
    return TraceFile(Path(path))


@final
class TraceFile:
    """A trace file open for reading; every attribute is read from the file when it is asked for.

    Attributes:
        path: the file's name when it was opened.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`; see `open_trace`."""
        self.path = path
        self._file = _open_hdf5(path)
        try:
            with self._reading():
                _check_format(path, self._file)
                self._run = self._file["run"]
                self._n_times = self._complete_times()
        except TraceError:
            self._file.close()
            raise

    @property
    def title(self) -> str:
        """What the run was called."""
        return self._text_attribute("run", "title")

    @property
    def scenario_toml(self) -> str:
        """The resolved scenario."""
        with self._reading():
            return self._run["scenario"].asstr()[()]

    @property
    def provenance(self) -> dict[str, str]:
        """Seeds, command, versions, commit and time of the run."""
        with self._reading():
            return {name: str(value) for name, value in self._run["provenance"].attrs.items() if name != "NX_class"}

    @property
    def is_finished(self) -> bool:
        """Have all recorded samples ended, with their results in the file?"""
        return bool((self._array("result/code") != layout.UNFINISHED).all())

    @property
    def n_times(self) -> int:
        """Time points that are complete."""
        return self._n_times

    @property
    def time_s(self) -> Float64:
        """(time,) [s]. The time grid, from 0."""
        return self._array("trace/time", slice(self._n_times))

    @property
    def sample(self) -> npt.NDArray[np.int64]:
        """(sample,) int64. Which rows of the settled batch were recorded."""
        return self._array("trace/sample")

    @property
    def state(self) -> Float32:
        """(time, sample, node) [1]. z."""
        return self._array("trace/state", slice(self._n_times))

    @property
    def power_W(self) -> Float32:
        """(time, sample) [W]. Drawn from the supply."""
        return self._array("trace/power", slice(self._n_times))

    @property
    def power_terms_W(self) -> dict[str, Float32]:
        """(time, sample) [W] by term; the terms outside `supply_terms` are parts of those inside."""
        fields = layout.power_fields(self.terms)
        return {field.key: self._array(f"trace/{field.name}", slice(self._n_times)) for field in fields}

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the power terms, in order."""
        return self._names("trace/power", "terms")

    @property
    def supply_terms(self) -> tuple[str, ...]:
        """The power terms that add up to `power_W`."""
        return self._names("trace/power", "supply_terms")

    @property
    def residual(self) -> Float32:
        """(time, sample) [1]. max |F(z) - z|."""
        return self._array("trace/residual", slice(self._n_times))

    @property
    def unit_voltage_V(self) -> float | None:
        """Volts per unit of z; None for a bare core."""
        with self._reading():
            return float(self._run["trace/unit_voltage"][()]) if "unit_voltage" in self._run["trace"] else None

    @property
    def band(self) -> float:
        """[1]. Half width of the band around the equilibrium that the settling times are for."""
        return float(self._array("result/band"))

    @property
    def steps(self) -> Steps:
        """Every attempted step of the recorded samples, as far as they are in the file."""
        return Steps.of_log(self._step_log(), self.sample.size)

    @property
    def result(self) -> TraceResult:
        """How the recorded samples ended.

        Raises:
            TraceError: if the file is unfinished.
        """
        if not self.is_finished:
            raise TraceError(f"{self.path} is unfinished: it has waveforms up to now, and no results yet")
        fields = (*layout.RESULTS, layout.CODE)
        terms = layout.energy_fields(self._names("result/energy", "terms"))
        return TraceResult(
            **{field.key: self._array(f"result/{field.name}") for field in fields},
            energy_terms_J={field.key: self._array(f"result/{field.name}") for field in terms},
        )

    def to_trace(self, start: int = 0, stop: int | None = None, every: int = 1, *, with_steps: bool = True) -> Trace:
        """The waveforms as a settle returns them, or a part of them that fits in memory.

        Args:
            start: first time point.
            stop: the time point to stop before; None for the last complete one.
            every: n reads every n-th time point.
            with_steps: read the attempted steps too, all of them.
        """
        rows = slice(*slice(start, stop, every).indices(self._n_times))
        terms = [self._array(f"trace/{field.name}", rows) for field in layout.power_fields(self.terms)]
        time = self._array("trace/time", rows)
        return Trace(
            time_s=time,
            sample=self.sample,
            state=self._array("trace/state", rows),
            power_W=np.stack(terms, axis=-1) if terms else np.zeros((time.size, self.sample.size, 0), np.float32),
            terms=self.terms,
            residual=self._array("trace/residual", rows),
            steps=self.steps if with_steps else Steps.of_log(StepLog.of_table(np.empty((0, 5)), 1.0), self.sample.size),
        )

    def refresh(self) -> None:
        """See what a writer has added since the file was opened or last refreshed."""
        with self._reading():
            for group in ("trace", "steps", "result"):
                for dataset in self._run[group].values():
                    dataset.refresh()
            self._n_times = self._complete_times()

    def close(self) -> None:
        """Close the file; reading from it afterwards is an error."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _complete_times(self) -> int:
        """Time points that every waveform has: samples may be ahead, and a writer may be in the middle of a block."""
        group = self._run["trace"]
        time, n_rows = group["time"], min(len(group[field.name]) for field in layout.waveform_fields(()))
        # The times of rows that are not complete are NaN, and stand at the end.
        return bisect.bisect_left(range(n_rows), True, key=lambda row: bool(np.isnan(time[row])))

    def _step_log(self) -> StepLog:
        """The attempts in the order in which they are stored."""
        with self._reading():
            group = self._run["steps"]
            n_attempts = min(len(group[field.name]) for field in layout.ATTEMPTS if field.name in group)
            columns = {f.key: group[f.name][:n_attempts] for f in layout.ATTEMPTS if f.name in group}
            if "row_size" in group:  # version 1: sample after sample
                columns["position"] = np.repeat(np.arange(len(group["row_size"])), group["row_size"][()])
        columns["accepted"] = columns["accepted"].astype(np.bool_)
        return StepLog(**columns)

    def _array(self, name: str, rows: slice | None = None) -> npt.NDArray:
        with self._reading():
            dataset = self._run[name]
            return dataset[()] if rows is None else dataset[rows]

    def _names(self, name: str, attribute: str) -> tuple[str, ...]:
        with self._reading():
            return tuple(str(text) for text in self._run[name].attrs[attribute])

    def _text_attribute(self, name: str, attribute: str) -> str:
        with self._reading():
            return str(self._file[name].attrs[attribute])

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what HDF5 says about damage into one kind of error."""
        if not self._file:
            raise TraceError(f"{self.path} is closed; open it again to read from it")
        try:
            yield
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise TraceError(
                f"{self.path} is damaged or incomplete: {_first_line(error)}. "
                "Copy it again from where it was written, or repeat the run"
            ) from error


def _open_hdf5(path: Path) -> h5py.File:
    """Open with the care each kind needs: a growing file in SWMR mode; a finished one with its length checked."""
    if not path.is_file():
        part = path.with_name(path.name + ".part")
        hint = f"; its run did not finish yet, {part} holds what there is" if part.is_file() else ""
        raise TraceError(f"there is no file {path}{hint}")
    try:
        return h5py.File(path, "r", swmr=path.name.endswith(".part"))
    except OSError as error:
        raise TraceError(f"cannot read {path}: {_diagnosis(str(error))}") from error


def _diagnosis(hdf5_says: str) -> str:
    if "signature not found" in hdf5_says:
        return "it is not an HDF5 file"
    if "truncated" in hdf5_says:
        return "it is truncated; copy it again from where it was written, or repeat the run"
    if "locking flag values" in hdf5_says:
        return "this very process is writing it; watch it from another one, or read it when it is closed"
    if "not already open for SWMR" in hdf5_says:
        return "its writer is still creating it, so try again; or it died before it recorded anything"
    if "open for write" in hdf5_says:
        return "its run did not finish; give it a name that ends in .part to read what it holds"
    return hdf5_says.splitlines()[0]


def _check_format(path: Path, file: h5py.File) -> None:
    """Refuse what is not a trace, or a trace from another time."""
    kind, version = file.attrs.get("format"), str(file.attrs.get("format_version"))
    if kind != layout.FORMAT:
        raise TraceError(f"{path} is HDF5, but not a trace: its format is {kind!r}, expected {layout.FORMAT!r}")
    major, known, oldest = version.partition(".")[0], layout.FORMAT_VERSION[0], layout.OLDEST_READABLE
    if not major.isdecimal():
        raise TraceError(f"{path} is damaged: its format_version {version!r} is not a version")
    if int(major) > known:
        raise TraceError(
            f"{path} was written by a newer analogdeq (trace format {version}; this one reads "
            f"{oldest}.x to {known}.x): upgrade with pip install --upgrade analogdeq"
        )
    if int(major) < oldest:
        raise TraceError(
            f"{path} is too old (trace format {version}; this analogdeq reads "
            f"{oldest}.x to {known}.x): repeat the run, or read it with the analogdeq named in its creator attribute"
        )


def _first_line(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else repr(error)
    return text.splitlines()[0] if text else repr(error)
