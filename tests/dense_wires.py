"""A crossbar with wires by dense modified nodal analysis, node by node; shares no code with the package."""

import numpy as np


def dense(
    G: np.ndarray, r_line: float, r_row: float, v: np.ndarray, ground_V: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(row,) currents into the virtual grounds and (line,) out of the drivers: one dense system, node by node.

    Modified nodal analysis with the sources' currents as unknowns, written without the reduction's matrices.
    """
    R, L = G.shape
    names = [f"{kind}{i},{j}" for i in range(R) for j in range(L) for kind in "ab"]
    names += [f"d{j}" for j in range(L)] + [f"t{i}" for i in range(R)]
    index = {name: k for k, name in enumerate(names)}
    n, m = len(names), L + R
    M, rhs = np.zeros((n + m, n + m)), np.zeros(n + m)

    def resistor(one: str, two: str, S: float) -> None:
        for a, b in ((one, two), (two, one)):
            M[index[a], index[a]] += S
            M[index[a], index[b]] -= S

    for i in range(R):
        for j in range(L):
            resistor(f"a{i},{j}", f"b{i},{j}", G[i, j])
            resistor(f"d{j}" if i == 0 else f"a{i - 1},{j}", f"a{i},{j}", 1 / r_line)
            resistor(f"b{i},{j}", f"t{i}" if j == L - 1 else f"b{i},{j + 1}", 1 / r_row)
    held_V = np.zeros(R) if ground_V is None else ground_V
    sources = [*((f"d{j}", v[j]) for j in range(L)), *((f"t{i}", held_V[i]) for i in range(R))]
    for k, (name, volt) in enumerate(sources):
        M[index[name], n + k] = M[n + k, index[name]] = 1.0
        rhs[n + k] = volt
    x = np.linalg.solve(M, rhs)
    return x[n + L :], -x[n : n + L]
