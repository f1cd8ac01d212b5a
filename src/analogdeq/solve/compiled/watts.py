"""Watts drawn in a state."""

from analogdeq.solve.compiled.arithmetic import tanh
from analogdeq.solve.compiled.jit import in_place


@in_place
def draw(watts, squash, z, p, standing, out):
    """(term,) watts, from the pre-activation p; as `analogdeq.circuits.power`."""
    c0, c1, c2 = squash[1], squash[2], squash[3]
    crossbar = feedback = node = drivers = z.dtype.type(0)
    for i in range(z.shape[0]):
        x, y = z[i], p[i]
        e = c0 + c1 * tanh(c2 * y) - x
        crossbar += watts[0, i] * x * x
        feedback += watts[3, i] * y * y
        node += watts[1, i] * x * x + watts[5, i] * e * e
        drivers += watts[2, i] * abs(x) + watts[4, i] * abs(y) + watts[6, i] * abs(e)
    out[0] = standing[0] + crossbar
    out[1] = standing[1] + feedback
    out[2] = standing[2] + node
    out[3] = standing[3] + drivers
