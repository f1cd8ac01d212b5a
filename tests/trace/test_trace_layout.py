"""The file as strangers see it: plain h5py, xarray, a NeXus viewer."""

import hashlib
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from analogdeq.solve.verdict import Verdict
from analogdeq.trace import write_trace


@pytest.fixture
def path(settled, header, tmp_path: Path) -> Path:
    write_trace(
        tmp_path / "t.h5",
        settled,
        title=header.title,
        scenario_toml=header.scenario_toml,
        provenance=header.provenance,
        band=header.band,
        supply_terms=header.supply_terms,
        unit_voltage_V=header.unit_voltage_V,
    )
    return tmp_path / "t.h5"


def numeric_datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return {name: item for name, item in found.items() if item.dtype.kind != "O"}


def test_every_number_has_a_unit_and_a_meaning(path: Path):
    with h5py.File(path) as file:
        datasets = numeric_datasets(file)
        assert len(datasets) > 30
        for name, dataset in datasets.items():
            assert dataset.attrs["units"] in {"1", "s", "W", "J", "V"}, name
            assert dataset.attrs["long_name"], name


def test_every_array_is_chunked_shuffled_and_gzipped(path: Path):
    with h5py.File(path) as file:
        for name, dataset in numeric_datasets(file).items():
            if dataset.shape:
                assert (dataset.compression, dataset.compression_opts, dataset.shuffle) == ("gzip", 4, True), name
                assert np.prod(dataset.chunks) * dataset.dtype.itemsize <= 2**20


def test_types_are_those_of_the_format_and_time_is_unlimited(path: Path):
    with h5py.File(path) as file:
        trace = file["run/trace"]
        assert {n: trace[n].dtype.str for n in ("time", "sample", "state", "power", "residual")} == {
            "time": "<f8",
            "sample": "<i8",
            "state": "<f4",
            "power": "<f4",
            "residual": "<f4",
        }
        assert trace["state"].maxshape == (None, 2, 5)
        assert trace["power_output_stages"].maxshape == (None, 2)


def test_the_first_plot_a_nexus_viewer_finds_is_the_state_over_time(path: Path):
    with h5py.File(path) as file:
        assert (file.attrs["NX_class"], file.attrs["format"], file.attrs["format_version"]) == (
            "NXroot",
            "analogdeq-trace",
            "2.0",
        )
        entry = file[file.attrs["default"]]
        plot = entry[entry.attrs["default"]]
        assert (entry.attrs["NX_class"], plot.attrs["NX_class"]) == ("NXentry", "NXdata")
        signal = plot[plot.attrs["signal"]]
        assert [len(plot[axis]) for axis in plot.attrs["axes"]] == list(signal.shape)
        assert [dim[0].name for dim in signal.dims] == [plot[axis].name for axis in plot.attrs["axes"]]


def test_scenario_seeds_versions_and_commit_are_in_the_file(path: Path, header):
    with h5py.File(path) as file:
        scenario = file["run/scenario"]
        assert scenario.asstr()[()] == header.scenario_toml
        assert scenario.attrs["sha256"] == hashlib.sha256(header.scenario_toml.encode()).hexdigest()
        attributes = dict(file["run/provenance"].attrs)
        assert {name: attributes[name] for name in header.provenance} == header.provenance
        assert file.attrs["created"] == header.provenance["created"]
        assert re.match(r"analogdeq ", file.attrs["creator"])


def test_xarray_opens_the_waveforms_with_named_axes(path: Path, settled):
    with xarray.open_dataset(path, engine="h5netcdf", group="/run/trace") as data:
        assert data.state.dims == ("time", "sample", "node")
        assert data.power_crossbar.dims == ("time", "sample")
        assert data.time.dtype == np.float64
        assert data.time.attrs["units"] == "s"
        np.testing.assert_array_equal(data.state.sel(sample=3, node=2), settled.trace.state[:, 1, 2])


def test_xarray_opens_steps_as_a_ragged_array_and_results_per_sample(path: Path, settled):
    with xarray.open_dataset(path, engine="h5netcdf", group="/run/steps") as steps:
        assert steps.sample_index.attrs["instance_dimension"] == "sample"
        row_size, mine = settled.trace.steps.row_size, steps.sample_index == 1
        np.testing.assert_array_equal(steps.dt[mine], settled.trace.steps.dt_s[row_size[0] :])
        assert int(mine.sum()) == row_size[1] > 0
    with xarray.open_dataset(path, engine="h5netcdf", group="/run/result") as result:
        assert float(result.t_settle.sel(sample=0)) == float(settled.t_settle_s[0])
        assert float(result.energy_output_stages.sel(sample=3)) == float(settled.ledger.output_stages_J[3])
        assert result.band == 1e-3


def test_the_verdict_codes_explain_themselves(path: Path):
    with h5py.File(path) as file:
        code = file["run/result/code"]
        meanings = dict(zip(code.attrs["flag_values"].tolist(), code.attrs["flag_meanings"].split(), strict=True))
        assert meanings == {0: "settled", 1: "timed_out", 2: "oscillating", 3: "diverged", 255: "unfinished"}
        assert code[()].tolist() == [Verdict.SETTLED, Verdict.DIVERGED]
