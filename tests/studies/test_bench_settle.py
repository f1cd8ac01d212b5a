"""The benchmark: the same work for everyone, an error against an independent root, and words for who is missing."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from analogdeq.solve.settle import settle
from analogdeq.studies import bench_settle as bench_settle_module
from analogdeq.studies import peers
from analogdeq.studies.bench_joules import bench_joules
from analogdeq.studies.bench_settle import BenchSpec, bench_settle, exact_rest, random_core
from analogdeq.studies.bench_table import format_bench

TINY = BenchSpec(nodes=16, batch=4, repeat=1, threads=1, conv=None)
HEAVY = ("diffrax", "torchode")
"""Peers that compile for seconds, or that leave threads behind."""


@pytest.fixture
def without_heavy_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = peers.find_spec
    monkeypatch.setattr(peers, "find_spec", lambda name: None if name in HEAVY else find_spec(name))


@pytest.mark.usefixtures("without_heavy_peers")
def test_a_tiny_benchmark_gives_finite_rows_of_accurate_solvers() -> None:
    result = bench_settle(TINY)
    assert [row["solver"] for row in result["rows"]] == [
        "analogdeq auto, compiled",
        "analogdeq tsit5, torch",
        "analogdeq bosh3, torch",
        "torchdiffeq dopri5",
    ]
    for row in result["rows"]:
        assert all(math.isfinite(value) and value > 0 for value in row.values() if not isinstance(value, str)), row
        assert row["ms_min"] <= row["ms"]
        assert row["worst_error"] < 2e-3
    assert result["spec"]["nodes"] == 16
    assert result["one_evaluation_s"] == result["rows"][0]["evaluation_s"]
    assert result["one_product_s"] == result["rows"][0]["product_s"]
    for row in result["rows"]:
        assert 1e-3 * row["ms"] == pytest.approx(row["over_floor"] * row["evaluations"] * row["evaluation_s"])
        assert 1e-3 * row["ms"] == pytest.approx(row["over_products"] * row["evaluations"] * row["product_s"])
        assert ("buffers" in row) == row["solver"].startswith("analogdeq")
    assert result["skipped"] == [
        "torchode tsit5: not installed, skipped", "diffrax tsit5, fixed horizon: not installed, skipped"
    ]  # fmt: skip


def test_peers_that_are_not_installed_are_skipped_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    result = bench_settle(TINY)
    assert len(result["rows"]) == 3
    table = format_bench(result)
    for name in ("torchdiffeq dopri5", "torchode tsit5", "diffrax tsit5, fixed horizon"):
        assert f"{name}: not installed, skipped" in table


@pytest.mark.usefixtures("without_heavy_peers")
def test_the_table_has_a_line_per_solver_and_says_what_was_done() -> None:
    result = bench_settle(TINY)
    lines = format_bench(result).splitlines()
    assert "N = 16, B = 4, spectral radius 0.9" in lines[0]
    for row in result["rows"]:
        (line,) = [line for line in lines if line.startswith(row["solver"])]
        assert f"{row['over_floor']:.2f}" in line
    assert "z* from a float64 root finder" in " ".join(lines)
    (line,) = [line for line in lines if line.startswith("chip")]
    assert f"{result['joules'][1]['over_bare']:.2f}" in line
    assert max(map(len, lines)) <= 150


def test_a_chip_with_its_joules_settles_when_its_weights_alone_do() -> None:
    alone, chip = bench_joules(*random_core(BenchSpec(nodes=16, batch=4)), repeat=1)
    assert (alone["terms"], chip["terms"]) == (0, 4)
    assert 0 < chip["difference"] < 1e-3
    assert alone["evaluations"] > 0
    assert chip["over_bare"] == pytest.approx(chip["ms"] / alone["ms"], rel=1e-9)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("without_heavy_peers")
def test_the_number_of_threads_is_given_back(threads: int) -> None:
    before = torch.get_num_threads()
    bench_settle(BenchSpec(nodes=4, batch=2, repeat=1, threads=threads, conv=None))
    assert torch.get_num_threads() == before


def test_the_same_seed_makes_the_same_core() -> None:
    (one, u), (two, v) = random_core(TINY), random_core(TINY)
    assert torch.equal(one.W, two.W)
    assert torch.equal(u, v)
    assert not torch.equal(one.W, random_core(BenchSpec(nodes=16, batch=4, seed=1))[0].W)


@pytest.mark.parametrize("radius", [0.0, 0.5, 0.9])
def test_the_core_has_the_spectral_radius_and_spread_asked_for(radius: float) -> None:
    core, u = random_core(BenchSpec(nodes=120, batch=3, radius=radius, spread=0.5))
    assert np.abs(np.linalg.eigvals(core.W.double().numpy())).max() == pytest.approx(radius, rel=1e-4, abs=1e-6)
    assert u.shape == (3, 120)
    assert core.rate is not None
    assert core.rate.log().std() == pytest.approx(0.5, rel=0.25)
    assert core.rate.min() == 1


@pytest.mark.parametrize("nodes", [2, 64])
def test_the_exact_rest_is_a_root_to_twelve_digits(nodes: int) -> None:
    core, u = random_core(BenchSpec(nodes=nodes, batch=8))
    rest = exact_rest(core, u)
    W, U, b = (p.double().numpy() for p in (core.W, core.U, core.b))
    assert rest.dtype == np.float64
    assert np.abs(np.tanh(rest @ W.T + u.double().numpy() @ U.T + b) - rest).max() < 1e-12


def test_the_exact_rest_of_one_node_is_the_published_number() -> None:
    one = torch.ones(1, 1, dtype=torch.float64)
    core = RCCore(0.55 * one, one, 0.25 * one[0])
    assert exact_rest(core, 0 * one)[0, 0] == pytest.approx(0.4678543687858431, rel=1e-12)


@pytest.mark.parametrize("peer", [p for p in peers.PEERS if p.package not in HEAVY], ids=lambda p: p.name)
def test_a_peer_integrates_the_same_equation(peer: peers.Peer) -> None:
    core, u = random_core(TINY)
    run = peer.prepare(core, u, 60.0, 1e-6)
    assert run.evaluations > 10
    np.testing.assert_allclose(run.solve(), settle(core, u).z.numpy(), atol=1e-3)


@pytest.mark.usefixtures("without_heavy_peers")
def test_a_peer_that_cannot_run_on_the_device_is_skipped_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tuple(replace(peer, devices=("cuda",)) for peer in peers.PEERS if peer.package == "torchdiffeq")
    monkeypatch.setattr(bench_settle_module, "PEERS", elsewhere)
    result = bench_settle(TINY)
    assert len(result["rows"]) == 3
    assert result["skipped"] == ["torchdiffeq dopri5: not set up for cpu, skipped"]


def test_only_the_first_samples_are_checked_against_the_root_finder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    monkeypatch.setattr(bench_settle_module, "CHECKED", 1)
    asked: list[int] = []

    def counted(core: RCCore, u: torch.Tensor) -> np.ndarray:
        asked.append(len(u))
        return exact_rest(core, u)

    monkeypatch.setattr(bench_settle_module, "exact_rest", counted)
    assert bench_settle(TINY)["rows"][0]["worst_error"] < 1e-3
    assert asked == [1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"'cuda': torch .* finds no CUDA device here; use --device cpu"):
        bench_settle(replace(TINY, device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: the CUDA path is not run")
def test_the_benchmark_runs_on_cuda() -> None:
    result = bench_settle(BenchSpec(nodes=64, batch=256, repeat=1, device="cuda", conv=(2, 4, 4)))
    assert all(row["worst_error"] < 2e-3 for row in result["rows"])
    assert "cuda" in format_bench(result)
