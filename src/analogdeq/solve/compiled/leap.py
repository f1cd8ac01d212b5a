"""Newton's step to the rest, in a Krylov space that also tells whether the rest attracts."""

import numpy as np

from analogdeq.solve.compiled.arithmetic import add_scaled, largest, tanh
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.lanes import together
from analogdeq.solve.compiled.matrices import apply, least
from analogdeq.solve.compiled.outlook import SIZES, perturb, tell
from analogdeq.solve.compiled.space import build, linearise, unfold

NEAR = 1e-3
"""Of full scale: so far, or a band if that is less, slopes hardly change."""
LONGEST, CLOSE = 4.0, 0.5
"""In these: a longer step changes the slopes too much for telling what the rest does, and a rest farther from where the
step ended may be another one."""


@compiled
def leap(network, control, lanes, slots, rows):
    """Step from where the rests of the samples `rows` are expected to where they are, but for a kick.

    Who gets there is known to be attracted. For the others nothing changes.
    """
    n_slots, n_nodes = slots.p.shape
    size = min(SIZES[0], n_nodes)
    length, kicked, H = np.zeros(n_slots), np.zeros(n_slots), np.zeros((n_slots, size + 1, size))
    step = np.empty_like(network.rate)
    first = 0
    while first < rows.shape[0]:
        count = together(rows.shape[0] - first, slots)
        linearise(network, lanes, slots.k, rows, first, count)
        for s in range(count):
            lane = rows[first + s]
            _motion(network.rate, network.squash, lanes.rest[lane], lanes.pre_rest[lane], slots.k[s, 0])
            length[s], kicked[s] = perturb(control.band, network.kick, slots.k[s, 0])
        products = build(network, slots, H, size, count)
        for s in range(count):
            i = rows[first + s]
            lane, basis = lanes.of[i], slots.k[s]
            lane.evaluations += products
            attracts, _ = tell(basis, H[s], length[s], n_nodes, control.band, False, False, slots.points[s])
            if not attracts:
                continue
            w = _newton(H[s], length[s])
            unfold(basis[:size], w, step)
            if not largest(step) <= LONGEST * near(network, control):
                continue
            add_scaled(lanes.rest[i], 1.0, step)
            left = np.empty(size)
            apply(H[s, :size], w, left)
            left[0] += length[s]
            unfold(basis[:size], left, step)
            add_scaled(step, w[size - 1], slots.p[s])  # what leads out of the space is still there
            add_scaled(step, -kicked[s], network.kick)
            iterate(lanes.rest[i], network.slowness, step)
            lane.attracts = 1
        first += count


@in_place
def near(network, control):
    """How far slopes hardly change."""
    return min(control.band, NEAR * network.squash[0])


@in_place
def iterate(x, slowness, motion):
    """Add F(x) - x to x, where it moves by `motion`."""
    for i in range(x.shape[0]):
        x[i] += slowness[i] * motion[i]


@in_place
def _motion(rate, squash, x, p, out):
    """Write rate (F(x) - x) to `out`, p being the pre-activation at x."""
    a, c0, c1, c2 = squash[0], squash[1], squash[2], squash[3]
    for i in range(x.shape[0]):
        out[i] = rate[i] * (a * (c0 + c1 * tanh(c2 * p[i])) - x[i])


@compiled
def _newton(H, length):
    """The coefficients w that make the length of (length e_1 + H w) least."""
    size = H.shape[1]
    G, g = np.zeros((size, size)), np.zeros(size)
    for i in range(size):
        for j in range(i + 1):
            total = 0.0
            for m in range(size + 1):
                total += H[m, i] * H[m, j]
            G[i, j] = G[j, i] = total
        g[i] = -length * H[0, i]
    return least(G, g)
