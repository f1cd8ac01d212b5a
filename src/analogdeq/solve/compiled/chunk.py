"""Whole settles of some samples: stepped, aimed, certified, one after the other."""

import numpy as np

from analogdeq.solve.compiled.arithmetic import largest
from analogdeq.solve.compiled.arrival import arrive
from analogdeq.solve.compiled.jit import compiled, in_place, stored
from analogdeq.solve.compiled.lanes import LEFT, SETTLED, UNDERWAY
from analogdeq.solve.compiled.leap import leap
from analogdeq.solve.compiled.march import march
from analogdeq.solve.compiled.outlook import attract, stay
from analogdeq.solve.compiled.search import search
from analogdeq.solve.compiled.series import begin
from analogdeq.solve.compiled.wave import wave

ASKED = 32
"""Times a sample is asked about."""
INSIDE, CLOSER = 0.5, 0.5
"""In bands: where it is asked whether it stays; and by what factor nearer it is asked again."""


@stored
def settle_chunk(network, control, lanes, slots, first, last):
    """Decide the samples from `first` to before `last`: settled, or left to the loop."""
    of = lanes.of
    begin(network, lanes, slots, _underway(of, first, last))
    for i in range(first, last):
        if of[i].motion <= control.search_below:
            of[i].fate = LEFT  # at rest, perhaps on a saddle
    _step(network, control, lanes, slots, _underway(of, first, last))
    is_told = control.is_contraction or network.is_uniform  # that Picard iterations converge tells all of equal speeds
    if not (is_told or network.is_stiff):
        leap(network, control, lanes, slots, _underway(of, first, last))
    search(network, control, lanes, slots, _underway(of, first, last))
    if not is_told:
        attract(network, control, lanes, slots, _unproven(of, first, last))
    for _ in range(ASKED):
        rows = _underway(of, first, last)
        if rows.shape[0] == 0:
            return
        inside, outside = _sides(of, rows, control.band)
        if not network.is_stiff:
            arrive(network, control, lanes, slots, outside)
        if control.is_contraction and not network.is_stiff:
            trap(network.rate, control, lanes, inside)
        else:
            stay(network, control, lanes, slots, inside)
        for i in inside:
            of[i].goal = CLOSER * of[i].distance
        for i in outside:
            if not of[i].goal > control.band:
                of[i].goal = INSIDE * control.band
        _step(network, control, lanes, slots, _underway(of, first, last))
    for i in _underway(of, first, last):
        of[i].fate = LEFT


@compiled
def _step(network, control, lanes, slots, rows):
    """By series, or where speeds are widely spread by waveforms."""
    if network.is_stiff:
        wave(network, control, lanes, slots, rows)
    else:
        march(network, control, lanes, slots, rows)


@compiled
def _underway(of, first, last):
    """(row,) the samples that are neither settled nor left."""
    rows, count = np.empty(last - first, np.int64), 0
    for i in range(first, last):
        if of[i].fate == UNDERWAY:
            rows[count] = i
            count += 1
    return rows[:count]


@compiled
def _unproven(of, first, last):
    """(row,) those whose rests are not known to attract."""
    rows = _underway(of, first, last)
    return rows[of[rows].attracts == 0]


@compiled
def _sides(of, rows, band):
    """The samples inside the band, and those outside."""
    inside, outside, n_inside, n_outside = np.empty_like(rows), np.empty_like(rows), 0, 0
    for i in rows:
        if of[i].distance > band:
            outside[n_outside] = i
            n_outside += 1
        else:
            inside[n_inside] = i
            n_inside += 1
    return inside[:n_inside], outside[:n_outside]


@in_place
def trap(rate, control, lanes, rows):
    """Settled are those inside an ellipsoid in the band that nothing leaves, F being a contraction.

    sum_i (z_i - z*_i)^2 / rate_i only falls.
    """
    fastest = largest(rate)
    for lane in rows:
        total = 0.0
        for i in range(rate.shape[0]):
            offset = float(lanes.z[lane, i] - lanes.rest[lane, i])
            total += offset * offset * fastest / rate[i]
        if total <= control.band * control.band:
            lanes.of[lane].fate = SETTLED
