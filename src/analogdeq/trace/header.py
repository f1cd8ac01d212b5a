"""What a trace file says about its run before the first sample is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from analogdeq.errors import InputError
from analogdeq.trace.layout import dataset_name


@final
@dataclass(frozen=True, kw_only=True)
class TraceHeader:
    """Everything that is known when recording begins.

    A file that is read while it is written cannot grow new parts later, so all names have to be known here.

    Attributes:
        title: what a viewer shows above the plot.
        scenario_toml: the resolved scenario, as text.
        provenance: names and values, see `provenance`.
        sample: (sample,) int64. Which rows of the settled batch are recorded.
        n_nodes: length of the state.
        terms: names of the power terms; empty for a bare core.
        supply_terms: the ones of `terms` that add up to the power drawn from the supply. The others are parts of these
            (the heat inside what the drivers draw), so adding all would count joules twice.
        energy_terms: names of the ledger's terms; empty for a bare core.
        band: [1]. Half width of the band around the equilibrium that the settling times are for, in units of z.
        unit_voltage_V: volts per unit of z; None for a bare core.

    Raises:
        InputError: if any of this cannot stand in a trace file.
    """

    title: str
    scenario_toml: str
    provenance: dict[str, str]
    sample: npt.NDArray[np.int64]
    n_nodes: int
    band: float
    terms: tuple[str, ...] = ()
    supply_terms: tuple[str, ...] = ()
    energy_terms: tuple[str, ...] = ()
    unit_voltage_V: float | None = None

    def __post_init__(self) -> None:
        """Refuse here what HDF5 would refuse later with a worse message."""
        for name, text in {"title": self.title, "scenario_toml": self.scenario_toml, **self.provenance}.items():
            _check_text(name, text)
        if self.sample.ndim != 1 or self.sample.size == 0:
            raise InputError(f"sample has shape {self.sample.shape}; a trace records at least one sample, as a vector")
        if self.n_nodes < 1:
            raise InputError(f"n_nodes is {self.n_nodes}; a state has at least one node")
        if not self.band > 0:
            raise InputError(f"band is {self.band}; it is the half width in units of z that t_settle is for, above 0")
        _check_names("power", self.terms)
        _check_names("energy", self.energy_terms)
        if strangers := [name for name in self.supply_terms if name not in self.terms]:
            raise InputError(f"supply_terms {strangers} are not among the power terms {list(self.terms)}")
        if self.terms and not self.supply_terms:
            raise InputError(f"supply_terms is empty; say which of {list(self.terms)} add up to the supply's power")


def _check_text(name: str, text: str) -> None:
    if "\x00" in text:
        raise InputError(f"{name} holds a NUL character, which HDF5 text cannot; remove it: {text[:60]!r}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{name} is not valid Unicode at character {error.start}: {text[:60]!r}") from None


def _check_names(prefix: str, terms: Sequence[str]) -> None:
    names = [dataset_name(prefix, term) for term in terms]
    if len(set(names)) < len(names):
        raise InputError(f"the {prefix} terms {list(terms)} share a dataset name; rename one")
