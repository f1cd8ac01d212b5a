"""IR drop by the sparse reduction, against an independent dense nodal analysis and the published square law."""

import numpy as np
import pytest

from analogdeq.circuits.wires import Wires, wired_crossbar
from analogdeq.errors import InputError, RangeError


def dense(G: np.ndarray, r_line: float, r_row: float, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(row,) currents into the virtual grounds and (line,) out of the drivers: one dense system, node by node.

    Modified nodal analysis with the sources' currents as unknowns, written without the reduction's matrices.
    """
    R, L = G.shape
    names = [f"{kind}{i},{j}" for i in range(R) for j in range(L) for kind in "ab"]
    names += [f"d{j}" for j in range(L)] + [f"t{i}" for i in range(R)]
    index = {name: k for k, name in enumerate(names)}
    n, m = len(names), L + R
    M, rhs = np.zeros((n + m, n + m)), np.zeros(n + m)

    def resistor(one: str, two: str, ohm: float) -> None:
        for a, b in ((one, two), (two, one)):
            M[index[a], index[a]] += 1 / ohm
            M[index[a], index[b]] -= 1 / ohm

    for i in range(R):
        for j in range(L):
            resistor(f"a{i},{j}", f"b{i},{j}", 1 / G[i, j])
            resistor(f"d{j}" if i == 0 else f"a{i - 1},{j}", f"a{i},{j}", r_line)
            resistor(f"b{i},{j}", f"t{i}" if j == L - 1 else f"b{i},{j + 1}", r_row)
    for k, (name, volt) in enumerate([*((f"d{j}", v[j]) for j in range(L)), *((f"t{i}", 0.0) for i in range(R))]):
        M[index[name], n + k] = M[n + k, index[name]] = 1.0
        rhs[n + k] = volt
    x = np.linalg.solve(M, rhs)
    return x[n + L :], -x[n : n + L]


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (8, 12)])
def test_the_effective_matrix_is_what_a_dense_nodal_analysis_finds(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    G = rng.uniform(1e-6, 1e-4, shape)
    wired = wired_crossbar(G, Wires(line_ohm=20.0, row_ohm=35.0))
    for _ in range(3):
        v = rng.uniform(-0.2, 0.2, shape[1])
        into, out = dense(G, 20.0, 35.0, v)
        np.testing.assert_allclose(wired.effective_S @ v, into, rtol=0, atol=1e-9 * np.abs(into).max())
        np.testing.assert_allclose(wired.driven_S @ v, out, rtol=0, atol=1e-9 * np.abs(out).max())


@pytest.mark.parametrize(("line", "row"), [(0.0, 30.0), (30.0, 0.0), (1e-7, 1e-7), (0.0, 0.0)])
def test_a_wire_without_resistance_is_the_limit_of_one_with_little(line: float, row: float) -> None:
    G = np.random.default_rng(2).uniform(1e-6, 1e-4, (6, 7))
    wired = wired_crossbar(G, Wires(line_ohm=line, row_ohm=row))
    near = wired_crossbar(G, Wires(line_ohm=line or 1e-7, row_ohm=row or 1e-7))
    np.testing.assert_allclose(wired.effective_S, near.effective_S, rtol=1e-6)
    np.testing.assert_allclose(wired.driven_S, near.driven_S, rtol=1e-6, atol=1e-12)
    if line < 1e-6 and row < 1e-6:
        np.testing.assert_allclose(wired.effective_S, G, rtol=1e-6)


@pytest.mark.parametrize(("n", "G", "worst", "mean"), [(64, 10e-6, 0.065, 0.053), (32, 10e-6, None, None)])
def test_the_error_of_a_uniform_array_follows_the_published_square_law(
    n: int, G: float, worst: float | None, mean: float | None
) -> None:
    """About 0.83 to 0.9 r G n^2 at worst and 0.67 to 0.72 on average, where small."""
    wired = wired_crossbar(np.full((n, n), G), Wires(line_ohm=2.0, row_ohm=2.0))
    error = 1 - wired.effective_S.sum(1) / (n * G)
    assert 0.75 < error.max() / (2.0 * G * n * n) < 1.0
    assert 0.6 < error.mean() / (2.0 * G * n * n) < 0.8
    if worst is not None and mean is not None:
        assert error.max() == pytest.approx(worst, abs=0.004)
        assert error.mean() == pytest.approx(mean, abs=0.004)


def test_what_drivers_send_is_what_arrives() -> None:
    G = np.random.default_rng(3).uniform(1e-6, 1e-4, (5, 6))
    wired = wired_crossbar(G, Wires(line_ohm=10.0, row_ohm=10.0))
    np.testing.assert_allclose(wired.driven_S.sum(0), wired.effective_S.sum(0), rtol=1e-9)
    np.testing.assert_allclose(wired.driven_S, wired.driven_S.T, rtol=0, atol=1e-15)
    assert np.linalg.eigvalsh(wired.driven_S).min() > 0


def test_the_elmore_delay_of_many_cells_is_half_r_c_n_squared() -> None:
    wires = Wires(line_ohm=2.0, row_ohm=3.0, cell_F=1e-16)
    assert wires.line_elmore_s(1) == pytest.approx(2e-16)
    assert wires.line_elmore_s(1000) == pytest.approx(0.5 * 2e-16 * 1e6, rel=2e-3)
    assert wires.row_elmore_s(1000) == pytest.approx(0.5 * 3e-16 * 1e6, rel=2e-3)


def test_impossible_wires_and_conductances_are_refused() -> None:
    with pytest.raises(RangeError, match="line_ohm = -1"):
        Wires(line_ohm=-1.0, row_ohm=0.0)
    for G in (np.ones(3), np.array([[-1.0]]), np.array([[np.nan]])):
        with pytest.raises(InputError, match="G must be"):
            wired_crossbar(G, Wires(line_ohm=1.0, row_ohm=1.0))
