"""What one training step costs in several ways, at equal error of the gradient, in one run."""

import platform
import statistics
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, final

import torch
from torch import nn

from analogdeq.cores.rc import RCCore
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import ByRootFinding
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.studies.bench_settle import BenchSpec, random_core
from analogdeq.studies.train_step import PLAIN, WAYS, Job, Way

GOALS = {"ours, root finder": 1.5, "ours, settled as an ODE": 6.0}
"""Times the plain fixed point, at most."""


@final
@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """One training step: equilibrium of a tanh core, a quadratic loss, and the gradients of W, U and b; float32.

    Attributes:
        nodes: N; as many inputs.
        batch: B.
        radius: spectral radius of the random W.
        max_error: relative error of the whole gradient that each way must reach.
        repeat: rounds; each times every way once, so that a busy machine is unfair to none.
        threads: of the processor.
        seed: of core, inputs and targets.
    """

    nodes: int = 256
    batch: int = 128
    radius: float = 0.9
    max_error: float = 1e-4
    repeat: int = 7
    threads: int = 2
    seed: int = 0


def bench_train(spec: TrainSpec) -> dict[str, Any]:
    """Time every way that is installed; see `format_train` for what the columns mean."""
    before = torch.get_num_threads()
    torch.set_num_threads(spec.threads)
    try:
        job = _job(spec)
        exact = _exact_gradient(job)
        chosen = [_choose(way, job, exact, spec.max_error) for way in WAYS if way.is_installed()]
        seconds: dict[str, list[float]] = {choice["way"].name: [] for choice in chosen}
        for _ in range(spec.repeat):
            for choice in chosen:
                seconds[choice["way"].name].append(_time(choice["way"], job, choice["tol"]))
    finally:
        torch.set_num_threads(before)
    return {
        "spec": asdict(spec),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {spec.threads} threads",
        "torch": metadata.version("torch"),
        "rows": [_row(choice, seconds) for choice in chosen],
        "not_installed": [way.name for way in WAYS if not way.is_installed()],
    }


def format_train(result: dict[str, Any]) -> str:
    """The result as a table with its assumptions beneath."""
    spec = result["spec"]
    lines = [
        f"one training step, N = {spec['nodes']}, B = {spec['batch']}, tanh, spectral radius {spec['radius']}, "
        f"float32, {result['machine']}, torch {result['torch']}, {result['date']}",
        "",
        f"{'way':32s} {'ms':>9s} {'min':>9s} {'x plain':>8s} {'goal':>6s} {'gradient error':>15s} {'tolerance':>10s}",
    ]
    for row in result["rows"]:
        goal = GOALS.get(row["way"])
        lines.append(
            f"{row['way']:32s} {row['ms']:9.2f} {row['ms_min']:9.2f} {row['over_plain']:8.2f} "
            f"{f'{goal:g}' if goal else '':>6s} {row['gradient_error']:15.1e} {row['tolerance']:10.1e}"
            + ("" if row["is_exact_enough"] else "  misses the error asked for")
        )
    lines += ["", *(f"{name}: not installed, skipped" for name in result["not_installed"])]
    lines += [
        f"gradient error: relative, of W, U and b together, against LU in float64; at most {spec['max_error']:g},",
        "each way with the loosest tolerance of its own that reaches it. ms: median of rounds that time every way in",
        "turn; x plain: median over the rounds of the ratio to the plain fixed point in the same round.",
        "Plain: Picard and Neumann with one stopping rule for the batch, no check of samples, no verdicts.",
        "Settled: the transient is integrated, and settling times and verdicts are found; torchdiffeq integrates to a",
        "fixed time.",
        "No digital readout or encoder, no optimiser step, no data loading.",
    ]
    return "\n".join(lines)


def _job(spec: TrainSpec) -> Job:
    core, u = random_core(BenchSpec(nodes=spec.nodes, batch=spec.batch, radius=spec.radius, spread=0.0, seed=spec.seed))
    trained = RCCore(*(nn.Parameter(p.detach().clone()) for p in core.trainable()))
    generator = torch.Generator().manual_seed(spec.seed + 1)
    return Job(trained, u, torch.randn(spec.batch, spec.nodes, generator=generator))


def _exact_gradient(job: Job) -> torch.Tensor:
    """By LU at a rest found to rounding, in float64."""
    core = RCCore(*(nn.Parameter(p.detach().double()) for p in job.core.trainable()))
    exact = Job(core, job.u.double(), job.target.double())
    gradient = ImplicitGradient(solver="dense", tol=1e-10)
    exact.loss(equilibrium(core, exact.u, forward=ByRootFinding(tol=1e-13), gradient=gradient)).backward()
    return exact.gradient()


def _choose(way: Way, job: Job, exact: torch.Tensor, max_error: float) -> dict[str, Any]:
    """The loosest tolerance whose gradient is exact enough, and the error it makes."""
    for tol in way.tolerances:
        _time(way, job, tol)
        error = float((job.gradient() - exact).norm() / exact.norm())
        if error <= max_error:
            break
    return {"way": way, "tol": tol, "error": error, "is_exact_enough": error <= max_error}


def _time(way: Way, job: Job, tol: float) -> float:
    """Seconds of one step; the gradients are left in the job."""
    job.clear()
    start = time.perf_counter()
    way.step(job, tol)
    return time.perf_counter() - start


def _row(choice: dict[str, Any], seconds: dict[str, list[float]]) -> dict[str, Any]:
    name = choice["way"].name
    own, plain = seconds[name], seconds[PLAIN]
    return {
        "way": name,
        "ms": 1e3 * statistics.median(own),
        "ms_min": 1e3 * min(own),
        "over_plain": statistics.median(a / b for a, b in zip(own, plain, strict=True)),
        "gradient_error": choice["error"],
        "tolerance": choice["tol"],
        "is_exact_enough": choice["is_exact_enough"],
    }
