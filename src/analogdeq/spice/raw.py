"""ngspice's binary raw files: a text header and rows of float64, one plot after another."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from analogdeq.errors import SpiceError

_BINARY = b"Binary:\n"


@final
@dataclass(frozen=True)
class RawPlot:
    """One analysis.

    Attributes:
        title: first line of the netlist.
        name: of the analysis, for example "Transient Analysis".
        variables: what the columns hold, for example ("time", "v(z0)"), in lower case.
        values: (point, variable) float64, or complex128 for an AC analysis.
    """

    title: str
    name: str
    variables: tuple[str, ...]
    values: npt.NDArray[Any]

    def column(self, variable: str) -> npt.NDArray[np.float64]:
        """(point,) real values of one variable.

        Raises:
            SpiceError: if it was not saved.
        """
        if variable not in self.variables:
            raise SpiceError(f"the raw file has no {variable!r}; it has {', '.join(self.variables)}")
        return np.ascontiguousarray(self.values[:, self.variables.index(variable)].real, np.float64)


def read_raw(path: Path) -> list[RawPlot]:
    """Every plot of a raw file, in the order of the analyses.

    Raises:
        SpiceError: if the file is missing, ends early, or is no binary raw file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SpiceError(f"{path}: cannot be read: {error}") from None
    plots = []
    while content.strip():
        plot, content = _read_plot(content, path)
        plots.append(plot)
    if not plots:
        raise SpiceError(f"{path}: is empty; ngspice wrote no waveform")
    return plots


def _read_plot(content: bytes, path: Path) -> tuple[RawPlot, bytes]:
    """The first plot, and the bytes behind it."""
    header, separator, body = content.partition(_BINARY)
    if not separator:
        raise SpiceError(f"{path}: has no 'Binary:' section; it is cut short, or an ASCII raw file")
    try:
        fields, names = _read_header(header.decode("utf-8", "replace"))
        n_points, n_variables = int(fields["no. points"]), int(fields["no. variables"])
        is_complex = "complex" in fields["flags"].lower()
        title, name = fields["title"], fields["plotname"]
    except (KeyError, ValueError) as error:
        raise SpiceError(f"{path}: the header of a plot is damaged: {type(error).__name__}: {error}") from None
    if len(names) != n_variables or n_points < 0:
        raise SpiceError(f"{path}: the header announces {n_variables} variables and names {len(names)}")
    size = n_points * n_variables * (16 if is_complex else 8)
    if len(body) < size:
        raise SpiceError(f"{path}: ends early: {n_points} points need {size} bytes, {len(body)} are there")
    rows = np.frombuffer(body[:size], np.complex128 if is_complex else np.float64)
    return RawPlot(title, name, names, rows.reshape(n_points, n_variables)), body[size:]


def _read_header(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Fields by lower-case name, and the variables' names."""
    head, _, table = text.partition("Variables:\n")
    pairs = (line.partition(":") for line in head.splitlines() if ":" in line)
    fields = {key.strip().lower(): value.strip() for key, _, value in pairs}
    return fields, tuple(line.split()[1].lower() for line in table.splitlines() if line.strip())
