"""`analogdeq bench maxcut`: one graph, many trials, held against the best cut there is where that can be known."""

import math
from dataclasses import dataclass
from typing import Any, final

import torch

from analogdeq.errors import InputError
from analogdeq.oscillator_presets import oscillator_kind
from analogdeq.studies.maxcut import Anneal, maxcut_summary, solve_maxcut
from analogdeq.studies.maxcut_graphs import Graph, kings_graph, random_graph, toroidal_graph

GRAPHS = ("random", "signed", "toroidal", "kings")
MOST_TRIED = 20
"""Nodes up to which every cut is tried: half a million of them."""


@final
@dataclass(frozen=True, kw_only=True)
class MaxCutSpec:
    """What to cut, and with what.

    Attributes:
        graph: one of `GRAPHS`; "signed" is random with weights -1 and +1.
        nodes: N; grids take the most nearly square one with that many.
        density: share of pairs that are edges, of random graphs.
        oscillators: name of a preset.
        trials: independent starts.
        anneal_tau: time of the anneal [tau].
        wanted: the cut that counts as a success; the best possible or the best found if None.
        seed: of the graph, the starts and the noise.
    """

    graph: str
    nodes: int
    density: float = 0.5
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
    return maxcut_summary(graph, kind, cuts, wanted)


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
        return random_graph(spec.nodes, spec.density, seed=spec.seed, signs=spec.graph == "signed")
    rows = max(k for k in range(1, math.isqrt(spec.nodes) + 1) if spec.nodes % k == 0)
    least = 3 if spec.graph == "toroidal" else 2
    if rows < least:
        raise InputError(f"{spec.nodes} nodes make no {spec.graph} grid; want a product of two numbers from {least} on")
    make = toroidal_graph if spec.graph == "toroidal" else kings_graph
    return make(rows, spec.nodes // rows, seed=spec.seed)
