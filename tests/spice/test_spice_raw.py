"""The raw file reader, on files written here byte by byte."""

from pathlib import Path

import numpy as np
import pytest

from analogdeq.errors import SpiceError
from analogdeq.spice.raw import read_raw

HEADER = """Title: a circuit: with a colon
Date: Mon Nov 23 12:00:00  2026
Plotname: {name}
Flags: {flags}
No. Variables: {n_variables}
No. Points: {n_points}    
Variables:
{variables}Binary:
"""  # noqa: W291 - ngspice pads the number


def plot(name: str, flags: str, variables: list[str], values: np.ndarray) -> bytes:
    table = "".join(f"\t{k}\t{variable}\tvoltage\n" for k, variable in enumerate(variables))
    n_points, n_variables = values.shape
    head = HEADER.format(name=name, flags=flags, n_variables=n_variables, n_points=n_points, variables=table)
    return head.encode() + values.tobytes()


REAL = np.array([[0.0, 1.0, -2.5], [1e-12, 1.25, np.pi], [2e-12, 1e-300, 1e300]])
COMPLEX = np.array([[1 + 2j, 3 - 4j], [5.5 + 0j, -1e-9j]])


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "two.raw"
    path.write_bytes(
        plot("Transient Analysis", "real", ["time", "v(z0)", "V(Z1)"], REAL)
        + plot("AC Analysis", "complex", ["frequency", "v(out)"], COMPLEX)
    )
    return path


def test_every_plot_is_read_bit_for_bit(raw: Path) -> None:
    transient, ac = read_raw(raw)
    assert (transient.title, transient.name) == ("a circuit: with a colon", "Transient Analysis")
    assert transient.variables == ("time", "v(z0)", "v(z1)")
    assert np.array_equal(transient.values, REAL)
    assert ac.name == "AC Analysis"
    assert np.array_equal(ac.values, COMPLEX)


def test_columns_are_found_by_name(raw: Path) -> None:
    transient = read_raw(raw)[0]
    assert transient.column("v(z1)").tolist() == [-2.5, np.pi, 1e300]
    with pytest.raises(SpiceError, match=r"no 'v\(z9\)'; it has time, v\(z0\), v\(z1\)"):
        transient.column("v(z9)")


def test_waveform_bytes_that_look_like_a_header_are_waveform(tmp_path: Path) -> None:
    values = np.frombuffer(b"Binary:\nTitle: x\nVariables:\n....", np.float64).reshape(-1, 2)
    path = tmp_path / "sly.raw"
    path.write_bytes(plot("Transient Analysis", "real", ["time", "v(a)"], values))
    (read,) = read_raw(path)
    assert read.values.tobytes() == values.tobytes()


@pytest.mark.parametrize("missing", [1, 8, 40])
def test_a_file_that_ends_early_is_an_error(raw: Path, missing: int) -> None:
    raw.write_bytes(raw.read_bytes()[:-missing])
    with pytest.raises(SpiceError, match="ends early: 2 points need 64 bytes"):
        read_raw(raw)


def test_a_file_cut_in_its_header_is_an_error(raw: Path) -> None:
    raw.write_bytes(raw.read_bytes()[:60])
    with pytest.raises(SpiceError, match="no 'Binary:' section"):
        read_raw(raw)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (b"No. Points: 3", b"No. Points: x", "ValueError"),
        (b"Plotname:", b"Plotnome:", "KeyError: 'plotname'"),
        (b"No. Variables: 3", b"No. Variables: 4", "announces 4 variables and names 3"),
        (b"Binary:\n", b"Values:\n", "no 'Binary:' section|announces"),
    ],
)
def test_a_damaged_header_is_an_error(raw: Path, before: bytes, after: bytes, complaint: str) -> None:
    content = raw.read_bytes().split(b"Title: a circuit")[1]
    raw.write_bytes((b"Title: a circuit" + content).replace(before, after))
    with pytest.raises(SpiceError, match=complaint):
        read_raw(raw)


def test_a_missing_and_an_empty_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(SpiceError, match="cannot be read"):
        read_raw(tmp_path / "none.raw")
    (tmp_path / "empty.raw").write_bytes(b"")
    with pytest.raises(SpiceError, match="is empty"):
        read_raw(tmp_path / "empty.raw")
