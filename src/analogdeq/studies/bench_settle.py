"""How fast a settle is, beside its peers and beside the work that cannot be avoided, all in one run."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import torch
from scipy.optimize import root
from torch import Tensor

from analogdeq.cores.rc import RCCore
from analogdeq.solve.native import has_numba
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.studies.bench_conv import bench_conv
from analogdeq.studies.bench_joules import bench_joules
from analogdeq.studies.peers import PEERS, PeerRun
from analogdeq.studies.storage import peak_buffers
from analogdeq.studies.timing import circumstances, device_named, threads, timed

RTOL = 1e-4
"""Of the peers, relative to |z|."""
NATIVE_RTOL = 1e-3
"""Of the native steppers, relative to the remaining motion: the default of `settle`."""
BAND = 1e-3


CHECKED = 128
"""Samples whose exact equilibria are found: a float64 root of each takes longer than all of the rest."""


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
        device: "cpu" or "cuda".
        conv: channels, height and width of the convolutional core; None leaves it out.
    """

    nodes: int = 256
    batch: int = 128
    radius: float = 0.9
    spread: float = 0.3
    repeat: int = 5
    threads: int = 2
    seed: int = 0
    device: str = "cpu"
    conv: tuple[int, int, int] | None = (16, 8, 8)


def random_core(spec: BenchSpec) -> tuple[RCCore, Tensor]:
    """The core and its inputs (batch, node): the same for the same specification, on every device."""
    generator = torch.Generator().manual_seed(spec.seed)
    n = spec.nodes

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    W = normal(n, n)
    W *= spec.radius / torch.linalg.eigvals(W).abs().max()
    tau = torch.exp(spec.spread * normal(n)) * 1e-8
    device = torch.device(spec.device)
    U, b = (normal(n, n) / n**0.5).float().to(device), (0.1 * normal(n)).float().to(device)
    core = RCCore(W.float().to(device), U, b, tau_s=tau.to(device))
    return core, normal(spec.batch, n).float().to(device)


def exact_rest(core: RCCore, u: Tensor) -> np.ndarray:
    """(batch, node) float64 equilibria by MINPACK's hybrid Powell method, independent of this package's solvers."""
    W, U, b = (p.detach().double().cpu().numpy() for p in (core.W, core.U, core.b))
    drive = u.double().cpu().numpy() @ U.T + b
    n = W.shape[0]

    def residual(z: np.ndarray, c: np.ndarray) -> np.ndarray:
        return z - np.tanh(W @ z + c)

    def jacobian(z: np.ndarray, c: np.ndarray) -> np.ndarray:
        return np.eye(n) - (1 - np.tanh(W @ z + c) ** 2)[:, None] * W

    start = settle(core, u).z.double().cpu().numpy()
    return np.stack(
        [root(residual, z, args=(c,), jac=jacobian, tol=1e-12).x for z, c in zip(start, drive, strict=True)]
    )


def bench_settle(spec: BenchSpec) -> dict[str, Any]:
    """Time every solver that is installed; see `format_bench` for what the columns mean.

    Raises:
        InputError: if the device is not there.
    """
    device = device_named(spec.device)
    with threads(spec.threads):
        about = circumstances(device)
        core, u = random_core(spec)
        rest = exact_rest(core, u[:CHECKED])
        floors = _Floors(core, u)
        rows = [
            _native(core, u, rest, floors, spec, method, compiled)
            for method, compiled in (("auto", True), ("tsit5", False), ("bosh3", False))
            if not compiled or (has_numba() and device.type == "cpu")
        ]
        horizon = max(row["interval_tau"] for row in rows)
        missing = []
        for peer in PEERS:
            if not peer.is_installed():
                missing.append(f"{peer.name}: not installed, skipped")
            elif device.type not in peer.devices:
                missing.append(f"{peer.name}: not set up for {device.type}, skipped")
            else:
                run = peer.prepare(core, u, horizon, RTOL)
                rows.append(_peer(run, peer.name, rest, floors, horizon, spec))
        conv = [] if spec.conv is None else bench_conv(spec.conv, spec.batch, spec.seed, spec.repeat, device)
        joules = bench_joules(core, u, spec.repeat) if device.type == "cpu" else []
    return {
        "spec": asdict(spec),
        **about,
        "one_evaluation_s": rows[0]["evaluation_s"],
        "one_product_s": rows[0]["product_s"],
        "rows": rows,
        "joules": joules,
        "conv": conv,
        "skipped": missing,
    }


@final
class _Floors:
    """What cannot be avoided, for the whole batch, into buffers that exist already.

    It is timed anew after every solver: others who share the machine come and go within a run.

    Attributes:
        evaluation_s: [s]. One evaluation of the derivative, as timed last.
        product_s: [s]. The product W z in it.
    """

    def __init__(self, core: RCCore, u: Tensor) -> None:
        """Both, once."""
        self._core, self._drive = core, core.drive(u)
        self.take()

    def around(self, work: Callable[[], Any], repeat: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Median and least seconds of the work; and of an evaluation and a product, their means before and after."""
        before = self.evaluation_s, self.product_s
        times = timed(work, repeat, self._core.device)
        self.take()
        return times, ((before[0] + self.evaluation_s) / 2, (before[1] + self.product_s) / 2)

    def take(self) -> None:
        """Time both."""
        core, drive = self._core, self._drive
        z, W_t = torch.zeros_like(drive.current), core.W.detach().T
        dz, power, work = torch.empty_like(z), z.new_empty(z.shape[0], 0), z.new_empty(0)
        self.evaluation_s = timed(lambda: core.evaluate(z, drive, dz, power, work), 200, core.device)[0]
        self.product_s = timed(lambda: torch.mm(z, W_t, out=dz), 200, core.device)[0]


def _native(
    core: RCCore, u: Tensor, rest: np.ndarray, floors: _Floors, spec: BenchSpec, method: str, compiled: bool
) -> dict[str, Any]:
    def run() -> Settled:
        return settle(core, u, method=method, rtol=NATIVE_RTOL, band=BAND, compiled=compiled)

    times, beside = floors.around(run, spec.repeat)
    out = run()
    evaluations = float(out.evaluations.double().mean())
    error = _worst(out.z.double().cpu().numpy(), rest)
    interval = float(out.t_end_s.max()) / core.tau_s
    name = f"analogdeq {method}, {'compiled' if compiled else 'torch'}"
    row = _row(name, times, evaluations, beside, error, interval)
    return row | {"buffers": peak_buffers(core, u, method, compiled=compiled)[0]}


def _peer(
    run: PeerRun, name: str, rest: np.ndarray, floors: _Floors, horizon: float, spec: BenchSpec
) -> dict[str, Any]:
    times, beside = floors.around(run.solve, spec.repeat)
    return _row(name, times, run.evaluations, beside, _worst(run.solve(), rest), horizon)


def _worst(z: np.ndarray, rest: np.ndarray) -> float:
    return float(np.abs(z[: len(rest)] - rest).max())


def _row(
    name: str,
    times: tuple[float, float],
    evaluations: float,
    beside: tuple[float, float],
    error: float,
    interval: float,
) -> dict[str, Any]:
    (median_s, least_s), (evaluation_s, product_s) = times, beside
    return {
        "solver": name,
        "ms": 1e3 * median_s,
        "ms_min": 1e3 * least_s,
        "evaluations": evaluations,
        "evaluation_s": evaluation_s,
        "product_s": product_s,
        "over_floor": median_s / (evaluations * evaluation_s),
        "over_products": median_s / (evaluations * product_s),
        "worst_error": error,
        "interval_tau": interval,
    }
