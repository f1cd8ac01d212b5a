"""The largest cuts known of some Gset graphs, to hold cuts of generated graphs of the same kind against."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True)
class KnownCut:
    """One graph of the Gset collection.

    Attributes:
        name: its name there.
        kind: of `analogdeq.studies.bench_maxcut.GRAPHS`, which generated graphs of its kind go by.
        nodes: of it.
        edges: of it.
        cut: the largest cut that is known.
    """

    name: str
    kind: str
    nodes: int
    edges: int
    cut: int

    @property
    def share(self) -> float:
        """[1]. Of its edges, cut."""
        return self.cut / self.edges


GSET = (
    KnownCut(name="G1", kind="random", nodes=800, edges=19_176, cut=11_624),
    KnownCut(name="G2", kind="random", nodes=800, edges=19_176, cut=11_620),
    KnownCut(name="G3", kind="random", nodes=800, edges=19_176, cut=11_622),
    KnownCut(name="G11", kind="toroidal", nodes=800, edges=1_600, cut=564),
    KnownCut(name="G12", kind="toroidal", nodes=800, edges=1_600, cut=556),
    KnownCut(name="G14", kind="planar-union", nodes=800, edges=4_694, cut=3_064),
)
"""Best cuts known of graphs made by G. Rinaldi's generator rudy, as tabulated for the Gset collection.

Shares of edges compare from graph to graph where all weights are 1. Where weights are -1 and +1 they do not: their sum,
which is another one in every graph, moves the cut by half of it; `frustration` does.
"""


def frustration(cut: float, weight_sum: float, nodes: int) -> float:
    """[1]. (sum of weights - 2 cut) / n: energy per spin of the magnet whose couplings are minus the weights.

    Of large toroidal grids with weights -1 and +1 the least one is near -1.40.

    Source: C. De Simone et al., J. Stat. Phys. 80:487 (1995), ground states of the +-J spin glass.
    """
    return (weight_sum - 2 * cut) / nodes
