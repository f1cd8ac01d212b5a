"""What settling many oscillators to lock costs over its evaluations and products, dense and sparse, in CPU time."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import Tensor

from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.errors import InputError
from analogdeq.solve.settle import settle
from analogdeq.studies.timing import circumstances, threads

INPUTS = 16
FLOOR_RUNS = 10
"""Evaluations and products that are timed together, between two settles."""


@final
@dataclass(frozen=True, kw_only=True)
class OscillatorBenchSpec:
    """The work: phases of float32, held by a reference, from their release to lock.

    Attributes:
        nodes: N.
        batch: B.
        neighbours: how many oscillators each one feels in the sparse network.
        coupling: root sum of squares of the couplings that each oscillator feels [rad per tau]; the 2-norm of a dense
            network is twice that, 0.9 as in the shipped scenario, and the reference 2.
        detuning: standard deviation of the detunings [rad per tau].
        repeat: timed settles of each network, after one that is not timed.
        seed: of the networks and the inputs.
    """

    nodes: int = 1024
    batch: int = 64
    neighbours: int = 8
    coupling: float = 0.45
    detuning: float = 0.1
    repeat: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse networks that cannot be made.

        Raises:
            InputError: naming the number.
        """
        for name in ("nodes", "batch", "neighbours", "repeat"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} = {getattr(self, name)} must be at least 1")
        if self.neighbours >= self.nodes:
            raise InputError(f"neighbours = {self.neighbours} must be fewer than the nodes, {self.nodes}")


def bench_oscillators(spec: OscillatorBenchSpec) -> dict[str, Any]:
    """Settle a dense and a sparse network on one thread; see `format_oscillator_bench` for what the columns mean."""
    with threads(1):
        about = circumstances(torch.device("cpu"))
        rows = [_row(name, *oscillator_network(spec, sparse=name == "sparse"), spec) for name in ("dense", "sparse")]
    return {"spec": asdict(spec), **about, "rows": rows}


def oscillator_network(spec: OscillatorBenchSpec, *, sparse: bool) -> tuple[PhaseCore, Tensor]:
    """The network and its inputs (batch, input): the same for the same specification."""
    generator = torch.Generator().manual_seed(spec.seed)
    n = spec.nodes

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    if sparse:
        offset = 1 + torch.arange(spec.neighbours) * max(1, (n - 1) // spec.neighbours)
        row = torch.arange(n).repeat_interleave(spec.neighbours)
        column = (row + offset.repeat(n)) % n
        values = spec.coupling / spec.neighbours**0.5 * normal(row.numel())
        W = torch.sparse_coo_tensor(torch.stack((row, column)), values, (n, n), check_invariants=False).coalesce()
    else:
        W = spec.coupling / n**0.5 * normal(n, n)
    U = normal(n, INPUTS) / INPUTS**0.5
    b = torch.tensor([2.0, 0.0]).repeat(n)
    return PhaseCore(W, U, b, detuning=spec.detuning * normal(n)), normal(spec.batch, INPUTS)


def _row(name: str, core: PhaseCore, u: Tensor, spec: OscillatorBenchSpec) -> dict[str, Any]:
    out = settle(core, u)
    evaluation, product = _floors(core, u)
    settles, evaluations_s, products_s = [], [], []
    for _ in range(spec.repeat):  # in turn, so that whatever slows the machine slows all three
        settles.append(_cpu_s(lambda: settle(core, u)))
        evaluations_s.append(_cpu_s(evaluation) / FLOOR_RUNS)
        products_s.append(_cpu_s(product) / FLOOR_RUNS)
    settle_s, evaluation_s, product_s = (statistics.median(x) for x in (settles, evaluations_s, products_s))
    count = float(out.evaluations.double().mean())
    return {
        "network": name,
        "couplings": core.W.numel(),
        "settled": int(out.is_settled.sum()),
        "evaluations": count,
        "lock_tau": float(out.t_settle_s.nanmedian()) / core.tau_s,
        "settle_cpu_s": settle_s,
        "evaluation_cpu_s": evaluation_s,
        "product_cpu_s": product_s,
        "over_evaluations": settle_s / (count * evaluation_s),
        "over_products": settle_s / (count * product_s),
    }


def _floors(core: PhaseCore, u: Tensor) -> tuple[Callable[[], None], Callable[[], None]]:
    """What cannot be avoided, for the whole batch: evaluations of the derivative, and the products in them."""
    drive = core.drive(u)
    z = torch.randn(u.shape[0], core.n_nodes, generator=torch.Generator().manual_seed(1))
    dz, power, work = torch.empty_like(z), z.new_empty(z.shape[0], 0), z.new_empty(core.work_buffers, *z.shape)
    both, image = torch.cat((z.cos(), z.sin())), torch.empty(2 * z.shape[0], core.n_nodes)
    W, edges = core.W.detach(), core.edges

    def evaluate() -> None:
        for _ in range(FLOOR_RUNS):
            core.evaluate(z, drive, dz, power, work)

    def multiply() -> None:
        for _ in range(FLOOR_RUNS):
            if edges is None:
                torch.mm(both, W.T, out=image)
            else:
                edges.product(W, both)

    return evaluate, multiply


def _cpu_s(work: Callable[[], object]) -> float:
    """Seconds of the processor, which others on the machine hardly lengthen."""
    with torch.inference_mode():
        before = time.process_time()
        work()
        return time.process_time() - before


def format_oscillator_bench(result: dict[str, Any]) -> str:
    """The result as a table with its assumptions beneath."""
    spec = result["spec"]
    lines = [
        f"{spec['nodes']} phase oscillators, batch {spec['batch']}, float32, {result['machine']}, torch "
        f"{result['torch']}, {result['date']}",
        "",
        f"{'couplings':>18s} {'settled':>8s} {'lock/tau':>9s} {'evaluations':>12s} {'CPU s':>8s} "
        f"{'x evaluation':>13s} {'x product':>10s}",
    ]
    for row in result["rows"]:
        lines.append(
            f"{row['network']:>8s} {row['couplings']:9d} {row['settled']:8d} {row['lock_tau']:9.1f} "
            f"{row['evaluations']:12.1f} {row['settle_cpu_s']:8.3f} {row['over_evaluations']:13.2f} "
            f"{row['over_products']:10.2f}"
        )
    dense, sparse = result["rows"]
    ratio = dense["settle_cpu_s"] / sparse["settle_cpu_s"]
    lines += [
        "",
        "CPU s: processor time of a settle to lock, one thread, median. x evaluation: over (mean evaluations per",
        "sample x one evaluation of the batch); x product: over as many products of the couplings with cosines and",
        "sines. Others on the machine lengthen it by what they take from the caches.",
        f"The sparse settle ({spec['neighbours']} neighbours each) took {ratio:.1f} times less than the dense one.",
    ]
    return "\n".join(lines)
