"""How the cost of a settle grows: with nodes, samples, the spread of time constants, and as the gap closes."""

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, final

import numpy as np
import torch
from scipy.stats import linregress

from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.studies.growth_work import AXES, GrowthWork, growth_core
from analogdeq.studies.timing import circumstances, device_named, seconds_of, threads, wall_and_cpu

FITTED = ("time_s", "cpu_s", "evaluations")
"""What a power law is fitted to."""


@final
@dataclass(frozen=True, kw_only=True)
class GrowthSpec:
    """Which ladders to climb, and how far.

    Attributes:
        base: the work of everything but the axis that is climbed.
        max_nodes: top of the ladder of N, which begins at 64.
        max_batch: top of the ladder of B, which begins at 1.
        max_spread: top of the ladder of the tau spread, which begins at 1.
        min_gap: end of the ladder of the gap, which begins at 0.5.
        points: rungs of each ladder, geometric.
        repeat: timed runs of each point; the median counts.
        seconds_per_point: a point that is expected to take longer is skipped.
        method: of `settle`.
        device: "cpu" or "cuda".
        threads: of the processor.
        seed: of the networks and the states.
    """

    base: GrowthWork = field(default_factory=GrowthWork)
    max_nodes: int = 4096
    max_batch: int = 4096
    max_spread: float = 1e4
    min_gap: float = 0.01
    points: int = 7
    repeat: int = 3
    seconds_per_point: float = 6.0
    method: str = "auto"
    device: str = "cpu"
    threads: int = 2
    seed: int = 0

    def ladder(self, axis: str) -> list[float]:
        """From cheap to dear."""
        first, last = {
            "nodes": (min(64, self.max_nodes), self.max_nodes),
            "batch": (1, self.max_batch),
            "tau_spread": (1, self.max_spread),
            "gap": (max(0.5, self.min_gap), self.min_gap),
        }[axis]
        values = np.geomspace(first, last, self.points)
        return list(dict.fromkeys(np.round(values).tolist() if axis in ("nodes", "batch") else values.tolist()))


@final
@dataclass(frozen=True, kw_only=True)
class GrowthPoint:
    """One rung; numbers are NaN where it was skipped.

    Attributes:
        axis: which ladder.
        value: how high.
        time_s: [s] median of the runs.
        time_min_s: [s] least.
        cpu_s: [s] of the processor, all threads of this process, median; what others do on the machine hardly counts.
        runs: how many were timed.
        evaluations: of the derivative, mean over the samples.
        steps: accepted, mean over the samples.
        settled: share of the samples that settled.
        certificate_s: [s] of the contraction gap, computed once per set of weights and not in `time_s`.
        note: why it was skipped.
    """

    axis: str
    value: float
    time_s: float = math.nan
    time_min_s: float = math.nan
    cpu_s: float = math.nan
    runs: int = 0
    evaluations: float = math.nan
    steps: float = math.nan
    settled: float = math.nan
    certificate_s: float = math.nan
    note: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """quantity = factor value^exponent, by least squares on the logarithms.

    Attributes:
        exponent: slope.
        standard_error: of the slope, from the scatter about the line; NaN for fewer than three points.
        factor: the quantity where the value is 1.
        first: least value that was fitted, on the axis' own order.
        last: the other end.
    """

    exponent: float
    standard_error: float
    factor: float
    first: float
    last: float


@final
@dataclass(frozen=True, kw_only=True)
class Growth:
    """What was measured.

    Attributes:
        spec: what was asked for.
        points: all rungs of all ladders, the skipped ones too.
        circumstances: date, machine, torch.
    """

    spec: GrowthSpec
    points: tuple[GrowthPoint, ...]
    circumstances: dict[str, str]

    def of(self, axis: str) -> list[GrowthPoint]:
        """The rungs of one ladder that were measured."""
        return [point for point in self.points if point.axis == axis and point.runs]

    def fit(self, axis: str, quantity: str) -> PowerLaw | None:
        """The power law of a `GrowthPoint`'s number over the upper half of a ladder; None for fewer than two rungs."""
        measured = self.of(axis)
        upper = measured[len(measured) // 2 :] if len(measured) > 4 else measured[-3:]
        return fit_power_law([p.value for p in upper], [getattr(p, quantity) for p in upper])

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no NaN: None instead."""
        fits = {axis: {q: self.fit(axis, q) for q in FITTED} for axis in AXES}
        return {
            "spec": asdict(self.spec),
            **self.circumstances,
            "points": [_without_nan(asdict(point)) for point in self.points],
            "fits": {
                axis: {quantity: law and _without_nan(asdict(law)) for quantity, law in both.items()}
                for axis, both in fits.items()
            },
        }


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(x, float) and math.isnan(x) else x for key, x in values.items()}


def fit_power_law(values: list[float], quantities: list[float]) -> PowerLaw | None:
    """Least squares of ln quantity on ln value; None for fewer than two different values."""
    if len(set(values)) < 2:
        return None
    line = linregress(np.log(values), np.log(quantities))
    error = float(line.stderr) if len(values) > 2 else math.nan
    return PowerLaw(
        exponent=float(line.slope),
        standard_error=error,
        factor=math.exp(line.intercept),
        first=values[0],
        last=values[-1],
    )


def bench_growth(spec: GrowthSpec, on_point: Callable[[GrowthPoint], None] = lambda _point: None) -> Growth:
    """Climb all four ladders; `on_point` hears of every rung as it is done."""
    device = device_named(spec.device)
    points = []
    with threads(spec.threads):
        about = circumstances(device)
        _compile(spec, device)
        for axis in AXES:
            for point in _climb(axis, spec, device):
                on_point(point)
                points.append(point)
    return Growth(spec=spec, points=tuple(points), circumstances=about)


def _compile(spec: GrowthSpec, device: torch.device) -> None:
    """Settle a few nodes, so that no rung's time holds what is compiled at the first settle on a machine."""
    core, u, z0 = growth_core(GrowthWork(nodes=8, batch=2, gap=0.5), spec.seed, device)
    settle(core, u, z0=z0, method=spec.method)


def _climb(axis: str, spec: GrowthSpec, device: torch.device) -> Iterator[GrowthPoint]:
    """The rungs of one ladder, until one is expected to take too long."""
    measured: list[GrowthPoint] = []
    for value in spec.ladder(axis):
        expected_s = expected_seconds(measured, value)
        if expected_s > spec.seconds_per_point:
            note = f"skipped: about {expected_s:.2g} s expected, more than {spec.seconds_per_point:g} s"
            yield GrowthPoint(axis=axis, value=value, note=note)
            continue
        measured.append(_measure(axis, value, spec, device))
        yield measured[-1]


def expected_seconds(measured: list[GrowthPoint], value: float) -> float:
    """What a rung will take, from the last two below it; 0 where there are none."""
    if not measured:
        return 0.0
    last = measured[-1]
    law = fit_power_law([p.value for p in measured[-2:]], [_whole_s(p) for p in measured[-2:]])
    # A ladder begins flat, where overhead rules, and gets steeper: at least in proportion.
    exponent = max(1.0, abs(law.exponent) if law else 1.0)
    return _whole_s(last) * max(value / last.value, last.value / value) ** exponent


def _whole_s(point: GrowthPoint) -> float:
    return point.time_s + point.certificate_s


def _measure(axis: str, value: float, spec: GrowthSpec, device: torch.device) -> GrowthPoint:
    work = spec.base.at(axis, value)
    core, u, z0 = growth_core(work, spec.seed, device)
    certificate_s = seconds_of(core.contraction_gap, device)
    budget_tau = 100 / work.gap

    results: list[Settled] = []

    def run() -> None:
        results[:] = [settle(core, u, z0=z0, method=spec.method, max_time_tau=budget_tau, max_steps=10**8)]

    first = wall_and_cpu(run, device)
    runs = min(spec.repeat, int(spec.seconds_per_point / first[0]))
    # What takes as long as all runs may is not repeated, and then its first run has to do.
    seconds, cpu = zip(*([wall_and_cpu(run, device) for _ in range(runs)] or [first]), strict=True)
    (out,) = results
    return GrowthPoint(
        axis=axis,
        value=value,
        time_s=statistics.median(seconds),
        time_min_s=min(seconds),
        cpu_s=statistics.median(cpu),
        runs=len(seconds),
        evaluations=float(out.evaluations.double().mean()),
        steps=float(out.steps.double().mean()),
        settled=float(out.is_settled.double().mean()),
        certificate_s=certificate_s,
    )
