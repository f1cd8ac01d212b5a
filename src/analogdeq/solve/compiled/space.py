"""Krylov spaces of the circuit linearised at a rest, and the motion in them."""

import math

import numpy as np

from analogdeq.solve.attraction import KICK, RESOLVED
from analogdeq.solve.compiled.arithmetic import (
    add_scaled,
    clear,
    copy,
    copy_row,
    dot,
    largest,
    row_length,
    scale,
    tanh,
)
from analogdeq.solve.compiled.jit import compiled, in_place
from analogdeq.solve.compiled.matrices import apply, norm_of, times
from analogdeq.solve.compiled.product import product

STABLE, SQUARINGS, LEADING = 0.5, 24, 7
"""A power of the propagator of a norm below this shows that everything decays; so many squarings leave little but the
leading modes."""
ONCE = 16
"""Vectors up to which they are orthogonalised once: angles are right to 1e-4 then, in single precision, as tried."""
INVARIANT = 32 * float(np.finfo(np.float32).eps)
"""What is left of an invariant space is rounding."""


@in_place
def linearise(network, lanes, k, rows, first, count):
    """Write the slopes a phi' at the rests of the samples from `first` on to the last rows of k."""
    a, c1, c2, pre = network.squash[0], network.squash[2], network.squash[3], lanes.pre_rest
    last = k.shape[1] - 1
    for s in range(count):
        lane = rows[first + s]
        for i in range(pre.shape[1]):
            t = tanh(c2 * pre[lane, i])
            k[s, last, i] = a * c1 * c2 * (1 - t * t)


@in_place
def flow(rate, k, w, v, s):
    """w_s, which is W v_s, becomes rate (J - I) v_s."""
    last = k.shape[1] - 1
    for i in range(w.shape[1]):
        w[s, i] = rate[i] * (k[s, last, i] * w[s, i] - v[s, i])


@compiled
def build(network, slots, H, size, count):
    """The Krylov spaces of the unit vectors k[s, 0]: a basis in k[s, :size], and H (slot, size + 1, size).

    W times the first vectors stays in k[s, size], and what leads out of a space, H[s, size, size - 1] times a unit
    vector, in p_s.

    Returns:
        Products with W of every slot.
    """
    k, points, p, rate = slots.k, slots.points, slots.p, network.rate
    for i in range(H.size):
        H.flat[i] = 0
    is_open = np.ones(count, np.bool_)
    for j in range(size):
        for s in range(count):
            copy_row(points, s, k[s], j)
        product(network.weights, points, p, count)
        for s in range(count):
            if j == 0:
                copy_row(k[s], size, p, s)
            flow(rate, k, p, points, s)
            is_open[s] = extend(k[s], p, s, H[s], j, is_open[s], -1.0)
    return size


@in_place
def extend(basis, w, s, H, j, is_open, closed):
    """One more column of H and, from w_s, one more vector of the basis; whether the space goes on.

    In a space that does not, further vectors are zero and have `closed` on the diagonal.

    What one orthogonalisation leaves is in H like everything else, so A V = V H + (what leads out) holds as well; it is
    done again in spaces so large that in single precision the angles would no longer be right.
    """
    is_last = j + 1 == H.shape[1]
    if not is_last:
        clear(basis[j + 1])
    if not is_open:
        H[j, j] = closed  # a direction that a smaller invariant space never needed
        return False
    before = row_length(w, s)
    for _ in range(1 if H.shape[1] <= ONCE else 2):
        for i in range(j + 1):
            H[i, j] += _remove(w, s, basis, i)
    norm = row_length(w, s)
    if not norm > INVARIANT * before:
        return False
    H[j + 1, j] = norm
    if not is_last:
        by = w.dtype.type(1 / norm)
        for i in range(w.shape[1]):
            basis[j + 1, i] = by * w[s, i]
    return True


@in_place
def _remove(w, s, basis, j):
    """Take out of w_s what it has of the unit vector basis_j; how much that was."""
    part = w.dtype.type(0)
    for i in range(w.shape[1]):
        part += basis[j, i] * w[s, i]
    for i in range(w.shape[1]):
        w[s, i] -= part * basis[j, i]
    return float(part)


@in_place
def unfold(basis, w, out):
    """Write sum_k w_k basis_k to `out`, four vectors at a time."""
    of, whole = out.dtype.type, w.shape[0] // 4 * 4
    clear(out)
    for k in range(0, whole, 4):
        w0, w1, w2, w3 = of(w[k]), of(w[k + 1]), of(w[k + 2]), of(w[k + 3])
        for i in range(out.shape[0]):
            out[i] += w0 * basis[k, i] + w1 * basis[k + 1, i] + w2 * basis[k + 2, i] + w3 * basis[k + 3, i]
    for k in range(whole, w.shape[0]):
        by = of(w[k])
        for i in range(out.shape[0]):
            out[i] += by * basis[k, i]


@compiled
def do_decay(H, out, E, defect, length, n_nodes):
    """Whether all of a state decays, what its space misses included; as `analogdeq.solve.attraction.do_decay`.

    Args:
        H: (m, m).
        out: (m,). How the map leads out of the space.
        E: (m, m). exp(s H) for any s > 0.
        defect: the integral of what leads out.
        length: of the state.
        n_nodes: of the network.
    """
    E, is_stable = _propagated(E)
    if not is_stable:
        return False
    if H.shape[0] == n_nodes or largest(out) == 0 or defect <= RESOLVED * KICK * length / math.sqrt(n_nodes):
        return True
    growth, leaving = _rightmost(H, E, out)
    return growth + leaving < 0


@compiled
def _propagated(E):
    """The propagator over a long time, normalised, and whether its powers vanish: no mode of the space grows."""
    is_stable, spare = False, np.empty_like(E)
    for k in range(SQUARINGS):
        norm = norm_of(E)
        is_stable |= norm < STABLE
        if is_stable and k >= LEADING:
            break
        E, spare = times(E, E, spare), E
        if is_stable:
            for i in range(E.shape[0]):
                scale(E[i], 1 / (norm * norm))
    return E, is_stable


@compiled
def _rightmost(H, E, out):
    """Real part of the rightmost eigenvalue of H, and how fast its eigenvector leads out of the space.

    A long propagation leaves a plane in which the leading mode or pair of modes lies; there H is two by two.
    """
    size = H.shape[0]
    x, y, across = np.empty(size), np.empty(size), np.empty(size)
    for i in range(size):
        x[i] = E[i].sum()
    scale(x, 1 / max(math.sqrt(dot(x, x)), 1e-300))
    apply(H, x, y)
    a = dot(x, y)
    copy(across, y)
    add_scaled(across, -a, x)
    norm = math.sqrt(dot(across, across))
    if norm < 1e-9 * math.sqrt(dot(y, y)):
        return a, abs(dot(out, x))
    scale(across, 1 / norm)
    by_x, by_across = dot(out, x), dot(out, across)
    c = dot(across, y)
    apply(H, across, y)
    b, d = dot(x, y), dot(across, y)
    half, squared = (a + d) / 2, (a - d) ** 2 / 4 + b * c
    if squared < 0:  # a pair: x (b) + across (half - a + i sqrt(-squared))
        real, imaginary = b * by_x + (half - a) * by_across, math.sqrt(-squared) * by_across
        length = math.sqrt(b * b + (half - a) ** 2 - squared)
        return half, math.sqrt(real * real + imaginary * imaginary) / length
    value = half + math.sqrt(squared)
    first, second = b, value - a
    if abs(first) + abs(second) < 1e-12 * (abs(c) + abs(value - d)):
        first, second = value - d, c
    length = math.sqrt(first * first + second * second)
    return value, (abs(first * by_x + second * by_across) / length if length > 0 else largest(out))
