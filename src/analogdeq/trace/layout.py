"""What is in a trace file, as data: every dataset with its axes, type, unit and meaning (docs/trace-format.md)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, final

from analogdeq.solve.verdict import Verdict

FORMAT: Final = "analogdeq-trace"
FORMAT_VERSION: Final = (2, 0)
"""A new minor version adds to the file; a new major version changes what is there already."""
OLDEST_READABLE: Final = 1
"""The oldest major version the reader knows: it stored the attempted steps sample after sample, with `row_size`."""

UNFINISHED: Final = 255
"""The verdict code of a sample whose settle has not ended; once none is left, the file is finished."""

BLOCK: Final = 64
"""Time points per chunk; a file is smallest when samples are appended to in multiples of this."""


@final
@dataclass(frozen=True)
class Field:
    """One dataset.

    Attributes:
        name: its name in the group.
        key: the attribute that holds it in `Trace`, `Steps` or `TraceResult`.
        axes: the names of its axes, outermost first; a dataset named like its only axis is that axis's dimension scale.
        dtype: numpy's name of its type, always explicit, so that a file is the same wherever it was written.
        units: UDUNITS spelling; "1" for counts, codes and everything in units of z.
        meaning: one line, stored as `long_name`.
        flags: what each value means, for datasets of codes.
    """

    name: str
    key: str
    axes: tuple[str, ...]
    dtype: str
    units: str
    meaning: str
    flags: dict[int, str] = field(default_factory=dict)


VERDICT_FLAGS: Final = {int(v): v.name.lower() for v in Verdict} | {UNFINISHED: "unfinished"}

SAMPLE: Final = Field("sample", "sample", ("sample",), "i8", "1", "row of the settled batch")
NODE: Final = Field("node", "node", ("node",), "i8", "1", "index of the node")
ATTEMPT: Final = Field("attempt", "attempt", ("attempt",), "i8", "1", "index of the attempted step")

TIME: Final = Field("time", "time_s", ("time",), "f8", "s", "time since power-on")
STATE: Final = Field("state", "state", ("time", "sample", "node"), "f4", "1", "state z")
POWER: Final = Field(
    "power", "power_W", ("time", "sample"), "f4", "W", "power drawn from the supply: sum of supply_terms"
)
RESIDUAL: Final = Field("residual", "residual", ("time", "sample"), "f4", "1", "max |F(z) - z|")
UNIT_VOLTAGE: Final = Field("unit_voltage", "unit_voltage_V", (), "f8", "V", "volts per unit of state")

ATTEMPTS: Final = (
    Field("sample_index", "position", ("attempt",), "i8", "1", "whose attempt: position along the axis sample"),
    Field("time", "time_s", ("attempt",), "f8", "s", "where the attempt began"),
    Field("dt", "dt_s", ("attempt",), "f8", "s", "length of the attempt"),
    Field("error_norm", "error_norm", ("attempt",), "f8", "1", "local error over tolerance"),
    Field("accepted", "accepted", ("attempt",), "u1", "1", "was the step taken", {0: "rejected", 1: "accepted"}),
)

RESULTS: Final = (
    Field("state", "z", ("sample", "node"), "f8", "1", "equilibrium reached; where there is none, the last state"),
    Field("t_settle", "t_settle_s", ("sample",), "f8", "s", "last time outside the band; NaN unless settled"),
    Field("t_end", "t_end_s", ("sample",), "f8", "s", "where the integration stopped"),
    Field("energy", "energy_J", ("sample",), "f8", "J", "energy drawn from the supply until readout"),
    Field("residual", "residual", ("sample",), "f8", "1", "max |F(z) - z| at state"),
    Field("error_bound", "error_bound", ("sample",), "f8", "1", "bound on the distance of state from the equilibrium"),
    Field("period", "period_s", ("sample",), "f8", "s", "period of the limit cycle; NaN unless oscillating"),
    Field("evaluations", "evaluations", ("sample",), "i8", "1", "evaluations of the derivative"),
    Field("accepted_steps", "steps", ("sample",), "i8", "1", "accepted steps"),
    Field("rejected_steps", "rejected", ("sample",), "i8", "1", "rejected steps"),
)
BAND: Final = Field("band", "band", (), "f8", "1", "half width of the band around the equilibrium that t_settle is for")
CODE: Final = Field("code", "verdict_code", ("sample",), "u1", "1", "how the settle ended", VERDICT_FLAGS)


def waveform_fields(terms: Iterable[str]) -> tuple[Field, ...]:
    """Every dataset along the time axis."""
    return (TIME, STATE, POWER, RESIDUAL, *power_fields(terms))


def power_fields(terms: Iterable[str]) -> tuple[Field, ...]:
    """One dataset per power term."""
    return tuple(Field(dataset_name("power", t), t, POWER.axes, "f4", "W", f"power, {t}") for t in terms)


def energy_fields(terms: Iterable[str]) -> tuple[Field, ...]:
    """One dataset per ledger term."""
    return tuple(Field(dataset_name("energy", t), t, ("sample",), "f8", "J", f"energy, {t}") for t in terms)


def dataset_name(prefix: str, term: str) -> str:
    """The term "output stages" of a power is the dataset "power_output_stages"."""
    return f"{prefix}_{re.sub(r'[^0-9A-Za-z]+', '_', term)}"
