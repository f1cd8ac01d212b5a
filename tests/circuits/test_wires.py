"""IR drop by the sparse reduction, against an independent dense nodal analysis and the published square law."""

import numpy as np
import pytest

from analogdeq.circuits.wires import Wires, wired_crossbar
from analogdeq.errors import InputError, RangeError
from dense_wires import dense


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
    assert wires.line_elmore_s(1) == pytest.approx(2e-16, rel=1e-6, abs=0)
    assert wires.line_elmore_s(1000) == pytest.approx(0.5 * 2e-16 * 1e6, rel=2e-3, abs=0)
    assert wires.row_elmore_s(1000) == pytest.approx(0.5 * 3e-16 * 1e6, rel=2e-3, abs=0)


def test_impossible_wires_and_conductances_are_refused() -> None:
    with pytest.raises(RangeError, match="line_ohm = -1"):
        Wires(line_ohm=-1.0, row_ohm=0.0)
    for G in (np.ones(3), np.array([[-1.0]]), np.array([[np.nan]])):
        with pytest.raises(InputError, match="G must be"):
            wired_crossbar(G, Wires(line_ohm=1.0, row_ohm=1.0))


def test_the_heat_of_the_devices_alone_is_the_sum_over_every_one_of_them() -> None:
    """Without a drop along the lines each device's voltage follows from its own row by hand: a chain of three cells."""
    G = np.array([[2e-4, 3e-4, 5e-4]])
    r, v = 400.0, np.array([0.3, -0.2, 0.1])
    # Node voltages of the row by Kirchhoff's law, cell by cell; the last ends at the virtual ground.
    M = np.diag(G[0] + np.array([1, 2, 2]) / r) - (np.diag([1, 1], 1) + np.diag([1, 1], -1)) / r
    row_V = np.linalg.solve(M, G[0] * v)
    wired = wired_crossbar(G, Wires(row_ohm=r))
    assert v @ wired.device_S @ v == pytest.approx(float((G[0] * (v - row_V) ** 2).sum()), rel=1e-9, abs=0)
    steps_V = np.diff(np.append(row_V, 0.0))
    wires_W = float((steps_V**2).sum()) / r
    assert v @ (wired.driven_S - wired.device_S) @ v == pytest.approx(wires_W, rel=1e-9, abs=0)


def test_what_a_virtual_ground_sees_is_what_one_volt_on_it_drives_in_a_dense_analysis() -> None:
    G = np.random.default_rng(4).uniform(1e-6, 1e-4, (4, 5))
    wired = wired_crossbar(G, Wires(line_ohm=150.0, row_ohm=90.0))
    # One volt on every line and ground drives nothing: what each line sends must come out of the grounds.
    np.testing.assert_allclose(wired.ground_S.sum(1), wired.effective_S.sum(1), rtol=1e-9)
    np.testing.assert_allclose(wired.ground_S, wired.ground_S.T, rtol=0, atol=1e-15)
    assert (wired.ground_S.diagonal() < G.sum(1)).all(), "wires stand between the amplifier and its devices"
    for k in range(4):
        volts = np.zeros(4)
        volts[k] = 1.0
        into, _ = dense(G, 150.0, 90.0, np.zeros(5), ground_V=volts)
        np.testing.assert_allclose(wired.ground_S[:, k], -into, rtol=0, atol=1e-9 * np.abs(into).max())


def test_a_pattern_is_the_sum_of_what_each_line_does() -> None:
    rng = np.random.default_rng(5)
    G, P = rng.uniform(1e-6, 1e-4, (4, 6)), rng.uniform(-1, 1, (6, 2))
    each, both = (wired_crossbar(G, Wires(line_ohm=50.0, row_ohm=70.0), p) for p in (None, P))
    np.testing.assert_allclose(both.effective_S, each.effective_S @ P, rtol=0, atol=1e-15)
    np.testing.assert_allclose(both.driven_S, each.driven_S @ P, rtol=0, atol=1e-15)
    np.testing.assert_allclose(both.device_S, P.T @ each.device_S @ P, rtol=0, atol=1e-15)


def test_tiles_too_small_for_a_pair_of_lines_are_refused() -> None:
    with pytest.raises(RangeError, match="wires tile = 1 must be at least 2"):
        Wires(tile=1)
