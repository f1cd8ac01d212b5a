"""What a report needs to know: plain numbers and text, filled in by whoever made the run."""

from dataclasses import dataclass, field
from typing import final

import numpy as np
import numpy.typing as npt

from analogdeq.errors import InputError
from analogdeq.solve.trace import Float64, Trace


@final
@dataclass(frozen=True)
class Assumption:
    """One thing that was taken for granted, with its value and where it comes from.

    Attributes:
        name: "node capacitance".
        value: "100 fF", unit included.
        meaning: what it does in the model.
        source: a citation, "chosen", or "scenario".
    """

    name: str
    value: str
    meaning: str
    source: str


@final
@dataclass(frozen=True, kw_only=True)
class Waveforms:
    """The recorded samples, with what is needed to judge them by eye.

    Attributes:
        trace: the recorded waveforms.
        names: one per recorded sample, for people: "test image 17, a 4".
        equilibrium: (sample, node) [1]. Where each came to rest; where it did not, its last state.
        t_settle_s: (sample,) [s]. NaN unless settled.
        band: [1]. Half width of the band around the equilibrium, in units of z.
        supply_terms: the power terms that add up to what the supply delivers; the others are parts of these.
        every: n where `trace` holds only every n-th recorded point.

    Raises:
        InputError: if the parts do not fit together.
    """

    trace: Trace
    names: tuple[str, ...]
    equilibrium: Float64
    t_settle_s: Float64
    band: float
    supply_terms: tuple[str, ...]
    every: int = 1

    def __post_init__(self) -> None:
        """Check here, so that a plot never fails half way down the page."""
        _, samples, nodes = self.trace.state.shape
        _expect("names", (len(self.names),), (samples,))
        _expect("equilibrium", self.equilibrium.shape, (samples, nodes))
        _expect("t_settle_s", self.t_settle_s.shape, (samples,))
        if not self.band > 0:
            raise InputError(f"band is {self.band}; it is the half width of the band in units of z, above 0")
        if strangers := [name for name in self.supply_terms if name not in self.trace.terms]:
            raise InputError(f"supply_terms {strangers} are not among the power terms {list(self.trace.terms)}")


@final
@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything a report shows.

    Attributes:
        title: the page's title.
        scenario_name: what was run, "digits-crossbar".
        scenario_toml: the resolved scenario, as text.
        created: ISO 8601, UTC.
        provenance: names and values, see `analogdeq.trace.provenance`.
        t_settle_s: (batch,) [s]. NaN unless settled.
        verdict_code: (batch,) uint8. A `Verdict` each.
        evaluations: (batch,) int64. Evaluations of the derivative.
        energy_total_J: (batch,) [J]. Drawn from the supply until readout; NaN for a core without a circuit.
        energy_terms_J: (batch,) [J] by name; they add up to the total. Empty for a core without a circuit.
        tau_s: [s]. The core's time constant.
        frequency_Hz: [Hz]. Of the oscillators; None where there are none.
        accuracy_ideal: [1]. Share of samples the ideal core gets right; None where there is no such thing.
        accuracy_chip: [1]. The same on the simulated chip.
        accuracy_at_noise: [1]. The same with the noise of its parts; None where that was not evaluated.
        noise_rms: [1]. What white noise adds to z at the readout then, root mean square.
        accuracy_noisy: [1] by linewidth [Hz]. The same while the phases of its oscillators diffuse.
        assumptions: in the order the report lists them.
        waveforms: the recorded samples; None if none were.
        eigenvalues: (any,) complex [1]. Of the Jacobian D W at the equilibria; None if they were not computed.
        metrics: one row per epoch. Keys that end in "loss" or "accuracy" are plotted over "epoch".

    Raises:
        InputError: if arrays over the batch differ in length.
    """

    title: str
    scenario_name: str
    scenario_toml: str
    created: str
    provenance: dict[str, str]
    t_settle_s: Float64
    verdict_code: npt.NDArray[np.uint8]
    evaluations: npt.NDArray[np.int64]
    energy_total_J: Float64
    energy_terms_J: dict[str, Float64]
    tau_s: float
    frequency_Hz: float | None = None
    accuracy_ideal: float | None = None
    accuracy_chip: float | None = None
    accuracy_at_noise: float | None = None
    noise_rms: float | None = None
    accuracy_noisy: dict[float, float] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    waveforms: Waveforms | None = None
    eigenvalues: npt.NDArray[np.complex128] | None = None
    metrics: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check here, so that a table never fails half way down the page."""
        batch = self.t_settle_s.shape
        if len(batch) != 1 or batch[0] == 0:
            raise InputError(f"t_settle_s has shape {batch}; expected one entry per sample, and at least one sample")
        _expect("verdict_code", self.verdict_code.shape, batch)
        _expect("evaluations", self.evaluations.shape, batch)
        _expect("energy_total_J", self.energy_total_J.shape, batch)
        for name, values in self.energy_terms_J.items():
            _expect(f"energy_terms_J[{name!r}]", values.shape, batch)


def _expect(name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise InputError(f"{name} has shape {shape}; expected {expected}, as the arrays beside it")
