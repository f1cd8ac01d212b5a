"""Whole settles of some samples: stepped, aimed, certified, one after the other."""

import numpy as np

from analogdeq.solve.compiled.arrival import arrive
from analogdeq.solve.compiled.jit import compiled
from analogdeq.solve.compiled.lanes import LEFT, SETTLED, UNDERWAY, Lanes, Slots
from analogdeq.solve.compiled.march import march
from analogdeq.solve.compiled.network import Network
from analogdeq.solve.compiled.outlook import attract, stay
from analogdeq.solve.compiled.pair import begin
from analogdeq.solve.compiled.search import search

ASKED = 8
"""Times a sample is asked about."""
INSIDE, CLOSER = 0.5, 0.5
"""In bands: where it is asked whether it stays; and by what factor nearer it is asked again."""


def settle_chunk(network: Network, control: np.void, lanes: Lanes, slots: Slots, first: int, last: int) -> None:
    """Decide the samples from `first` to before `last`: settled, or left to the loop."""
    of, rows = lanes.of, np.arange(first, last)

    def underway() -> np.ndarray:
        return rows[of["fate"][rows] == UNDERWAY]

    begin(network, lanes, slots, underway())
    of["fate"][rows[of["motion"][rows] <= control["search_below"]]] = LEFT  # at rest, perhaps on a saddle
    march(network, control, lanes, slots, underway(), False)
    search(network, control, lanes, slots, underway())
    if not control["is_contraction"]:
        attract(network, control, lanes, slots, underway())
    for _ in range(ASKED):
        rows = underway()
        if rows.shape[0] == 0:
            return
        is_outside = of["distance"][rows] > control["band"]
        outside, inside = rows[is_outside], rows[~is_outside]
        arrive(network, control, lanes, slots, outside)
        if control["is_contraction"]:
            trap(network.rate, control, lanes, inside)
        else:
            stay(network, control, lanes, slots, inside)
        of["goal"][inside] = CLOSER * of["distance"][inside]
        of["goal"][outside] = np.where(of["goal"] > control["band"], of["goal"], INSIDE * control["band"])[outside]
        march(network, control, lanes, slots, underway(), True)
    of["fate"][underway()] = LEFT


@compiled
def trap(rate, control, lanes, rows):
    """Settled are those inside an ellipsoid in the band that nothing leaves, F being a contraction.

    sum_i (z_i - z*_i)^2 / rate_i only falls.
    """
    fastest = rate.max()
    for lane in rows:
        total = 0.0
        for i in range(rate.shape[0]):
            offset = float(lanes.z[lane, i] - lanes.rest[lane, i])
            total += offset * offset * fastest / rate[i]
        if total <= control.band * control.band:
            lanes.of[lane].fate = SETTLED
