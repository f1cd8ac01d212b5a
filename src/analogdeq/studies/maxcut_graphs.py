"""Graphs to cut: random, toroidal, planar, King's, of the kinds that rudy made for the Gset collection.

They are of the same kind as those graphs, with the same numbers of nodes and about as many edges, and not the same
graphs: rudy's random numbers are its own.
"""

from dataclasses import dataclass
from typing import final

import torch
from scipy.spatial import Delaunay
from torch import Tensor

from analogdeq.errors import InputError

OUTER = ((-3.0, -2.0), (4.0, -2.0), (0.5, 4.0))
"""Three corners around the unit square, so that a triangulation of what is in it has a triangle for its rim."""
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


def planar_graph(n: int, density: float = 1.0, *, seed: int, signs: bool = False) -> Graph:
    """A planar graph with a share of the 3 n - 6 edges that one can have (rudy -planar).

    Delaunay's triangulation of n - 3 random points within a triangle has all 3 n - 6; of those as many are kept, at
    random, as `density` says. Nodes are numbered at random, so that where they lie does not show.

    With all edges the maximum cut is known: 2 n - 4. The edges that are not cut must meet every face, all of them
    triangles, an odd number of times; the dual graph, three edges to a face and no bridge, has a perfect matching, and
    so one edge for every two of the 2 n - 4 faces is enough.

    Args:
        n: nodes, at least 4.
        density: share of 3 n - 6 edges, 0 to 1.
        seed: of the graph.
        signs: weights -1 and +1 in place of 1.

    Raises:
        InputError: for fewer nodes, or if there is no edge at all.

    Source: J. Petersen, Acta Mathematica 15:193 (1891), the perfect matching.
    """
    if n < 4:
        raise InputError(f"a triangulation of {n} nodes is no graph to cut; want at least 4")
    generator = torch.Generator().manual_seed(seed)
    inner = torch.rand(n - 3, 2, dtype=torch.float64, generator=generator)
    points = torch.cat((inner, torch.tensor(OUTER, dtype=torch.float64)))
    corner = torch.as_tensor(Delaunay(points.numpy()).simplices).long()
    sides = torch.cat((corner[:, [0, 1]], corner[:, [1, 2]], corner[:, [2, 0]])).sort(1).values.unique(dim=0).T
    edges = torch.randperm(n, generator=generator)[sides]
    kept = torch.randperm(edges.shape[1], generator=generator)[: round(density * edges.shape[1])]
    return _weighted(n, edges[:, kept.sort().values], signs, generator)


def planar_union_graph(n: int, density: float = 0.99, *, seed: int, signs: bool = False) -> Graph:
    """Two planar graphs on the same nodes laid over each other: the kind of G14 to G17, with signs of G18 to G21.

    Edges that both have count once, with one weight. 800 nodes at 0.99 have about 4,720 edges; G14 has 4,694.

    Raises:
        InputError: as `planar_graph`.
    """
    halves = [planar_graph(n, density, seed=2 * seed + k).edges for k in (0, 1)]
    edges = torch.cat(halves, 1).sort(0).values.unique(dim=1)
    return _weighted(n, edges, signs, torch.Generator().manual_seed(seed))


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
