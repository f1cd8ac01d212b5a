"""Systems with known endings: what must be said of each, and where it is known, when it settles or how fast it turns.

Settling times are in units of the slowest node's time constant, for the default band of 1e-3.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from analogdeq.solve.verdict import Verdict
from helpers import Array, Matrix


@dataclass(frozen=True)
class System:
    """One core, its start, and the truth about it.

    Attributes:
        kind: what it is an example of.
        W: weights.
        z0: start.
        verdict: how it ends.
        b: biases; NaN in it is a NaN in the drive.
        activation: a name.
        taus: time constants.
        time: settling time in closed form; None where scipy is asked.
        within: part of a settling time by which the answer may be off.
        rest: one node's value at the end, where the system could end elsewhere.
        cycles: periods within which a cycle must be found, counted from the start, the way there included.
        budget: max_time_tau.
    """

    kind: str
    W: Any
    z0: Any
    verdict: Verdict = Verdict.SETTLED
    b: Any = None
    activation: str = "tanh"
    taus: Any = 1.0
    time: float | None = None
    within: float = 1e-3
    rest: tuple[int, float] | None = None
    cycles: float = math.inf
    budget: float = 500.0


def random_matrix(n: int, radius: float, seed: int) -> Array:
    """A Gaussian matrix of the given spectral radius."""
    W = np.random.default_rng(seed).normal(size=(n, n))
    return W * radius / np.abs(np.linalg.eigvals(W)).max()


def random_gain(n: int, gain: float, seed: int) -> Array:
    """Gaussian weights of variance gain^2 / n."""
    return gain * np.random.default_rng(seed).normal(size=(n, n)) / math.sqrt(n)


def monotone(n: int, margin: float, seed: int) -> Array:
    """W = (1 - m) I - A^T A + B - B^T, whose symmetric part is at most 1 - m (Winston and Kolter, NeurIPS 2020)."""
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(2, n, n)) / math.sqrt(n)
    return (1 - margin) * np.eye(n) - A.T @ A + 2 * (B - B.T)


def hopfield(seed: int) -> Array:
    """Symmetric weights that store two patterns of 12 nodes."""
    patterns = np.random.default_rng(seed).choice([-1.0, 1.0], (2, 12))
    return 1.5 * (patterns.T @ patterns) / 12


def ring(n: int, own: float, to_next: float) -> Array:
    """Each node drives the next."""
    return own * np.eye(n) + to_next * np.roll(np.eye(n), 1, axis=0)


def turn(own: float, across: float) -> Matrix:
    """A damped rotation."""
    return [[own, across], [-across, own]]


THREE_NODES: Matrix = [[2.0, -1.2, 0.0], [1.9, 1.71, 1.15], [-4.75, 0.0, 1.1]]
"""Chaotic, largest Lyapunov exponent 0.05: of the family of Hopfield networks of X.-S. Yang and Q. Yuan,
Neurocomputing 69:232 (2005), whose state is W z."""
FOUR_NODES: Matrix = [
    [1.95, -3.40, 0.41, -0.24], [8.08, 2.01, 1.73, 3.40], [-4.97, -3.11, -2.30, 6.69], [-5.49, -2.18, -9.28, 5.77]
]  # fmt: skip
"""Chaotic, largest Lyapunov exponent 0.12; the most chaotic of 2000 Gaussian matrices of deviation 5."""

FOLD = math.sqrt(0.5)
"""Where z = tanh(2 z + b) has its fold, below zero."""
FOLD_BIAS = 2 * FOLD - math.atanh(FOLD)
UPPER = 0.9575040240772687
"""The positive root of z = tanh(2 z)."""
UNEQUAL: Matrix = [[1.5, -1.6], [1.625, -1.4]]
"""rho(J) = 0.71 at 0, so Picard converges there; with a first node ten times as fast as the second, 0 repels."""
OVERSHOOT_W: Matrix = [[0.0, -5e-3 * 0.95 / 1e-4], [0.0, 0.95]]
"""z_1 = e^-s - 5e-3 e^(-s/20): through the band, out on the other side, back in at 20 ln 5."""


def _start(n: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=n)


_T, _O, _D = Verdict.TIMED_OUT, Verdict.OSCILLATING, Verdict.DIVERGED

ZOO: dict[str, System] = {
    "one node": System("fixed point", [[0.5]], [0.0], b=[0.5]),
    "strong negative feedback": System("fixed point", [[-3.0]], [0.0], b=[1.0]),
    "linear node": System("fixed point", [[0.5]], [0.8], activation="identity", time=2 * math.log(800)),
    "contraction of 8": System("fixed point", random_matrix(8, 0.4, 1), _start(8, 1), b=0.2 * _start(8, 2)),
    "random 16": System("fixed point", random_matrix(16, 0.9, 2), _start(16, 3), b=0.2 * _start(16, 4)),
    "random 16, four speeds": System(
        "fixed point", random_matrix(16, 0.9, 3), _start(16, 5), b=0.2 * _start(16, 6),
        taus=np.repeat([1, 0.5, 0.25, 2], 4),
    ),
    "saturated": System("fixed point", [[4.0, -1.0], [1.0, 4.0]], [0.1, 0.0], b=[1.0, 1.0], activation="hardtanh"),
    "clipped": System("fixed point", [[0.5, -1.0], [1.0, 0.2]], [0.0, 0.0], b=[0.6, -0.1], activation="relu-clipped"),
    "sigmoid inhibition": System("fixed point", [[-2.0, -3.0], [-3.0, 1.0]], [0.0, 0.0], activation="sigmoid"),
    "rectified cascade": System("fixed point", [[0.0, 0.0], [1.0, 0.0]], [0.0, 0.0], b=[1.0, -0.5], activation="relu"),
    "very different speeds": System(
        "fixed point", [[0.2, 0.5], [-0.5, 0.1]], [0.9, -0.9], b=[0.1, 0.3], taus=[1.0, 0.01]
    ),
    "chain": System("non-normal", [[0.0, 10.0], [0.0, 0.0]], [0.0, 1.0], activation="identity"),
    "chain inside the band": System("non-normal", [[0.0, 10.0], [0.0, 0.0]], [0.0, 5e-4], activation="identity"),
    "slow chain inside the band": System(
        "non-normal", [[0.99, 0.08], [0.0, 0.99]], [0.0, 4e-4], activation="identity", budget=3000
    ),
    "longer chain": System("non-normal", np.diag([3.0, -2.0, 4.0], 1), [0.5, -1.0, 0.2, 1.0], activation="identity"),
    "saturating chain": System("non-normal", np.diag([3.0, -2.0, 4.0], 1), [0.5, -1.0, 0.2, 1.0]),
    "overshoot": System(
        "non-normal", OVERSHOOT_W, [1 - 5e-3, 1e-4], activation="identity", time=20 * math.log(5)
    ),
    "monotone, Picard diverges": System(
        "monotone", monotone(12, 0.3, 0), np.zeros(12), b=_start(12, 7), activation="relu"
    ),
    "monotone, tanh": System("monotone", monotone(20, 0.2, 1), np.zeros(20), b=_start(20, 8), within=5e-3),
    "near Hopf": System("ringing", turn(0.8, 2.0), [0.5, 0.2]),
    "nearer Hopf": System("ringing", turn(0.95, 2.0), [0.5, 0.2]),
    "linear spiral": System("ringing", turn(0.97, 0.3), [0.5, 0.2], activation="identity"),
    "fast ringing": System("ringing", turn(0.5, 6.0), [0.0, 0.0], b=[0.5, -0.2]),
    "ring that dies": System("ringing", ring(3, 0.0, -1.8), [0.3, 0.0, 0.0]),
    "ghost": System("slow passage", [[2.0]], [-1.0], b=[FOLD_BIAS + 1e-2]),
    "slower ghost": System("slow passage", [[2.0]], [-1.0], b=[FOLD_BIAS + 1e-3]),
    "ghost slower than the band": System("slow passage", [[2.0]], [-1.0], b=[FOLD_BIAS + 1e-5], budget=3000),
    "before the fold": System("slow passage", [[2.0]], [-1.0], b=[FOLD_BIAS - 1e-3], rest=(0, -0.7255)),
    "ghost beside a spiral": System(
        "slow passage", [[2.0, 0, 0], [0.3, 0.5, 2], [0, -2, 0.5]], [-1.0, 0.5, 0.5], b=[FOLD_BIAS + 1e-3, 0, 0]
    ),
    "undecided": System("bistable", [[2.0]], [1e-3], rest=(0, UPPER)),
    "decided": System("bistable", [[2.0]], [-0.3], rest=(0, -UPPER)),
    "flip-flop": System("bistable", [[0.0, -2.0], [-2.0, 0.0]], [0.02, 0.0], rest=(0, UPPER)),
    "winner takes all": System("bistable", 2 * np.eye(3) - 1.5 * np.ones((3, 3)) + 0.5, [0.3, 0.29, 0.1], b=[0.2] * 3),
    "memory": System("bistable", hopfield(3), 0.3 * _start(12, 9)),
    "saddle, passed": System("saddle", [[2.0, 0.0], [0.0, 0.5]], [1e-3, 0.8], rest=(0, UPPER)),
    "saddle, Picard diverges": System("saddle", [[1.3, 0.0], [0.0, -3.0]], [1e-4, 0.8], rest=(0, 0.752), within=2e-3),
    "saddle, hardly left": System(
        "saddle", [[1.02, 0.0], [0.0, 0.5]], [1e-5, 0.8], rest=(0, 0.2406), budget=2000, within=2e-3
    ),
    "saddle, spiral out": System("saddle", [[1.1, 3, 0], [-3, 1.1, 0], [0, 0, 0.2]], [1e-4, 0, 0.8], _O, cycles=40),
    "saddle, head on": System("saddle", [[2.0, 0.0], [0.0, 0.5]], [0.0, 0.8], _T, budget=60),
    "saddle, by symmetry": System("saddle", [[0.5, -2.0], [-2.0, 0.5]], [0.4, 0.4], _T, budget=12),
    "on the hilltop": System("saddle", [[2.0]], [0.0], _T, budget=60),
    "repels by its speeds": System("saddle", UNEQUAL, [0.0, 0.0], _T, taus=[0.1, 1.0], budget=60),
    "limit cycle": System("limit cycle", turn(1.2, 2.0), [0.1, 0.2], _O, cycles=7),
    "limit cycle from far": System("limit cycle", turn(1.2, 2.0), [0.9, -0.9], _O, cycles=7),
    "barely a cycle": System("limit cycle", turn(1.05, 2.0), [0.1, 0.4], _O, cycles=12),
    "slow cycle": System("limit cycle", turn(1.5, 0.8), [0.1, 0.4], _O, cycles=5),
    "relaxation": System("limit cycle", turn(3.0, 2.2), [0.1, 0.4], _O, cycles=5),
    "fast cycle": System("limit cycle", turn(2.0, 6.0), [0.1, 0.4], _O, b=[0.3, -0.2], cycles=8),
    "ring of three": System("limit cycle", ring(3, 1.5, -4.0), [0.1, 0.2, 0.4], _O, b=[0.1, 0, 0], cycles=5),
    "ring of five": System("limit cycle", ring(5, 0.5, -2.0), [0.1, 0.2, 0.4, 0, 0], _O, cycles=5),
    "cycle by its speeds": System("limit cycle", UNEQUAL, [0.3, 0.2], _O, taus=[0.1, 1.0], cycles=9),
    "two frequencies": System(
        "quasi-periodic", np.kron(np.diag([1, 0]), turn(1.5, 2.0)) + np.kron(np.diag([0, 1]), turn(1.5, 4.7)),
        [0.5, 0.1, 0.4, -0.3], _T, budget=200,
    ),
    "three nodes": System("chaos", THREE_NODES, [0.1, 0.1, 0.1], _T, budget=200),
    "three nodes, close to an unstable cycle": System(
        "chaos", THREE_NODES, [-0.8678350065518505, 0.6826345592247665, -0.8666199824657972], _T, budget=125
    ),
    "three nodes, close to another": System(
        "chaos", THREE_NODES, [0.9299354879594715, -0.196727552222965, -0.4095314886746084], _T, budget=110
    ),
    "four nodes, close to an unstable cycle": System(
        "chaos", FOUR_NODES, [-0.8319693128352303, 0.6652882953067956, 0.5741966149773667, -0.5212611140140957], _T,
        budget=70,
    ),
    "four nodes": System("chaos", FOUR_NODES, [0.1, 0.1, 0.1, 0.1], _T, budget=150),
    **{
        f"random net of gain {gain:g}, seed {seed}": System(
            "chaos", random_gain(n, gain, seed), _start(n, 100 + seed), _T, budget=100
        )
        for n, gain, seed in ((40, 3.0, 2), (60, 4.0, 1), (80, 4.0, 2))
    },
    "rectifier above unit gain": System("diverging", [[1.2]], [0.0], _D, b=[0.1], activation="relu"),
    "growing spiral": System("diverging", turn(1.1, 2.0), [0.5, 0.2], _D, activation="identity"),
    "NaN drive": System("diverging", [[0.5]], [0.0], _D, b=[math.nan]),
    "endless drive": System("diverging", [[0.5]], [0.0], _D, b=[math.inf], activation="relu"),
    "at rest": System("at rest", [[0.5, 0.1], [0.0, -0.7]], [0.0, 0.0], time=0.0),
    "at a rest that is not zero": System("at rest", [[2.0]], [UPPER], time=0.0),
    "inside the band": System("at rest", [[0.9, 0.0], [0.0, -2.0]], [4e-4, -4e-4], time=0.0),
    "linear spiral of gap 3e-5": System(
        "slow", turn(1 - 3e-5, 2.0), [0.5, 0.2], _T, activation="identity", budget=60
    ),
    "fast linear spiral of gap 3e-5": System(
        "slow", turn(1 - 3e-5, 6.0), [0.5, 0.2], _T, activation="identity", budget=25
    ),
    "spiral of gap 3e-5": System("slow", turn(1 - 3e-5, 2.0), [0.03, 0.01], _T, budget=60),
    "undamped rotation": System("slow", turn(1.0, 2.0), [0.5, 0.2], _T, activation="identity", budget=60),
    "slower than its budget": System("slow", [[0.999]], [0.5], _T, activation="identity", budget=100),
    "hardly damped spiral": System("slow", turn(0.999, 2.0), [0.5, 0.2], _T, budget=80),
    "hardly damped linear spiral": System("slow", turn(0.9997, 2.0), [0.5, 0.2], _T, activation="identity", budget=80),
    "algebraic decay": System("slow", [[1.0]], [0.5], _T, budget=200),
}  # fmt: skip
