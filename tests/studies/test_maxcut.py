"""Cuts by oscillators against every cut there is, against annealed spins, and against what was published."""

import itertools
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from analogdeq.cli.app import app
from analogdeq.errors import InputError
from analogdeq.oscillator_presets import oscillator_kind, published_range
from analogdeq.studies.bench_maxcut import MaxCutSpec, bench_maxcut, largest_cut
from analogdeq.studies.maxcut import Anneal, format_maxcut, maxcut_summary, solve_maxcut
from analogdeq.studies.maxcut_graphs import Graph, kings_graph, random_graph, toroidal_graph
from analogdeq.studies.maxcut_known import frustration

RING = oscillator_kind("ring-65nm")


def best_of_all(graph: Graph) -> float:
    """Every cut, one by one, in Python."""
    edges, weights = graph.edges.T.tolist(), graph.weights.tolist()
    cuts = []
    for rest in itertools.product((0, 1), repeat=graph.n - 1):
        side = (0, *rest)
        cuts.append(sum(w for (a, b), w in zip(edges, weights, strict=True) if side[a] != side[b]))
    return max(cuts)


def annealed_spins(graph: Graph, *, sweeps: int, hot: float, seed: int = 0) -> float:
    """Simulated annealing with single flips, in numpy: what a good heuristic finds."""
    rng = np.random.default_rng(seed)
    neighbours: list[list[tuple[int, float]]] = [[] for _ in range(graph.n)]
    for (a, b), w in zip(graph.edges.T.tolist(), graph.weights.tolist(), strict=True):
        neighbours[a].append((b, w))
        neighbours[b].append((a, w))
    tables = [(np.array([k for k, _ in near]), np.array([w for _, w in near])) for near in neighbours]
    spin = rng.choice([-1.0, 1.0], graph.n)
    for sweep in range(sweeps):
        temperature = hot * (1 - sweep / sweeps) + 1e-3
        for node in rng.permutation(graph.n):
            where, weight = tables[node]
            gain = 2 * spin[node] * (weight @ spin[where])
            if gain >= 0 or rng.random() < np.exp(gain / temperature):
                spin[node] = -spin[node]
    a, b = graph.edges.numpy()
    return float((graph.weights.numpy() * (spin[a] != spin[b])).sum())


def test_trying_every_cut_is_trying_every_cut() -> None:
    for seed in range(3):
        graph = random_graph(9, 0.5, seed=seed, signs=bool(seed))
        assert largest_cut(graph) == best_of_all(graph)
    with pytest.raises(InputError, match="20 is the most"):
        largest_cut(random_graph(21, 0.5, seed=0))


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("n", [8, 14, 20])
def test_small_graphs_are_cut_as_well_as_can_be(n: int, signs: bool) -> None:
    rates = []
    for seed in range(1 if n == 20 else 3):
        graph = random_graph(n, 0.5, seed=seed, signs=signs)
        cuts = solve_maxcut(graph, RING, Anneal(seed=seed, trials=40))
        assert cuts.is_settled.all()
        best = largest_cut(graph)
        assert cuts.cut.max() == best
        assert cuts.cut.max() <= best
        rates.append(cuts.success_rate(best))
    # Of one trial; forty of them then all miss once in a hundred thousand.
    assert np.mean(rates) > 0.25


def test_without_couplings_of_the_right_sign_cuts_are_chance() -> None:
    """What the oscillators find is far above a random cut, half of the edges, of a graph far from bipartite."""
    graph = random_graph(60, 0.5, seed=1)
    cuts = solve_maxcut(graph, RING, Anneal(until_tau=60.0, trials=8))
    half = 0.5 * cuts.edge_weight
    random = graph.cut(1 - 2 * torch.randint(2, (200, 60)))
    assert cuts.cut.min() > half + 4 * float(random.std())


def test_a_bipartite_graph_is_cut_through_and_through() -> None:
    graph = toroidal_graph(6, 8, seed=0, signs=False)
    cuts = solve_maxcut(graph, RING, Anneal(trials=16))
    assert cuts.cut.max() == cuts.edge_weight == 96


def test_a_graph_like_g1_is_cut_as_deeply_as_g1() -> None:
    """G1 to G5: 800 nodes, 19,176 edges, best known 11,624, 11,620, 11,622: 60.6 % of the edges (Gset)."""
    graph = random_graph(800, 0.06, seed=1)
    assert graph.weights.numel() == pytest.approx(19_176, rel=0.02)
    cuts = solve_maxcut(graph, RING, Anneal(until_tau=200.0, trials=4))
    assert cuts.cut.max() > 0.985 * 11_624 / 19_176 * graph.weights.numel()


def test_a_signed_torus_like_g11_is_cut_as_well_as_annealed_spins_do() -> None:
    graph = toroidal_graph(20, 40, seed=1)
    assert graph.weights.numel() == 1600
    cuts = solve_maxcut(graph, RING, Anneal(until_tau=200.0, trials=8))
    assert cuts.cut.max() > 0.97 * annealed_spins(graph, sweeps=100, hot=2.0)
    # The ground state of the +-J magnet has -1.40 per spin: in cuts, three percent of the edges' weight is 0.04 of it.
    assert -1.42 < frustration(float(cuts.cut.max()), float(graph.weights.sum()), 800) < -1.30


def test_the_published_ring_array_settles_within_its_cycles_and_joules() -> None:
    """1,968 rings on a King's graph: fewer than 50 cycles, and 0.042 W for that long."""
    graph, published = kings_graph(41, 48, seed=0), published_range("ring-65nm")
    cuts = solve_maxcut(graph, RING, Anneal(until_tau=20.0, trials=3))
    assert graph.n == 1968
    assert cuts.is_settled.all()
    assert published.cycles[0] < cuts.cycles.mean() < published.cycles[1]
    assert published.energy_J[0] < cuts.energy_J.mean() < published.energy_J[1]
    assert cuts.cut.mean() > 0.85 * annealed_spins(graph, sweeps=20, hot=3.0)


@pytest.mark.parametrize("name", ["lc-cmos", "vo2-relaxation", "spin-torque"])
def test_other_kinds_settle_within_the_cycles_and_joules_of_their_class(name: str) -> None:
    """A cut of four oscillators, as on the board of Chou et al. (2019); ranges are per oscillator."""
    kind, published = oscillator_kind(name), published_range(name)
    graph = Graph(4, torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]]), torch.ones(5))
    cuts = solve_maxcut(graph, kind, Anneal(until_tau=8.0, shil=0.5, trials=100))
    assert cuts.success_rate(largest_cut(graph)) > 0.8
    assert published.cycles[0] < np.nanmedian(cuts.cycles) < published.cycles[1]
    assert published.energy_J[0] < np.nanmedian(cuts.energy_J) / 4 < published.energy_J[1]


def test_edges_are_counted_once_and_cuts_by_hand() -> None:
    triangle = Graph(3, torch.tensor([[0, 1, 2], [1, 2, 0]]), torch.tensor([1.0, 2.0, 4.0]))
    assert triangle.cut(torch.tensor([[1, 1, -1], [1, -1, -1], [1, 1, 1]])).tolist() == [6.0, 5.0, 0.0]
    matrix = triangle.adjacency()
    torch.testing.assert_close(matrix, torch.tensor([[0.0, 1, 4], [1, 0, 2], [4, 2, 0]]))
    big = toroidal_graph(20, 20, seed=0)
    assert big.adjacency().is_sparse
    assert torch.equal(big.adjacency().to_dense().abs().sum(1), torch.full((400,), 4.0))
    assert kings_graph(3, 4, seed=0).weights.numel() == 9 + 8 + 6 + 6


def test_time_and_joules_of_a_solution_are_those_of_a_trial_over_the_success_rate() -> None:
    graph = random_graph(10, 0.5, seed=4)
    cuts = solve_maxcut(graph, RING, Anneal(until_tau=30.0, trials=16))
    summary = maxcut_summary(graph, RING, cuts, largest_cut(graph))
    assert summary["time per solution s"] == pytest.approx(
        summary["time per trial s"] / summary["success rate"], rel=1e-6, abs=0
    )
    assert summary["energy per trial J"] == pytest.approx(
        10 * RING.power_W * summary["time per trial s"], rel=1e-6, abs=0
    )
    assert summary["cycles per trial"] == pytest.approx(RING.frequency_Hz * summary["time per trial s"])
    impossible = maxcut_summary(graph, RING, cuts, 1e9)
    assert impossible["success rate"] == 0
    assert impossible["time per solution s"] is None
    assert "time per solution     -" in format_maxcut(impossible)


def test_the_command_prints_the_figures_and_refuses_what_there_is_not() -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["bench", "maxcut", "--nodes", "10", "--trials", "4", "--anneal-tau", "20", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["nodes"] == 10
    with pytest.raises(InputError, match="unknown graph 'ring'"):
        bench_maxcut(MaxCutSpec(graph="ring", nodes=10))
    with pytest.raises(InputError, match="no edges"):
        bench_maxcut(MaxCutSpec(graph="random", nodes=3, density=0.0))
    with pytest.raises(InputError, match="make no toroidal grid"):
        bench_maxcut(MaxCutSpec(graph="toroidal", nodes=10))


@pytest.mark.parametrize("change", [{"shil": 0.0}, {"diffusion": -1.0}, {"trials": 0}])
def test_an_anneal_that_leads_nowhere_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        Anneal(**change)
