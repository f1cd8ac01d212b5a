"""The cost of locking: counted where it can be, and a table whose figures hang together."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from typer.testing import CliRunner

from analogdeq.cli.app import app
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.errors import InputError
from analogdeq.solve.settle import settle
from analogdeq.studies.bench_oscillators import (
    OscillatorBenchSpec,
    bench_oscillators,
    format_oscillator_bench,
    oscillator_network,
)

SMALL = OscillatorBenchSpec(nodes=384, batch=2, neighbours=4, repeat=1)


class Seen(TorchDispatchMode):
    """The largest tensor that goes into or comes out of any operation, and how many operations there were, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0
        self.count: dict[str, int] = {}

    @property
    def edge_sums(self) -> int:
        """Weighted sums over edges; inference mode shows them under another name."""
        return sum(n for name, n in self.count.items() if "embedding_bag" in name)

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, torch.Tensor)]
        self.largest = max([self.largest, *(t.numel() for t in tensors)])
        name = func.overloadpacket.__name__
        self.count[name] = self.count.get(name, 0) + 1
        return result


def watched(core: PhaseCore, u: torch.Tensor, method: str) -> Seen:
    with Seen() as seen:
        out = settle(core, u, method=method)
    assert bool(out.is_settled.all())
    return seen


@pytest.mark.parametrize("method", ["auto", "tsit5"])
def test_sparse_couplings_never_meet_a_matrix_of_all_pairs(method: str) -> None:
    """Not in a product, not as a Jacobian, not in a certificate: no tensor has N^2 numbers at any time."""
    seen = watched(*oscillator_network(SMALL, sparse=True), method)
    assert seen.largest < SMALL.nodes**2 / 4
    assert seen.edge_sums > 50
    dense = watched(*oscillator_network(SMALL, sparse=False), method)
    assert dense.largest >= SMALL.nodes**2  # the count can tell


def test_an_evaluation_sums_each_edge_once() -> None:
    """One weighted sum over the edges per evaluation, cosines and sines side by side, and no matrix product."""
    core, u = oscillator_network(SMALL, sparse=True)
    assert core.W.shape == (SMALL.nodes * SMALL.neighbours,)
    drive, z = core.drive(u), torch.zeros(2, SMALL.nodes)
    dz, work = torch.empty_like(z), torch.empty(core.work_buffers, 2, SMALL.nodes)
    with torch.no_grad(), Seen() as seen:
        core.evaluate(z, drive, dz, z.new_empty(2, 0), work)
    assert seen.edge_sums == 1
    assert not {"mm", "addmm", "bmm", "matmul", "mv"} & set(seen.count)
    assert seen.largest == work.numel()


def test_sparse_and_dense_networks_of_the_same_couplings_take_as_many_evaluations() -> None:
    core, u = oscillator_network(SMALL, sparse=True)
    assert core.edges is not None
    same = PhaseCore(core.edges.dense(core.W), core.U, core.b, detuning=core.detuning)
    one, other = settle(core, u), settle(same, u)
    # float32 sums in another order: a step more or less, and no more.
    torch.testing.assert_close(one.evaluations.double(), other.evaluations.double(), rtol=0.1, atol=0)
    torch.testing.assert_close(one.z, other.z, rtol=0, atol=1e-4)


def test_the_figures_hang_together() -> None:
    result = bench_oscillators(SMALL)
    assert [row["network"] for row in result["rows"]] == ["dense", "sparse"]
    for row in result["rows"]:
        assert row["settled"] == SMALL.batch
        assert row["over_products"] * row["product_cpu_s"] * row["evaluations"] == pytest.approx(row["settle_cpu_s"])
        assert row["over_evaluations"] * row["evaluation_cpu_s"] == pytest.approx(
            row["over_products"] * row["product_cpu_s"]
        )
    assert "times less than the dense one" in format_oscillator_bench(result)


def test_the_command_prints_one_json_object_and_refuses_what_cannot_be_made() -> None:
    runner = CliRunner()
    small = ["bench", "oscillators", "--nodes", "32", "--batch", "2", "--neighbours", "3", "--repeat", "1"]
    done = runner.invoke(app, [*small, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["spec"]["neighbours"] == 3
    with pytest.raises(InputError, match="fewer than the nodes"):
        OscillatorBenchSpec(nodes=8, neighbours=8)
    with pytest.raises(InputError, match="repeat"):
        OscillatorBenchSpec(repeat=0)
