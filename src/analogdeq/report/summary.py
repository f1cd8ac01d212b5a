"""The numbers at the top of a report, already worded."""

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from analogdeq.report.data import ReportData
from analogdeq.solve.verdict import Verdict
from analogdeq.units import format_quantity


@final
@dataclass(frozen=True)
class KeyNumber:
    """One of the few numbers people look for first: `label`, `value`, and a `note` that qualifies it."""

    label: str
    value: str
    note: str


@final
@dataclass(frozen=True)
class Row:
    """One line of the table of results: `quantity`, `value`, and what it means."""

    quantity: str
    value: str
    meaning: str


@final
@dataclass(frozen=True)
class TermRow:
    """One term of the energy: mean, and share of the total."""

    name: str
    mean: str
    share: str


@final
@dataclass(frozen=True)
class VerdictRow:
    """How many samples ended in one way, and what to do about it."""

    verdict: str
    count: int
    share: str
    advice: str
    is_good: bool


def key_numbers(data: ReportData) -> list[KeyNumber]:
    """Accuracy, settling time, energy and the share that settled: whichever exist."""
    settled, batch = int(np.count_nonzero(data.verdict_code == Verdict.SETTLED)), data.verdict_code.size
    numbers = []
    if data.accuracy_chip is not None:
        ideal = "" if data.accuracy_ideal is None else f"ideal core {_percent(data.accuracy_ideal)}"
        numbers.append(KeyNumber("accuracy on the chip", _percent(data.accuracy_chip), ideal))
    elif data.accuracy_ideal is not None:
        numbers.append(KeyNumber("accuracy, ideal core", _percent(data.accuracy_ideal), ""))
    if np.isfinite(data.t_settle_s).any():
        p95 = format_quantity(_percentile(data.t_settle_s, 95), "s")
        numbers.append(KeyNumber("settling time, median", _median(data.t_settle_s, "s"), f"95 % within {p95}"))
        numbers.extend(_cycles(data))
    if np.isfinite(data.energy_total_J).any():
        p95 = format_quantity(_percentile(data.energy_total_J, 95), "J")
        numbers.append(
            KeyNumber("energy per inference, median", _median(data.energy_total_J, "J"), f"95 % within {p95}")
        )
    left = f"{batch - settled} of {batch} did not" if settled < batch else f"all {batch} samples"
    numbers.append(KeyNumber("settled", _percent(settled / batch), left))
    return numbers


def result_rows(data: ReportData) -> list[Row]:
    """The headline table, in the order of the run: accuracy, time, energy, cost of the simulation."""
    rows = []
    if data.accuracy_ideal is not None:
        rows.append(Row("accuracy, ideal core", _percent(data.accuracy_ideal), "exact weights, exact equilibrium"))
    if data.accuracy_chip is not None:
        rows.append(Row("accuracy, chip", _percent(data.accuracy_chip), "the simulated chip's own state at readout"))
    if data.accuracy_at_noise is not None:
        spread = f"read noise of one inference, and white noise of {data.noise_rms:.2g} rms of z at the readout"
        rows.append(Row("accuracy, chip with its noise", _percent(data.accuracy_at_noise), spread))
    for linewidth_Hz, share in data.accuracy_noisy.items():
        line = format_quantity(linewidth_Hz, "Hz")
        rows.append(
            Row(
                f"accuracy, chip, {line} wide lines",
                _percent(share),
                "noise from the start; read once, when the slowest has settled",
            )
        )
    rows += _spread(data.t_settle_s, "settling time", "s", "last time outside the band around the equilibrium")
    rows += _spread(data.energy_total_J, "energy per inference", "J", "drawn from the supply from power-on to readout")
    unsettled = np.count_nonzero(data.verdict_code != Verdict.SETTLED) / data.verdict_code.size
    rows.append(Row("did not settle", _percent(unsettled), f"of {data.verdict_code.size} samples"))
    evaluations = f"{np.median(data.evaluations):.0f} / {data.evaluations.max()}"
    rows.append(Row("evaluations per sample, median / max", evaluations, "of the derivative; what the simulation cost"))
    rows.append(Row("time constant τ", format_quantity(data.tau_s, "s"), "of the slowest node"))
    return rows


def _cycles(data: ReportData) -> list[KeyNumber]:
    """The settling time in periods of the oscillators, where there are any."""
    if data.frequency_Hz is None:
        return []
    cycles = data.t_settle_s * data.frequency_Hz
    median, p95 = _percentile(cycles, 50), _percentile(cycles, 95)
    note = f"95 % within {p95:.1f}, at {format_quantity(data.frequency_Hz, 'Hz')}"
    return [KeyNumber("settling cycles, median", f"{median:.1f}", note)]


def term_rows(data: ReportData) -> list[TermRow]:
    """The energy by term, in the ledger's order, and its total; empty without a ledger."""
    means = mean_terms_J(data)
    total = sum(means.values())
    if not means:
        return []
    rows = [
        TermRow(name, format_quantity(mean, "J"), _percent(mean / total if total else 0))
        for name, mean in means.items()
    ]
    return [*rows, TermRow("total", format_quantity(total, "J"), "100.0 %")]


def mean_terms_J(data: ReportData) -> dict[str, float]:
    """[J]. Mean of each term over the samples for which it is known."""
    terms = {name: values[np.isfinite(values)] for name, values in data.energy_terms_J.items()}
    return {name: float(values.mean()) for name, values in terms.items() if values.size}


def verdict_rows(data: ReportData) -> list[VerdictRow]:
    """The verdicts that occurred."""
    batch = data.verdict_code.size
    counts = {verdict: int(np.count_nonzero(data.verdict_code == verdict)) for verdict in Verdict}
    return [
        VerdictRow(verdict.text, count, _percent(count / batch), verdict.advice, verdict is Verdict.SETTLED)
        for verdict, count in counts.items()
        if count
    ]


def spectrum_rows(data: ReportData) -> list[Row]:
    """What the eigenvalues of D W say; empty if there are none."""
    if data.eigenvalues is None or not data.eigenvalues.size:
        return []
    largest, radius = float(data.eigenvalues.real.max()), float(np.abs(data.eigenvalues).max())
    gap = 1 - largest
    slowest = format_quantity(data.tau_s / gap, "s") if gap > 0 else "grows"
    picard = "converges" if radius < 1 else "does not converge"
    return [
        Row("largest real part, max Re λ", f"{largest:.3f}", "below 1 the circuit settles"),
        Row("settling rate, 1 − max Re λ", f"{gap:.3f} per τ", "how fast the slowest mode decays"),
        Row("slowest mode", slowest, f"time in which it falls to 1/e; τ is {format_quantity(data.tau_s, 's')}"),
        Row("spectral radius, max |λ|", f"{radius:.3f}", f"digital Picard iteration {picard} near the equilibrium"),
    ]


def _spread(values: npt.NDArray, quantity: str, unit: str, meaning: str) -> list[Row]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return [Row(quantity, "–", "no sample has one")]
    numbers = [*np.percentile(finite, [50, 95]), finite.max()]
    return [Row(f"{quantity}, p50 / p95 / max", " / ".join(format_quantity(float(v), unit) for v in numbers), meaning)]


def _percentile(values: npt.NDArray, percent: float) -> float:
    return float(np.percentile(values[np.isfinite(values)], percent))


def _median(values: npt.NDArray, unit: str) -> str:
    return format_quantity(_percentile(values, 50), unit)


def _percent(share: float) -> str:
    return "< 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"
