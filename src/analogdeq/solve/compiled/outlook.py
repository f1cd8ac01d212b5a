"""Whether rests attract, and samples near them stay: `analogdeq.solve.attraction` and `.outlook`, compiled."""

import math

import numpy as np

from analogdeq.solve.attraction import KICK, OVER, SMALLEST_OFFSET
from analogdeq.solve.compiled.arithmetic import add_scaled, copy, dot, largest, scale, tanh
from analogdeq.solve.compiled.inverse_space import SHIFT, build_inverse
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.lanes import LEFT, SETTLED, Slots, together
from analogdeq.solve.compiled.matrices import apply, exponential, row_sum, times
from analogdeq.solve.compiled.product import TOGETHER
from analogdeq.solve.compiled.space import build, do_decay, linearise, unfold
from analogdeq.solve.outlook import LINEAR

SIZES, LARGE, INVERSE = (8, 14, 48, 96, 256), 14, 8
"""Krylov spaces tried in turn, the large ones only where speeds are spread; what the last one does not see is left to
the loop. The size that every slot has room for; and that of an inverse map's, of which fewer say as much."""
EXTRA = 2
"""Rows of a slot besides the basis: W times its first vector, and the slopes."""
POINTS, BLOCKS, FIRST_STEP = 8, 24, 0.5
"""The future is looked at on blocks of so many points, each twice as long as the one before; the first spacing is so
much over the largest row sum of the compressed map."""


@compiled
def attract(network, control, lanes, slots, rows):
    """Leave to the loop those of the samples `rows` whose rests cannot be shown to attract."""
    n_nodes, size = network.rate.shape[0], 0
    for larger in SIZES:
        if rows.shape[0] == 0:
            return
        if size < n_nodes:  # else the whole space was looked at
            size = min(larger, n_nodes)
            room = slots if size <= LARGE else _with_room(slots, size + EXTRA)
            rows = rows[look(network, control, lanes, room, rows, size)]
    for i in rows:
        lanes.of[i].fate = LEFT


@compiled
def _with_room(slots, vectors):
    """A few slots with room for more vectors."""
    few = min(TOGETHER, slots.k.shape[0])
    k = np.zeros((few, vectors, slots.k.shape[2]), slots.k.dtype)
    return Slots(slots.lane[:few], k, slots.size[:few], slots.points[:few], slots.p[:few])


@compiled
def stay(network, control, lanes, slots, rows):
    """Give the fate SETTLED to those of the samples `rows` that are certain to stay; their rests attract."""
    size = INVERSE if network.is_stiff else LARGE
    look(network, control, lanes, slots, rows, min(size, network.rate.shape[0]))


@compiled
def look(network, control, lanes, slots, rows, size):
    """Follow the linearised flow from the present offsets, slightly perturbed: does it leave the band, if it is inside?

    Returns:
        (row,) bool: whose rests may not attract.
    """
    is_unknown = np.zeros(rows.shape[0], np.bool_)
    n_slots, n_nodes = slots.p.shape
    length, H = np.zeros(n_slots), np.zeros((n_slots, size + 1, size))
    first = 0
    while first < rows.shape[0]:
        count = together(rows.shape[0] - first, slots)
        linearise(network, lanes, slots.k, rows, first, count)
        for s in range(count):
            lane = rows[first + s]
            copy(slots.k[s, 0], lanes.z[lane])
            add_scaled(slots.k[s, 0], -1.0, lanes.rest[lane])
            length[s], _ = perturb(control.band, network.kick, slots.k[s, 0])
        if network.is_stiff:
            products = build_inverse(network, slots, H, size, count)
        else:
            products = build(network, slots, H, size, count)
        for s in range(count):
            lane, basis = lanes.of[rows[first + s]], slots.k[s]
            lane.evaluations += products
            is_inside = lane.distance <= control.band
            attracts, stays = tell(
                basis, H[s], length[s], n_nodes, control.band, is_inside, network.is_stiff, slots.p[s]
            )
            is_unknown[first + s] = not attracts
            if stays:
                gap = _nonlinearity(network.squash, lanes.pre_rest[rows[first + s]], basis[size], basis[-1], length[s])
                if gap <= LINEAR * length[s] * largest(basis[0]) + control.rounding:
                    lane.fate = SETTLED
        first += count
    return is_unknown


@in_place
def perturb(band, kick, out):
    """Add a kick in all directions to the offset in `out`, and make that a unit vector.

    Returns:
        Its length, and by what the kick was multiplied.
    """
    by = max(KICK * math.sqrt(dot(out, out)), SMALLEST_OFFSET * band) / math.sqrt(dot(kick, kick))
    add_scaled(out, by, kick)
    length = math.sqrt(dot(out, out))
    scale(out, 1 / length)
    return length, by


@in_place
def _nonlinearity(squash, p, Wv, slope, length):
    """How far F is from its linearisation at the offset length v at the most, on either side of the rest."""
    a, c1, c2 = squash[0], squash[2], squash[3]
    by, gap = p.dtype.type(length), p.dtype.type(0)
    for i in range(p.shape[0]):
        x, step = p[i], by * Wv[i]
        middle, linear = tanh(c2 * x), slope[i] * step
        above = a * c1 * (tanh(c2 * (x + step)) - middle) - linear
        below = a * c1 * (tanh(c2 * (x - step)) - middle) + linear
        gap = max(gap, abs(above), abs(below))
    return float(gap)


@compiled
def tell(basis, H_all, length, n_nodes, band, is_inside, is_stiff, row):
    """Whether everything decays; or, where that is known, whether nothing leaves the band, from the offset on."""
    size = H_all.shape[1]
    H, out = H_all[:size], H_all[size]
    delta = FIRST_STEP / max(row_sum(H), 1e-9)
    E = exponential(H, delta)
    w, v, spare = np.zeros(size), np.zeros(size), np.empty_like(E)
    w[0] = length
    peak, defect, fastest = 0.0, 0.0, 0.0
    for block in range(BLOCKS):
        for _ in range(POINTS):
            if is_inside:
                peak = max(peak, _reach(basis, H, w, v, delta, band, row))
            leaving = abs(dot(out, w))
            defect, fastest = defect + delta * leaving, max(fastest, leaving)
            apply(E, w, v)
            w, v = v, w
        left = math.sqrt(dot(w, w))
        if left < OVER * band:
            break
        if block == BLOCKS - 1 or not left < 1e6 * length:
            return False, False
        E, spare, delta = times(E, E, spare), E, 2 * delta
    if is_stiff:  # what leads out is (I - g A) v there, and by parts that is so much more
        defect += 2 * SHIFT * fastest
    if is_inside:
        return True, peak + 2 * defect <= band
    return do_decay(H, out, E, defect, length, n_nodes), False


@in_place
def _reach(basis, H, w, v, delta, band, row):
    """How far the state can be from rest until half a step before or after the point w; `v` and `row` are scratch."""
    apply(H, w, v)
    reach = math.sqrt(dot(w, w)) + 0.6 * delta * math.sqrt(dot(v, v))
    if reach <= 0.5 * band:  # the Euclidean norm says enough
        return reach
    unfold(basis, w, row)
    reach = largest(row)
    unfold(basis, v, row)
    return reach + 0.6 * delta * largest(row)
