"""Random cores of every kind, settled well or badly, and the distance of where they ended from a root found elsewhere.

Run it for as many as you like: `PYTHONPATH=tests python tests/solve/error_bound_census.py 10000`.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from analogdeq.cores.rc import RCCore
from analogdeq.solve.error_bound import Bound
from analogdeq.solve.settle import settle
from helpers import PHI, Array

SLOPE = {
    "tanh": lambda p: 1 - np.tanh(p) ** 2,
    "sigmoid": lambda p: PHI["sigmoid"](p) * (1 - PHI["sigmoid"](p)),
    "hardtanh": lambda p: (np.abs(p) < 1).astype(float),
    "relu-clipped": lambda p: ((p > 0) & (p < 1)).astype(float),
    "relu": lambda p: (p > 0).astype(float),
    "identity": np.ones_like,
}
SAMPLES = 4
"""Inputs per core; one of them is counted."""


@dataclass
class Case:
    """One settled sample: its bound, and its distance from the root (NaN where Newton's method found none)."""

    bound: float
    kind: Bound
    distance: float
    what: str


def newton(W: Array, c: Array, gain: float, activation: str, z: Array) -> Array | None:
    """The root of z = a phi(W z + c) next to z in double precision; None if the iteration does not close in on one."""
    for _ in range(60):
        p = W @ z + c
        jacobian = np.eye(z.size) - gain * SLOPE[activation](p)[:, None] * W
        step = np.linalg.solve(jacobian, gain * PHI[activation](p) - z)
        z = z + step
        if np.abs(step).max() <= 1e-14 * (1 + np.abs(z).max()):
            return z
    return None


def case(seed: int, max_steps: int = 20_000) -> Case:
    """Random size, radius, activation, gain, time constants, precision, and quality of the settle."""
    rng = np.random.default_rng([20_483, seed])
    n, activation = int(rng.integers(2, 65)), str(rng.choice(list(PHI)))
    is_bounded = activation not in ("relu", "identity")
    dtype = torch.float32 if rng.random() < 0.5 else torch.float64
    W = rng.normal(size=(n, n))
    W *= rng.uniform(0.1, 1.3 if is_bounded else 0.97) / np.abs(np.linalg.eigvals(W)).max()
    gain = float(rng.choice([1.0, 0.7]))
    U, b = rng.normal(size=(n, 3)) * rng.choice([0.1, 1.0]), 0.3 * rng.normal(size=n)
    taus = np.exp(rng.choice([0.0, 0.3, 1.0]) * rng.normal(size=n))
    core = RCCore(
        *(torch.tensor(x, dtype=dtype) for x in (W, U, b)), activation=activation, gain=gain, tau_s=torch.tensor(taus)
    )
    u = torch.tensor(rng.uniform(-1, 1, (SAMPLES, 3)), dtype=dtype)
    options: dict[str, Any] = {"band": float(rng.choice([1e-3, 1e-2])), "max_time_tau": float(rng.choice([4.0, 60.0]))}
    out = settle(core, u, max_steps=max_steps, **options)
    k = int(rng.integers(SAMPLES))
    z = out.z[k].double().numpy()
    exact_W, exact_U, exact_b = (x.double().numpy() for x in (core.W, core.U, core.b))
    c = exact_U @ u[k].double().numpy() + exact_b
    found = newton(exact_W, c, gain, activation, z)
    distance = float("nan") if found is None else float(np.linalg.norm(found - z))
    what = f"seed {seed}: N = {n}, {activation}, {dtype}, {options}"
    return Case(float(out.error_bound[k]), out.error_bound_kind[k], distance, what)


def violations(cases: list[Case]) -> list[str]:
    """The cases whose bound does not hold. A proven root that Newton's method misses counts as one."""
    return [
        f"{x.what}: {x.kind.name} bound {x.bound:.3e}, distance {x.distance:.3e}"
        for x in cases
        if x.kind is not Bound.NONE and not x.distance <= x.bound
    ]


def main() -> None:
    """Count."""
    torch.set_num_threads(1)
    cases = [case(seed) for seed in range(int(sys.argv[1]))]
    print(Counter(x.kind.name for x in cases))
    for kind in (Bound.GLOBAL, Bound.LOCAL):
        ratios = [x.bound / x.distance for x in cases if x.kind is kind and x.distance > 0]
        print(kind.name, "bound over distance, quartiles:", np.quantile(ratios, [0.0, 0.25, 0.5, 0.75, 1.0]))
    wrong = violations(cases)
    print(f"{len(wrong)} violations of {len(cases)}", *wrong, sep="\n")


if __name__ == "__main__":
    main()
