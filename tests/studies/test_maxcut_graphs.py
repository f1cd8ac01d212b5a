"""Generated graphs are of the kind they say: planar by networkx, edges counted by Euler, cuts known by theorem."""

import json
import math

import networkx
import pytest
import torch
from typer.testing import CliRunner

from analogdeq.cli.app import app
from analogdeq.errors import InputError
from analogdeq.oscillator_presets import oscillator_kind
from analogdeq.studies.bench_maxcut import MaxCutSpec, bench_maxcut, largest_cut
from analogdeq.studies.maxcut import Anneal, solve_maxcut
from analogdeq.studies.maxcut_graphs import Graph, planar_graph, planar_union_graph, random_graph, toroidal_graph
from analogdeq.studies.maxcut_known import GSET, frustration

RING = oscillator_kind("ring-65nm")


def network(graph: Graph) -> networkx.Graph:
    found = networkx.Graph()
    found.add_nodes_from(range(graph.n))
    found.add_edges_from(graph.edges.T.tolist())
    return found


@pytest.mark.parametrize("n", [4, 5, 30, 800])
def test_a_full_planar_graph_is_planar_and_has_as_many_edges_as_one_can(n: int) -> None:
    graph = planar_graph(n, seed=n)
    assert graph.weights.numel() == 3 * n - 6
    found = network(graph)
    assert found.number_of_edges() == 3 * n - 6  # none twice, none from a node to itself
    assert networkx.check_planarity(found)[0]


def test_one_edge_more_and_the_graph_is_not_planar() -> None:
    """The oracle can say no: 3 n - 6 edges are all there can be."""
    found = network(planar_graph(40, seed=0))
    found.add_edge(*next(iter(networkx.non_edges(found))))
    assert not networkx.check_planarity(found)[0]


@pytest.mark.parametrize("density", [0.3, 0.99])
def test_a_thinned_planar_graph_has_that_share_of_edges(density: float) -> None:
    graph = planar_graph(200, density, seed=3)
    assert graph.weights.numel() == round(density * (3 * 200 - 6))
    assert networkx.check_planarity(network(graph))[0]


@pytest.mark.parametrize("n", [4, 7, 12, 17])
def test_the_maximum_cut_of_a_triangulation_is_two_n_minus_four(n: int) -> None:
    for seed in range(3):
        assert largest_cut(planar_graph(n, seed=seed)) == 2 * n - 4


def test_oscillators_cut_a_triangulation_of_eight_hundred_nodes_almost_as_deeply_as_can_be() -> None:
    graph = planar_graph(800, seed=1)
    cuts = solve_maxcut(graph, RING, Anneal(until_tau=150.0, trials=4))
    assert 0.985 * 1596 < cuts.cut.max() <= 1596


def test_two_planar_graphs_on_each_other_are_of_the_kind_of_g14() -> None:
    graph, g14 = planar_union_graph(800, seed=1), next(one for one in GSET if one.name == "G14")
    assert graph.n == g14.nodes
    assert graph.weights.numel() == pytest.approx(g14.edges, rel=0.02)
    found = network(graph)
    assert found.number_of_edges() == graph.weights.numel()
    assert not networkx.check_planarity(found)[0]
    halves = [network(planar_graph(800, 0.99, seed=seed)) for seed in (2, 3)]
    assert set(map(frozenset, networkx.compose(*halves).edges)) == set(map(frozenset, found.edges))
    cuts = solve_maxcut(graph, RING, Anneal(until_tau=150.0, trials=4))
    assert cuts.cut.max() > 0.985 * g14.share * graph.weights.numel()


def test_signs_are_even_and_from_the_seed() -> None:
    for make in (planar_graph, planar_union_graph):
        one, again, other = (make(300, 1.0, seed=seed, signs=True) for seed in (1, 1, 2))
        assert torch.equal(one.weights, again.weights)
        assert torch.equal(one.edges, again.edges)
        assert one.edges.shape != other.edges.shape or not torch.equal(one.edges, other.edges)
        assert set(one.weights.tolist()) == {-1.0, 1.0}
        assert abs(float(one.weights.mean())) < 5 / math.sqrt(one.weights.numel())


def test_a_random_graph_is_of_the_kind_of_g1_and_a_torus_of_g11() -> None:
    by_name = {one.name: one for one in GSET}
    assert random_graph(800, 0.06, seed=0).weights.numel() == pytest.approx(by_name["G1"].edges, rel=0.02)
    torus = toroidal_graph(8, 100, seed=0)
    assert torus.weights.numel() == by_name["G11"].edges
    assert set(dict(network(torus).degree).values()) == {4}


def test_frustration_is_the_energy_of_the_magnet() -> None:
    graph, side = toroidal_graph(4, 5, seed=3), 1 - 2 * torch.randint(2, (1, 20))
    a, b = graph.edges
    energy = float((graph.weights * side[0, a] * side[0, b]).sum()) / 20
    assert frustration(float(graph.cut(side)), float(graph.weights.sum()), 20) == pytest.approx(energy)


def test_fewer_nodes_than_a_triangulation_has_are_refused() -> None:
    with pytest.raises(InputError, match="at least 4"):
        planar_graph(3, seed=0)
    with pytest.raises(InputError, match="no edges"):
        planar_graph(4, 0.0, seed=0)


def test_the_bench_wants_what_is_known_and_shows_the_gset_beside_it() -> None:
    runner = CliRunner()
    arguments = ["bench", "maxcut", "--nodes", "30", "--trials", "4", "--anneal-tau", "20", "--json"]
    done = runner.invoke(app, [*arguments, "--graph", "planar", "--density", "1"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["wanted cut"] == 56
    union = bench_maxcut(MaxCutSpec(graph="planar-union", nodes=60, trials=4, anneal_tau=30.0))
    assert union["known share of G14"] == pytest.approx(3064 / 4694)
    assert union["best share of edges"] == pytest.approx(union["best cut"] / union["edges"])
    torus = bench_maxcut(MaxCutSpec(graph="toroidal", nodes=64, trials=4, anneal_tau=30.0))
    assert -1.6 < torus["energy per node"] < -1.0
    assert "known share of G11" not in torus
