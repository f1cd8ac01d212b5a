"""What a step costs: the watts at a few states of its series, summed."""

from analogdeq.solve.compiled.jit import in_place
from analogdeq.solve.compiled.lanes import TERMS
from analogdeq.solve.compiled.quadrature import rule
from analogdeq.solve.compiled.series import drive_at, state_at
from analogdeq.solve.compiled.watts import draw

NODES, FINE, COARSE = rule(4)
"""Exact for polynomials of degree five, so of order six like the series; and of degree three."""


@in_place
def charge(network, lanes, slots, s, theta, gained, error, state, push, watts):
    """Write the joules (term,) over tau in the fraction theta of the step of slot s to `gained`.

    Args:
        network: the circuit.
        lanes: the samples, at the beginning of the step.
        slots: with the series, and the pre-activation at the end of the step in `p`.
        s: the slot.
        theta: from 0 to 1.
        gained: (term,). Written.
        error: (term,). Written: how much another rule differs.
        state: (1, node). Scratch.
        push: (node,). Scratch.
        watts: (term,). Written: those at the end.
    """
    i = slots.lane[s]
    lane = lanes.of[i]
    h = lane.h
    for term in range(TERMS):
        gained[term], error[term] = FINE[0] * lane.watts[term], (FINE[0] - COARSE[0]) * lane.watts[term]
    for node in range(1, NODES.shape[0]):
        at = theta * NODES[node]
        state_at(state, 0, lanes.z, slots.k, network.rate, network.squash, s, i, at * h)
        drive_at(push, slots.k, slots.p, s, h, at)
        draw(network.watts, network.squash, state[0], push, lane.standing, watts)
        for term in range(TERMS):
            gained[term] += FINE[node] * watts[term]
            error[term] += (FINE[node] - COARSE[node]) * watts[term]
    for term in range(TERMS):
        gained[term] *= theta * h
        error[term] = abs(error[term]) * theta * h
