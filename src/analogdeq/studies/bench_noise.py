"""How fast noisy ensembles are integrated, and with which bias, beside torchsde and the work that cannot be avoided."""

import math
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from typing import Any, final

import torch
from torch import Tensor

from analogdeq.cores.rc import RCCore
from analogdeq.noise.ensemble import NoiseOptions, rest_of, settle_with_noise
from analogdeq.noise.motion import Motion


@final
@dataclass(frozen=True, kw_only=True)
class NoiseBenchSpec:
    """The work: an ensemble of dz = (-z + tanh(W z + U u + b)) ds + sqrt(q) dW from z = 0, float32.

    Attributes:
        nodes: N.
        paths: of the ensemble.
        until_tau: time constants integrated.
        radius: spectral radius of the random W.
        spread: standard deviation of the noise on an isolated node, sqrt(q/2).
        step_tau: step of the peers and of the native "euler" row.
        native_step_tau: steps of the native exact-variance schemes.
        repeat: timed runs.
        threads: of the processor.
        seed: of everything.
        srk: whether to run torchsde's default, which takes the longest.
    """

    nodes: int = 64
    paths: int = 1024
    until_tau: float = 200.0
    radius: float = 0.5
    spread: float = 0.01
    step_tau: float = 0.1
    native_step_tau: float = 1.0
    repeat: int = 3
    threads: int = 2
    seed: int = 0
    srk: bool = True


def noise_core(spec: NoiseBenchSpec) -> tuple[RCCore, Tensor, Tensor]:
    """Core, input (input,) and intensity (node,), the same for the same specification."""
    generator = torch.Generator().manual_seed(spec.seed)
    n = spec.nodes
    W = torch.randn(n, n, generator=generator, dtype=torch.float64)
    W *= spec.radius / torch.linalg.eigvals(W).abs().max()
    U = torch.randn(n, 8, generator=generator) * 0.1
    core = RCCore(W.float(), U, torch.zeros(n))
    return core, torch.randn(8, generator=generator), torch.full((n,), 2 * spec.spread**2)


def bench_noise(spec: NoiseBenchSpec) -> dict[str, Any]:
    """Time the native schemes and torchsde where it is installed; see `format_noise_bench` for the columns."""
    before = torch.get_num_threads()
    torch.set_num_threads(spec.threads)
    try:
        core, u, q = noise_core(spec)
        exact = Motion(core, u.unsqueeze(0), q, rest_of(core, u.unsqueeze(0))).stationary_std().double().square()
        rows = [
            _native(core, u, q, exact, spec, "exponential", spec.native_step_tau),
            _native(core, u, q, exact, spec, "implicit-midpoint", spec.native_step_tau),
            _native(core, u, q, exact, spec, "exponential", spec.step_tau),
            _native(core, u, q, exact, spec, "euler", spec.step_tau),
        ]
        missing = []
        if find_spec("torchsde") is not None:
            methods = ("srk", "euler") if spec.srk else ("euler",)
            rows += [_torchsde(core, u, q, exact, spec, method) for method in methods]
        else:
            missing.append("torchsde")
        floor_s = _floor_s(spec)
    finally:
        torch.set_num_threads(before)
    return {
        "spec": asdict(spec),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {spec.threads} threads",
        "torch": metadata.version("torch"),
        "floor_s": floor_s,
        "rows": rows,
        "not_installed": missing,
    }


def format_noise_bench(result: dict[str, Any]) -> str:
    """The result as a table with its assumptions beneath."""
    spec, best = result["spec"], result["rows"][0]["s"]
    error = 100 * _sampling_error(NoiseBenchSpec(**spec))
    lines = [
        f"N = {spec['nodes']}, {spec['paths']} paths, {spec['until_tau']:g} tau, spectral radius {spec['radius']}, "
        f"float32, {result['machine']}, torch {result['torch']}, {result['date']}",
        f"floor, one matrix product and one draw of normals per step of {spec['step_tau']:g} tau: "
        f"{result['floor_s']:.3f} s",
        "",
        f"{'solver':36s} {'step':>6s} {'s':>9s} {'over first':>11s} {'variance':>10s}",
    ]
    lines += [
        f"{row['solver']:36s} {row['step_tau']:6.2g} {row['s']:9.3f} {row['s'] / best:11.1f} "
        f"{100 * (row['variance_ratio'] - 1):+9.2f}%"
        for row in result["rows"]
    ]
    lines += ["", *(f"{name}: not installed, skipped" for name in result["not_installed"])]
    lines += [
        "s: median of the timed runs, set-up included for the native rows. over first: how many times the first row's.",
        "variance: of the ensemble over the second half of the time, mean over the nodes, against Lyapunov's equation",
        f"for the linearised dynamics; its sampling error is about {error:.2f} %.",
    ]
    return "\n".join(lines)


def _native(
    core: RCCore, u: Tensor, q: Tensor, exact: Tensor, spec: NoiseBenchSpec, scheme: str, step_tau: float
) -> dict[str, Any]:
    options = NoiseOptions(
        scheme=scheme,
        step_tau=step_tau,
        until_tau=spec.until_tau,
        paths=spec.paths,
        seed=spec.seed,
        keep_every=max(1, round(1 / step_tau)),
    )
    seconds = _time(lambda: settle_with_noise(core, u, q, options), spec.repeat)
    out = settle_with_noise(core, u, q, options)
    late = out.times_tau > spec.until_tau / 2
    return _row(f"analogdeq {scheme}", step_tau, seconds, out.std[late].double().square().mean(0), exact)


def _torchsde(core: RCCore, u: Tensor, q: Tensor, exact: Tensor, spec: NoiseBenchSpec, method: str) -> dict[str, Any]:
    import torchsde

    current = core.drive(u.unsqueeze(0)).current
    W_T, amplitude = core.W.T, q.sqrt()

    class Peer(torch.nn.Module):
        """The same dynamics as a user of torchsde writes them."""

        noise_type, sde_type = "diagonal", "ito"

        def f(self, t: Tensor, z: Tensor) -> Tensor:
            """Drift."""
            return torch.tanh(torch.addmm(current, z, W_T)) - z

        def g(self, t: Tensor, z: Tensor) -> Tensor:
            """Diffusion."""
            return amplitude.expand_as(z)

    z0 = torch.zeros(spec.paths, spec.nodes)
    times = torch.cat((torch.zeros(1), torch.arange(spec.until_tau / 2 + 1, spec.until_tau + 0.5)))

    def solve() -> Tensor:
        torch.manual_seed(spec.seed)
        with torch.no_grad():
            z: Tensor = torchsde.sdeint(Peer(), z0, times, dt=spec.step_tau, method=method)
        return z

    start = time.perf_counter()
    z = solve()
    seconds = time.perf_counter() - start
    if method != "srk":  # one run of srk is long enough to be its own average
        seconds = _time(solve, spec.repeat)
    return _row(f"torchsde {method}", spec.step_tau, seconds, z[1:].double().var(1).mean(0), exact)


def _row(name: str, step_tau: float, seconds: float, variance: Tensor, exact: Tensor) -> dict[str, Any]:
    return {
        "solver": name,
        "step_tau": step_tau,
        "s": seconds,
        "variance_ratio": float((variance / exact).mean()),
    }


def _floor_s(spec: NoiseBenchSpec) -> float:
    z, W, out = (
        torch.zeros(*shape) for shape in ((spec.paths, spec.nodes), (spec.nodes,) * 2, (spec.paths, spec.nodes))
    )

    def step() -> None:
        torch.addmm(torch.randn(spec.paths, spec.nodes), z, W, out=out)

    return _time(step, 100) * round(spec.until_tau / spec.step_tau)


def _sampling_error(spec: NoiseBenchSpec) -> float:
    """Of the variance ratio: about one independent sample per path and two time constants, every node its own."""
    return math.sqrt(2 / (spec.paths * spec.until_tau / 4 * spec.nodes))


def _time(work: Callable[[], Any], repeat: int) -> float:
    """Median seconds of `repeat` runs after one untimed."""
    work()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
