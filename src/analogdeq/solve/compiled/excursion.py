"""When a state in a Krylov space is last outside a band: `analogdeq.solve.decay` and `.exits`, compiled."""

import math
from typing import NamedTuple

import numpy as np

from analogdeq.solve.compiled.arithmetic import clear, dot, largest, scale
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.matrices import apply, exponential, norm_of, row_sum, times
from analogdeq.solve.compiled.space import unfold
from analogdeq.solve.exits import FINE, TURN
from analogdeq.solve.linear_regime import DEFECT

MOST = 128
"""Points looked at."""
STEP = 1.0
"""Their spacing, over the largest row sum of the compressed map."""
LEVELS = 3
"""So many spacings are tried, each half as long, where a state turns too far from point to point."""
BISECTIONS = 5
DOUBLINGS = 40


class Excursion(NamedTuple):
    """The time after which it is inside for good, negative where that is not certain; and the spacing of the points."""

    after: float
    step: float


@compiled
def last_exit(basis, H_all, length, margin, band, way, out):
    """Look at equally spaced points, backwards from when nothing can leave the band any more.

    Args:
        basis: (vector, node). Orthonormal, the first m.
        H_all: (m + 1, m). The map in it, and by how much it leads out.
        length: of the state, which is along the first vector.
        margin: by what fraction states may be off.
        band: half width, in the maximum norm.
        way: (point, m). Written: weights at the points.
        out: (node,). Written: the state at the exit.
    """
    size = H_all.shape[1]
    H, coupling = H_all[:size], H_all[size, size - 1]
    step, v = STEP / max(row_sum(H), 1e-9), np.empty(size)
    E = exponential(H, step / 2)
    for level in range(LEVELS):
        if level == 0:
            half, E = E, times(E, E, np.empty_like(E))
        elif level == 1:
            step, E = step / 2, half
        else:
            step /= 2
            E = exponential(H, step)
        last, norms = _walk(E, length, band, way)
        if last < 0:
            break
        at = _last_outside(basis, way, norms, last, margin, band, out)
        if at < 0:
            break
        apply(H, way[at], v)
        turn = step * math.sqrt(dot(v, v)) / norms[at]
        if turn > TURN:
            continue
        if turn > FINE and _farthest_after(basis, way, norms, at + 2, last, out) > band * (1 - turn * turn / 8):
            continue
        missed = 0.0
        for k in range(at + 2):
            missed += step * coupling * abs(way[k, size - 1]) / norms[k]
        if missed > DEFECT:
            break
        share = _cross(basis, H, way, at, step, band, out)
        return Excursion((at + share) * step, step)
    return Excursion(-1.0, step)


@compiled
def _walk(E, length, band, way):
    """Weights at the points until nothing is left that could grow out of the band; the last one, -1 if that is too far.

    Powers of E show how much anything can grow.
    """
    norms, growth, power = np.zeros(way.shape[0]), 1.0, E
    for _ in range(DOUBLINGS):
        size = norm_of(power)
        growth = max(growth, size)
        if size <= 1 or not growth < 1e6:
            break
        power = times(power, power, np.empty_like(power))
    if not size <= 1:
        return -1, norms
    clear(way[0])
    way[0, 0] = length
    for k in range(way.shape[0]):
        norms[k] = math.sqrt(dot(way[k], way[k]))
        if k + 1 < way.shape[0]:
            apply(E, way[k], way[k + 1])  # one more than is looked at: `weights_at` reads it
        if norms[k] * growth <= band:
            return k, norms
    return -1, norms


@in_place
def _last_outside(basis, way, norms, last, margin, band, row):
    """The last point outside the band; -1 where a band a little narrower or wider has its last one elsewhere."""
    inner, outer, sure = band * (1 - margin), band * (1 + margin), band * (1 + margin) * math.sqrt(basis.shape[1])
    at, has_dipped, has_been_far = -1, False, False
    for k in range(last, -1, -1):
        far = norms[k]
        if inner < far <= sure:  # the Euclidean norm says too little
            unfold(basis[: way.shape[1]], way[k], row)
            far = largest(row)
        if far > band and at < 0:
            at = k
        if far > outer:
            return -1 if has_dipped else at
        if far > inner:
            has_been_far = True
        elif has_been_far:
            has_dipped = True
    return -1


@in_place
def _farthest_after(basis, way, norms, first, last, row):
    """The largest distance at the points from `first` to `last`."""
    most = 0.0
    for k in range(first, last + 1):
        if norms[k] > most:
            unfold(basis[: way.shape[1]], way[k], row)
            most = max(most, largest(row))
    return most


@compiled
def _cross(basis, H, way, at, step, band, out):
    """The fraction of an interval at which the state enters the band, and that state."""
    size = way.shape[1]
    leave, arrive = np.empty(size), np.empty(size)
    apply(H, way[at], leave)
    apply(H, way[at + 1], arrive)
    scale(leave, step)
    scale(arrive, step)
    low, high, before, after = 0.0, 1.0, -1.0, -1.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        unfold(basis[:size], _hermite(way[at], way[at + 1], leave, arrive, middle), out)
        far = largest(out)
        if far > band:
            low, before = middle, far
        else:
            high, after = middle, far
    if before < 0:
        unfold(basis[:size], way[at], out)
        before = largest(out)
    if after < 0:
        unfold(basis[:size], way[at + 1], out)
        after = largest(out)
    share = low
    if before > after > 0 and before > band:
        share = low + (high - low) * min(max(math.log(before / band) / math.log(before / after), 0.0), 1.0)
    unfold(basis[:size], _hermite(way[at], way[at + 1], leave, arrive, share), out)
    return share


@compiled
def _hermite(begin, end, leave, arrive, s):
    """Hermite's cubic, with the derivatives times the interval."""
    out = np.empty(begin.shape[0])
    for k in range(begin.shape[0]):
        change = end[k] - begin[k]
        square, cube = 3 * change - 2 * leave[k] - arrive[k], leave[k] + arrive[k] - 2 * change
        out[k] = begin[k] + s * (leave[k] + s * (square + s * cube))
    return out


@compiled
def weights_at(way, time, step):
    """(m,) weights between the points, by the cubic through four of them."""
    position = time / step
    k = min(max(int(position) - 1, 0), way.shape[0] - 4)
    s = position - k
    b0 = -(s - 1) * (s - 2) * (s - 3) / 6
    b1 = s * (s - 2) * (s - 3) / 2
    b2 = -s * (s - 1) * (s - 3) / 2
    b3 = s * (s - 1) * (s - 2) / 6
    out = np.empty(way.shape[1])
    for j in range(out.shape[0]):
        out[j] = b0 * way[k, j] + b1 * way[k + 1, j] + b2 * way[k + 2, j] + b3 * way[k + 3, j]
    return out
