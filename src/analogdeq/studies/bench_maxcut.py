"""`analogdeq bench maxcut`: one graph, many trials, held against the best cut there is where that can be known."""

import math
from dataclasses import dataclass
from typing import Any, final

import torch

from analogdeq.errors import InputError
from analogdeq.oscillator_presets import oscillator_kind
from analogdeq.studies.maxcut import Anneal, Cuts, maxcut_summary, solve_maxcut
from analogdeq.studies.maxcut_graphs import (
    Graph,
    kings_graph,
    planar_graph,
    planar_union_graph,
    random_graph,
    toroidal_graph,
)
from analogdeq.studies.maxcut_known import GSET, frustration

GRAPHS = ("random", "signed", "toroidal", "planar", "planar-union", "kings")
MOST_TRIED = 20
"""Nodes up to which every cut is tried: half a million of them."""


@final
@dataclass(frozen=True, kw_only=True)
class MaxCutSpec:
    """What to cut, and with what.

    Attributes:
        graph: one of `GRAPHS`; "signed" is random with weights -1 and +1, "planar-union" two planar ones on each other.
        nodes: N; grids take the most nearly square one with that many.
        density: share of the pairs that are edges of a random graph, 0.5 if None; share of the 3 n - 6 edges there can
            be of a planar one, 0.99 if None.
        oscillators: name of a preset.
        trials: independent starts.
        anneal_tau: time of the anneal [tau].
        wanted: the cut that counts as a success; the best possible or the best found if None.
        seed: of the graph, the starts and the noise.
    """

    graph: str
    nodes: int
    density: float | None = None
    oscillators: str = "ring-65nm"
    trials: int = 32
    anneal_tau: float = 100.0
    wanted: float | None = None
    seed: int = 0


def bench_maxcut(spec: MaxCutSpec) -> dict[str, Any]:
    """The figures of one bench.

    Raises:
        InputError: for an unknown graph or one without edges.
        DataError: for an unknown preset.
    """
    graph, kind = _graph(spec), oscillator_kind(spec.oscillators)
    cuts = solve_maxcut(graph, kind, Anneal(trials=spec.trials, until_tau=spec.anneal_tau, seed=spec.seed))
    wanted = spec.wanted
    if wanted is None and graph.n <= MOST_TRIED:
        wanted = largest_cut(graph)
    elif wanted is None and spec.graph == "planar" and graph.weights.numel() == 3 * graph.n - 6:
        wanted = 2.0 * graph.n - 4  # see `planar_graph`
    return maxcut_summary(graph, kind, cuts, wanted) | known_figures(spec.graph, graph, cuts)


def known_figures(kind: str, graph: Graph, cuts: Cuts) -> dict[str, Any]:
    """How the best cut compares with the best ones known of Gset graphs of the same kind; nothing where there is none.

    The graphs are not the same, so these are shares of the edges, or for weights of both signs energies per node.
    """
    known = [one for one in GSET if one.kind == kind]
    if not known or not cuts.is_settled.any():
        return {}
    best = float(cuts.cut[cuts.is_settled].max())
    figures: dict[str, Any] = {"best share of edges": best / graph.weights.numel()}
    if bool((graph.weights < 0).any()):
        return {"energy per node": frustration(best, float(graph.weights.double().sum()), graph.n)}
    return figures | {f"known share of {one.name}": one.share for one in known}


def largest_cut(graph: Graph) -> float:
    """The maximum cut by trying all 2^(n - 1).

    Raises:
        InputError: for more than `MOST_TRIED` nodes.
    """
    if graph.n > MOST_TRIED:
        raise InputError(f"trying every cut of {graph.n} nodes takes too long; {MOST_TRIED} is the most")
    codes = torch.arange(2 ** (graph.n - 1))
    best = -math.inf
    for part in codes.split(1 << 14):
        side = 1 - 2 * ((part.unsqueeze(1) >> torch.arange(graph.n)) & 1)
        best = max(best, float(graph.cut(side).max()))
    return best


def _graph(spec: MaxCutSpec) -> Graph:
    if spec.graph not in GRAPHS:
        raise InputError(f"unknown graph {spec.graph!r}; known: {', '.join(GRAPHS)}")
    if spec.graph in ("random", "signed"):
        density = 0.5 if spec.density is None else spec.density
        return random_graph(spec.nodes, density, seed=spec.seed, signs=spec.graph == "signed")
    if spec.graph in ("planar", "planar-union"):
        density = 0.99 if spec.density is None else spec.density
        make_planar = planar_graph if spec.graph == "planar" else planar_union_graph
        return make_planar(spec.nodes, density, seed=spec.seed)
    rows = max(k for k in range(1, math.isqrt(spec.nodes) + 1) if spec.nodes % k == 0)
    least = 3 if spec.graph == "toroidal" else 2
    if rows < least:
        raise InputError(f"{spec.nodes} nodes make no {spec.graph} grid; want a product of two numbers from {least} on")
    make = toroidal_graph if spec.graph == "toroidal" else kings_graph
    return make(rows, spec.nodes // rows, seed=spec.seed)
