"""Graphs to cut: random, toroidal, King's, of the kinds that rudy makes for the Gset collection."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.errors import InputError

DENSE_ABOVE = 0.2
"""Share of all pairs that are edges above which a dense product is the cheaper one (docs/oscillators.md)."""


@final
@dataclass(frozen=True)
class Graph:
    """An undirected graph with weights.

    Attributes:
        n: nodes.
        edges: (2, edge) int64, each pair once.
        weights: (edge,) float32.
    """

    n: int
    edges: Tensor
    weights: Tensor

    def cut(self, side: Tensor) -> Tensor:
        """(trial,) float64: weight of the edges between the two sides; side is (trial, node) of -1 and +1."""
        across = side[:, self.edges[0]] != side[:, self.edges[1]]
        return across.to(torch.float64) @ self.weights.to(torch.float64)

    def adjacency(self) -> Tensor:
        """(n, n) float32: symmetric weights; sparse where few pairs are edges."""
        index = torch.cat((self.edges, self.edges.flip(0)), 1)
        values = torch.cat((self.weights, self.weights))
        matrix = torch.sparse_coo_tensor(index, values, (self.n, self.n), check_invariants=False).coalesce()
        return matrix.to_dense() if 2 * self.weights.numel() > DENSE_ABOVE * self.n**2 else matrix

    def mean_square_pull(self) -> float:
        """Mean over the nodes of the sum of squared weights: how hard neighbours at random phases pull."""
        return float(2 * self.weights.double().square().sum() / self.n)


def random_graph(n: int, density: float, *, seed: int, signs: bool = False) -> Graph:
    """Each pair is an edge with probability `density` (rudy -rnd_graph; G1 is 800 nodes at 6 %).

    Args:
        n: nodes.
        density: 0 to 1.
        seed: of the graph.
        signs: weights -1 and +1 in place of 1.

    Raises:
        InputError: if there is no edge at all.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.triu_indices(n, n, 1)
    edges = pairs[:, torch.rand(pairs.shape[1], generator=generator) < density]
    return _weighted(n, edges, signs, generator)


def toroidal_graph(rows: int, columns: int, *, seed: int, signs: bool = True) -> Graph:
    """A grid on a torus (rudy -toroidal_grid_2D; G11 to G13 have 800 nodes and weights -1 and +1)."""
    node = torch.arange(rows * columns).view(rows, columns)
    right = torch.stack((node, node.roll(-1, 1))).flatten(1)
    down = torch.stack((node, node.roll(-1, 0))).flatten(1)
    return _weighted(rows * columns, torch.cat((right, down), 1), signs, torch.Generator().manual_seed(seed))


def kings_graph(rows: int, columns: int, *, seed: int, signs: bool = True) -> Graph:
    """A grid with its diagonals: the graph of the 1,968 ring oscillators of Moy et al. (2022)."""
    node = torch.arange(rows * columns).view(rows, columns)
    neighbours = (
        (node[:, :-1], node[:, 1:]),
        (node[:-1], node[1:]),
        (node[:-1, :-1], node[1:, 1:]),
        (node[1:, :-1], node[:-1, 1:]),
    )
    edges = torch.cat([torch.stack((a.flatten(), b.flatten())) for a, b in neighbours], 1)
    return _weighted(rows * columns, edges, signs, torch.Generator().manual_seed(seed))


def _weighted(n: int, edges: Tensor, signs: bool, generator: torch.Generator) -> Graph:
    if edges.shape[1] == 0:
        raise InputError(f"this graph of {n} nodes has no edges, so there is nothing to cut; raise its density")
    weights = torch.ones(edges.shape[1])
    if signs:
        weights = 2.0 * torch.randint(2, weights.shape, generator=generator) - 1
    return Graph(n, edges, weights)
