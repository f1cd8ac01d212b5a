"""Lay out an empty trace file: all groups, datasets and attributes, before the first time point."""

import hashlib
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import h5py
import numpy as np

from analogdeq.trace import layout
from analogdeq.trace.header import TraceHeader
from analogdeq.trace.layout import Field

CHUNK: Final = {"time": layout.BLOCK, "sample": 1, "node": 4096, "attempt": 4096}
"""At most 1 MiB of float32 per chunk of the state. Samples are written each at its own pace, so none share a chunk."""
VECTOR_CHUNK: Final = 1024
"""A vector over samples is written at once."""


def create_layout(file: h5py.File, header: TraceHeader) -> None:
    """Write everything but the recorded numbers."""
    _write_root(file, header)
    run = file.create_group("run")
    run.attrs.update({"NX_class": "NXentry", "default": "trace", "title": header.title})
    _write_scenario(run, header.scenario_toml)
    _write_provenance(run, header.provenance)
    _create_trace(run, header)
    _create_steps(run, header)
    _create_result(run, header)


def _write_root(file: h5py.File, header: TraceHeader) -> None:
    file.attrs.update(
        {
            "NX_class": "NXroot",
            "default": "run",
            "format": layout.FORMAT,
            "format_version": ".".join(map(str, layout.FORMAT_VERSION)),
            "creator": f"analogdeq {_own_version()}",
            "created": header.provenance.get("created", datetime.now(UTC).isoformat(timespec="seconds")),
        }
    )


def _write_scenario(run: h5py.Group, text: str) -> None:
    # A dataset, not an attribute: attributes over 64 KiB are beyond some readers.
    scenario = run.create_dataset("scenario", data=text, dtype=h5py.string_dtype("utf-8"))
    scenario.attrs["sha256"] = hashlib.sha256(text.encode()).hexdigest()


def _write_provenance(run: h5py.Group, provenance: dict[str, str]) -> None:
    group = run.create_group("provenance")
    group.attrs["NX_class"] = "NXcollection"
    group.attrs.update(provenance)


def _create_trace(run: h5py.Group, header: TraceHeader) -> None:
    fields = [layout.SAMPLE, layout.NODE, *layout.waveform_fields(header.terms)]
    group = _create_group(run, "trace", "NXdata", fields, header)
    # No auxiliary_signals: NeXus wants them in the shape of the signal, and viewers refuse the plot otherwise.
    group.attrs["signal"] = "state"
    group.attrs["axes"] = _strings(layout.STATE.axes)
    _name_terms(group["power"], header.terms, layout.power_fields(header.terms))
    group["power"].attrs["supply_terms"] = _strings(header.supply_terms)
    if header.unit_voltage_V is not None:
        _create_scalar(group, layout.UNIT_VOLTAGE, header.unit_voltage_V)


def _create_steps(run: h5py.Group, header: TraceHeader) -> None:
    fields = [layout.SAMPLE, layout.ATTEMPT, *layout.ATTEMPTS]
    group = _create_group(run, "steps", "NXcollection", fields, header)
    group["sample_index"].attrs["instance_dimension"] = "sample"  # what makes it a CF indexed ragged array


def _create_result(run: h5py.Group, header: TraceHeader) -> None:
    energy = layout.energy_fields(header.energy_terms)
    fields = [layout.SAMPLE, layout.NODE, *layout.RESULTS, *energy, layout.CODE]
    group = _create_group(run, "result", "NXcollection", fields, header)
    _name_terms(group["energy"], header.energy_terms, energy)
    _create_scalar(group, layout.BAND, header.band)


def _create_group(
    run: h5py.Group, name: str, nx_class: str, fields: Iterable[Field], header: TraceHeader
) -> h5py.Group:
    """A group whose fields are joined to the dimension scales among them; `time` and `attempt` start empty."""
    group = run.create_group(name)
    group.attrs["NX_class"] = nx_class
    lengths = {"sample": header.sample.size, "node": header.n_nodes}
    for field in fields:
        dataset = _create_array(group, field, lengths)
        if field.axes == (field.name,):
            dataset.make_scale(field.name)
    for field in fields:
        if field.axes != (field.name,):
            for position, axis in enumerate(field.axes):
                group[field.name].dims[position].attach_scale(group[axis])
    for axis, values in (("sample", header.sample), ("node", np.arange(header.n_nodes))):
        if axis in group:
            group[axis][...] = values
    return group


def _create_array(group: h5py.Group, field: Field, lengths: dict[str, int]) -> h5py.Dataset:
    limits = {"sample": VECTOR_CHUNK} if field.axes == ("sample",) else CHUNK
    dataset = group.create_dataset(
        field.name,
        shape=tuple(lengths.get(axis, 0) for axis in field.axes),
        maxshape=tuple(lengths.get(axis) for axis in field.axes),
        chunks=tuple(min(lengths.get(axis, math.inf), limits[axis]) for axis in field.axes),
        dtype=field.dtype,
        fillvalue=_blank(field),
        compression="gzip",
        compression_opts=4,
        shuffle=True,
    )
    _describe(dataset, field)
    return dataset


def _create_scalar(group: h5py.Group, field: Field, value: float) -> None:
    _describe(group.create_dataset(field.name, data=value, dtype=field.dtype), field)


def _describe(dataset: h5py.Dataset, field: Field) -> None:
    dataset.attrs["units"] = field.units
    dataset.attrs["long_name"] = field.meaning
    if field.flags:
        dataset.attrs["flag_values"] = np.array(list(field.flags), dtype=field.dtype)
        dataset.attrs["flag_meanings"] = " ".join(field.flags.values())


def _name_terms(total: h5py.Dataset, terms: tuple[str, ...], fields: tuple[Field, ...]) -> None:
    """Tell beside the total what its terms are called, in order, and where they are."""
    total.attrs["terms"] = _strings(terms)
    total.attrs["term_datasets"] = _strings([field.name for field in fields])


def _blank(field: Field) -> float:
    """What a reader finds where nothing was written yet."""
    if field.name == layout.CODE.name:
        return layout.UNFINISHED
    return math.nan if field.dtype.startswith("f") else 0


def _strings(names: Iterable[str]) -> np.ndarray:
    return np.array(list(names), dtype=h5py.string_dtype("utf-8"))


def _own_version() -> str:
    try:
        return version("analogdeq")
    except PackageNotFoundError:
        return "unknown"
