"""How fast a settle is, beside its peers and beside the work that cannot be avoided, all in one run."""

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, final

import numpy as np
import torch
from scipy.optimize import root
from torch import Tensor

from analogdeq.cores.rc import RCCore
from analogdeq.solve.settle import settle
from analogdeq.studies.peers import PEERS, PeerRun

RTOL = 1e-4
"""Of the peers, relative to |z|."""
NATIVE_RTOL = 1e-3
"""Of the native steppers, relative to the remaining motion: the default of `settle`."""
BAND = 1e-3


@final
@dataclass(frozen=True, kw_only=True)
class BenchSpec:
    """The work: tau dz/dt = -z + tanh(W z + U u + b), float32, every sample to within 1e-3 of rest.

    Attributes:
        nodes: N.
        batch: B.
        radius: spectral radius of the random W.
        spread: standard deviation of ln tau_i.
        repeat: timed runs of each solver, after one that is not timed.
        threads: of the processor.
        seed: of the core and the inputs.
    """

    nodes: int = 256
    batch: int = 128
    radius: float = 0.9
    spread: float = 0.3
    repeat: int = 5
    threads: int = 2
    seed: int = 0


def random_core(spec: BenchSpec) -> tuple[RCCore, Tensor]:
    """The core and its inputs (batch, node): the same for the same specification."""
    generator = torch.Generator().manual_seed(spec.seed)
    n = spec.nodes

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    W = normal(n, n)
    W *= spec.radius / torch.linalg.eigvals(W).abs().max()
    tau = torch.exp(spec.spread * normal(n)) * 1e-8
    core = RCCore(W.float(), (normal(n, n) / n**0.5).float(), (0.1 * normal(n)).float(), tau_s=tau)
    return core, normal(spec.batch, n).float()


def exact_rest(core: RCCore, u: Tensor) -> np.ndarray:
    """(batch, node) float64 equilibria by MINPACK's hybrid Powell method, independent of this package's solvers."""
    W, U, b = (p.detach().double().numpy() for p in (core.W, core.U, core.b))
    drive = u.double().numpy() @ U.T + b
    n = W.shape[0]

    def residual(z: np.ndarray, c: np.ndarray) -> np.ndarray:
        return z - np.tanh(W @ z + c)

    def jacobian(z: np.ndarray, c: np.ndarray) -> np.ndarray:
        return np.eye(n) - (1 - np.tanh(W @ z + c) ** 2)[:, None] * W

    start = settle(core, u).z.double().numpy()
    return np.stack(
        [root(residual, z, args=(c,), jac=jacobian, tol=1e-12).x for z, c in zip(start, drive, strict=True)]
    )


def bench_settle(spec: BenchSpec) -> dict[str, Any]:
    """Time every solver that is installed; see `format_bench` for what the columns mean."""
    before = torch.get_num_threads()
    torch.set_num_threads(spec.threads)
    try:
        core, u = random_core(spec)
        rest = exact_rest(core, u)
        floor_s = _one_evaluation_s(core, u)
        rows = [_native(core, u, rest, floor_s, spec, method) for method in ("tsit5", "bosh3")]
        horizon = max(row["interval_tau"] for row in rows)
        missing = []
        for peer in PEERS:
            if peer.is_installed():
                rows.append(_peer(peer.prepare(core, u, horizon, RTOL), peer.name, rest, floor_s, horizon, spec))
            else:
                missing.append(peer.name)
    finally:
        torch.set_num_threads(before)
    return {
        "spec": asdict(spec),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {spec.threads} threads",
        "torch": metadata.version("torch"),
        "one_evaluation_s": floor_s,
        "rows": rows,
        "not_installed": missing,
    }


def format_bench(result: dict[str, Any]) -> str:
    """The result as a table with its assumptions beneath."""
    spec = result["spec"]
    lines = [
        f"N = {spec['nodes']}, B = {spec['batch']}, spectral radius {spec['radius']}, tau spread {spec['spread']} "
        f"(log-normal), float32, {result['machine']}, torch {result['torch']}, {result['date']}",
        f"one evaluation of the derivative: {1e6 * result['one_evaluation_s']:.0f} us",
        "",
        f"{'solver':28s} {'ms':>9s} {'min':>9s} {'evaluations':>12s} {'x floor':>8s} {'worst error':>12s} {'tau':>7s}",
    ]
    lines += [
        f"{row['solver']:28s} {row['ms']:9.2f} {row['ms_min']:9.2f} {row['evaluations']:12.1f} "
        f"{row['over_floor']:8.2f} {row['worst_error']:12.1e} {row['interval_tau']:7.1f}"
        for row in result["rows"]
    ]
    lines += ["", *(f"{name}: not installed, skipped" for name in result["not_installed"])]
    lines += [
        "ms: median of the timed runs. x floor: time over (evaluations x one evaluation of the whole batch).",
        "worst error: max |z - z*| over nodes and samples, z* from a float64 root finder. Peers integrate to the tau",
        "shown, where the slowest native sample stopped; they report no settling time and no verdict.",
        f"tolerance: rtol {RTOL:g} relative to |z| for the peers; native steppers {NATIVE_RTOL:g} relative to the",
        "remaining motion (their default): a measure of |z - z*|, so the tighter once a sample nearly rests.",
    ]
    return "\n".join(lines)


def _native(core: RCCore, u: Tensor, rest: np.ndarray, floor_s: float, spec: BenchSpec, method: str) -> dict[str, Any]:
    median_s, least_s = _time(lambda: settle(core, u, method=method, rtol=NATIVE_RTOL, band=BAND), spec.repeat)
    out = settle(core, u, method=method, rtol=NATIVE_RTOL, band=BAND)
    evaluations = float(out.evaluations.double().mean())
    error = float(np.abs(out.z.double().numpy() - rest).max())
    interval = float(out.t_end_s.max()) / core.tau_s
    return _row(f"analogdeq {method}", median_s, least_s, evaluations, floor_s, error, interval)


def _peer(run: PeerRun, name: str, rest: np.ndarray, floor_s: float, horizon: float, spec: BenchSpec) -> dict[str, Any]:
    median_s, least_s = _time(lambda: run.solve(), spec.repeat)
    z = run.solve()
    return _row(name, median_s, least_s, run.evaluations, floor_s, float(np.abs(z - rest).max()), horizon)


def _row(
    name: str, median_s: float, least_s: float, evaluations: float, floor_s: float, error: float, interval: float
) -> dict[str, Any]:
    return {
        "solver": name,
        "ms": 1e3 * median_s,
        "ms_min": 1e3 * least_s,
        "evaluations": evaluations,
        "over_floor": median_s / (evaluations * floor_s),
        "worst_error": error,
        "interval_tau": interval,
    }


def _one_evaluation_s(core: RCCore, u: Tensor) -> float:
    """Seconds of one evaluation of the derivative for the whole batch, into buffers that exist already."""
    drive = core.drive(u)
    z = torch.zeros_like(drive.current)
    dz, power, work = torch.empty_like(z), z.new_empty(z.shape[0], 0), z.new_empty(0)
    return _time(lambda: core.evaluate(z, drive, dz, power, work), 200)[0]


def _time(work: Callable[[], Any], repeat: int) -> tuple[float, float]:
    """Median and least seconds of `repeat` runs after one untimed."""
    work()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), min(seconds)
