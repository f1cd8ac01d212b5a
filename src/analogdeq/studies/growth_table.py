"""The growth of a settle's cost as a CSV file and as a table for people."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from analogdeq.studies.bench_growth import FITTED, Growth, GrowthPoint, PowerLaw
from analogdeq.studies.growth_work import AXES

NAMES: Final = {
    "nodes": "nodes N",
    "batch": "samples B",
    "tau_spread": "tau spread, slowest over fastest",
    "gap": "gap, 1 - largest eigenvalue of W",
}


COLUMNS: Final = (
    "axis", "value", "time, ms", "least, ms", "processor, ms", "runs", "evaluations", "steps", "settled",
    "certificate, ms",
)  # fmt: skip


def growth_csv(growth: Growth) -> str:
    """One line per rung, with everything that was held fixed."""
    out = io.StringIO()
    rows = [_row(growth, point) for point in growth.points]
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def growth_table(growth: Growth) -> str:
    """Markdown: what was done, the fitted exponents, and every rung."""
    spec, base, about = growth.spec, growth.spec.base, growth.circumstances
    lines = [
        f"{about['date']}, {about['machine']}, torch {about['torch']}, {spec.device}, {spec.method}, float32. Base: "
        f"N = {base.nodes}, B = {base.batch}, tau spread {base.tau_spread:g}, gap {base.gap:g}; one axis at a time.",
        "",
        "| axis | fitted over | time grows as | processor time | evaluations |",
        "|---|---|---|---|---|",
        *(_fit_line(growth, axis) for axis in AXES),
        "",
        _table_line(COLUMNS),
        _table_line(["---"] * len(COLUMNS)),
        *(_point_line(point) for point in growth.points),
        "",
        "Time: median of the runs of a settle of the whole batch. Processor: of all threads of this process, which",
        "other programs hardly change. Evaluations and steps: mean over the samples.",
        "Exponents: least squares on logarithms over the upper half of each ladder, with the slope's standard error.",
        "Certificate: the contraction gap, once per set of weights, not in the time.",
    ]
    return "\n".join(lines) + "\n"


def format_law(law: PowerLaw | None) -> str:
    """A law's exponent with its standard error, "1.03 ± 0.05"."""
    if law is None:
        return "not fitted: fewer than two points"
    error = "" if law.standard_error != law.standard_error else f" ± {law.standard_error:.2f}"
    return f"{law.exponent:.2f}{error}"


def format_point(point: GrowthPoint) -> str:
    """What to say when a rung is done."""
    return f"{point.axis} = {point.value:.4g}: " + (point.note or f"{_ms(point.time_s)} ms")


def _row(growth: Growth, point: GrowthPoint) -> dict[str, str | int | float]:
    work = asdict(growth.spec.base.at(point.axis, point.value))
    measured = {key: value for key, value in asdict(point).items() if key not in ("axis", "value", "note")}
    fixed = {"method": growth.spec.method, "device": growth.spec.device, "threads": growth.spec.threads}
    return {"axis": point.axis, "value": point.value, **work, **fixed, **measured, "note": point.note}


def _fit_line(growth: Growth, axis: str) -> str:
    law = growth.fit(axis, "time_s")
    fitted = "" if law is None else f"{law.first:.4g} to {law.last:.4g}"
    laws = [format_law(growth.fit(axis, quantity)) for quantity in FITTED]
    return _table_line([NAMES[axis], fitted, *(f"{axis}^({text})" for text in laws)])


def _point_line(point: GrowthPoint) -> str:
    if not point.runs:
        cells = [point.note]
    else:
        cells = [_ms(point.time_s), _ms(point.time_min_s), _ms(point.cpu_s), str(point.runs)]
        cells += [f"{point.evaluations:.0f}", f"{point.steps:.0f}", f"{point.settled:.0%}", _ms(point.certificate_s)]
    cells = [point.axis, f"{point.value:.4g}", *cells]
    return _table_line(cells + [""] * (len(COLUMNS) - len(cells)))


def _table_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ms(seconds: float) -> str:
    """Milliseconds with three digits, and without an exponent."""
    ms = 1e3 * seconds
    return f"{ms:.0f}" if ms >= 1000 else f"{ms:.3g}"
