"""Where the simulation and ngspice differ, and whether that is within tolerance."""

import math
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import torch

from analogdeq.chip import Chip
from analogdeq.circuits.ledger import Ledger
from analogdeq.errors import InputError
from analogdeq.solve.settled import Settled
from analogdeq.spice.answer import SpiceAnswer
from analogdeq.units import format_quantity

WAVEFORM_TOLERANCE = 1e-4
"""Of full scale."""
TIME_TOLERANCE = 1e-3
ENERGY_TOLERANCE = 1e-3
BALANCE_TOLERANCE = 1e-5
"""Of what ngspice's sources deliver: a judge whose own books do not close is no judge."""
SMALL_TERM = 1e-4
"""Terms below this share of all heat and stored energy are compared with the whole, not with themselves."""


@final
@dataclass(frozen=True, kw_only=True)
class Difference:
    """One figure, computed twice.

    Attributes:
        name: what was compared.
        where: which node and when, or what was held against what; may be empty.
        unit: of `native` and `spice`.
        native: this package's value.
        spice: ngspice's.
        error: [1]. Their distance: of full scale for the waveform, relative for the others.
        tolerance: [1]. The largest error that counts as agreement.
    """

    name: str
    where: str = ""
    unit: str
    native: float
    spice: float
    error: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the error is within tolerance; NaN is not."""
        return self.error <= self.tolerance


@final
@dataclass(frozen=True, kw_only=True)
class SpiceComparison:
    """One settle by this package and by ngspice.

    Attributes:
        ngspice: the program's version.
        waveform: the node and time where the states differ most.
        settle: the settling time, each around its own equilibrium.
        energy: each term, each until its own settling time.
        balance: ngspice's own books: heat and stored energy (`native`) against what its sources delivered (`spice`).
    """

    ngspice: str
    waveform: Difference
    settle: Difference
    energy: tuple[Difference, ...]
    balance: Difference

    @property
    def differences(self) -> tuple[Difference, ...]:
        """All of them."""
        return (self.waveform, self.settle, *self.energy, self.balance)

    @property
    def agrees(self) -> bool:
        """Whether every figure is within its tolerance."""
        return all(difference.agrees for difference in self.differences)

    @property
    def verdict(self) -> str:
        """One line: agreement, or what disagrees and by how much."""
        apart = [d for d in self.differences if not d.agrees]
        if not apart:
            return "agrees with ngspice"
        said = ", ".join(f"{d.name} differs by {d.error:.1e} (tolerance {d.tolerance:g})" for d in apart)
        return f"disagrees with ngspice: {said}; if a smaller settle.rtol agrees, the step tolerance is the cause"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [{**asdict(d), "agrees": d.agrees} for d in self.differences]
        return {"ngspice": self.ngspice, "agrees": self.agrees, "verdict": self.verdict, "differences": rows}


def compare(chip: Chip, settled: Settled, answer: SpiceAnswer) -> SpiceComparison:
    """Hold a settle of one recorded sample against ngspice's answer.

    Raises:
        InputError: if the settle has no trace or no ledger.
    """
    native_J = native_energy_J(chip, settled)
    whole_J, delivered_J = answer.dissipated_J, answer.energy_J["delivered"]
    energy = tuple(_energy(name, value, answer.energy_J[name], whole_J) for name, value in native_J.items())
    t_native_s = float(settled.t_settle_s[0])
    return SpiceComparison(
        ngspice=answer.ngspice,
        waveform=_waveform(chip, settled, answer),
        settle=Difference(
            name="settling time", unit="s", native=t_native_s, spice=answer.t_settle_s,
            error=_relative(t_native_s, answer.t_settle_s, answer.t_settle_s or chip.tau_s), tolerance=TIME_TOLERANCE,
        ),
        energy=energy,
        balance=Difference(
            name="balance of ngspice", where="heat and stored, against delivered", unit="J",
            native=whole_J, spice=delivered_J,
            error=_relative(whole_J, delivered_J, abs(delivered_J)), tolerance=BALANCE_TOLERANCE,
        ),
    )  # fmt: skip


def native_energy_J(chip: Chip, settled: Settled) -> dict[str, float]:
    """[J]. The terms that a netlist has meters for, and the stored energy, until the settling time of sample 0.

    Raises:
        InputError: if the settle has no ledger.
    """
    ledger, rest_W = settled.ledger, settled.power_end_W
    if not isinstance(ledger, Ledger) or rest_W is None:
        raise InputError("the comparison needs a settle of a crossbar chip; a bare core has no energies")
    terms = torch.stack((ledger.crossbar_J, ledger.feedback_J, ledger.node_J, ledger.drivers_J), 1)[0]
    # The ledger goes on until the conversion ends, at the power at rest; the meters are read before it.
    until_settled = (terms - rest_W[0].double() * chip.circuit.adc.conversion_s).tolist()
    return {**dict(zip(chip.power_terms, until_settled, strict=True)), "stored": float(ledger.stored_J[0])}


def _waveform(chip: Chip, settled: Settled, answer: SpiceAnswer) -> Difference:
    """The largest distance over the trace's time grid, as far as both go."""
    trace = settled.trace
    if trace is None:
        raise InputError("the comparison needs a settle with one recorded sample; pass record=Record(samples=(0,))")
    native = trace.state[:, 0].astype(np.float64)
    both = np.isfinite(native).all(1) & (trace.time_s <= answer.time_s[-1])
    native, spice = native[both], answer.state(trace.time_s[both])
    distance = np.abs(native - spice)
    k, node = np.unravel_index(int(distance.argmax()), distance.shape)
    return Difference(
        name="waveform", where=f"z{node} at {format_quantity(float(trace.time_s[both][k]), 's')}", unit="1",
        native=float(native[k, node]), spice=float(spice[k, node]),
        error=float(distance[k, node]) / chip.full_scale, tolerance=WAVEFORM_TOLERANCE,
    )  # fmt: skip


def _energy(name: str, native_J: float, spice_J: float, whole_J: float) -> Difference:
    scale_J = abs(spice_J) if abs(spice_J) >= SMALL_TERM * whole_J else whole_J
    return Difference(
        name=f"{name} energy", unit="J", native=native_J, spice=spice_J,
        error=_relative(native_J, spice_J, scale_J), tolerance=ENERGY_TOLERANCE,
    )  # fmt: skip


def _relative(native: float, spice: float, scale: float) -> float:
    """|native - spice| / scale; 0 where they are equal, also where the scale is 0."""
    if native == spice:
        return 0.0
    return abs(native - spice) / scale if scale > 0 else math.inf
