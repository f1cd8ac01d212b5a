"""The pieces of compiled settles, each against numpy or scipy."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.linalg import expm

from helpers import random_core

pytest.importorskip("numba", reason="numba is not installed: nothing is compiled")

from analogdeq.cores.rc import RCCore
from analogdeq.solve.compiled import jit
from analogdeq.solve.compiled.arithmetic import from_bits, largest, size_bits, tanh
from analogdeq.solve.compiled.chunk import settle_chunk
from analogdeq.solve.compiled.excursion import MOST, last_exit, weights_at
from analogdeq.solve.compiled.jit import entry
from analogdeq.solve.compiled.lanes import room_for, together
from analogdeq.solve.compiled.matrices import exponential, least, times
from analogdeq.solve.compiled.network import network_of
from analogdeq.solve.compiled.outlook import EXTRA
from analogdeq.solve.compiled.product import FAR, IS_WIDE, TOGETHER, WIDTH, in_order, in_panels, product
from analogdeq.solve.compiled.quadrature import rule
from analogdeq.solve.compiled.space import _propagated, _rightmost, build, do_decay

RNG = np.random.default_rng(0)
product, times, exponential = entry(product), entry(times), entry(exponential)
least, together = entry(least), entry(together)
build, do_decay, propagated, rightmost = entry(build), entry(do_decay), entry(_propagated), entry(_rightmost)
last_exit, weights_at = entry(last_exit), entry(weights_at)


def test_machine_code_on_disk_is_used_only_while_no_source_has_changed() -> None:
    stamp = settle_chunk._cache._cache_file._source_stamp
    assert stamp == jit._stamp()
    assert {"analogdeq.solve.exits", "analogdeq.solve.compiled.space"} <= {name for name, _, _ in stamp}


@entry
def tanh_of(x, out):
    for i in range(x.shape[0]):
        out[i] = tanh(x[i])


@entry
def largest_of(x):
    return largest(x)


def test_tanh_in_single_precision_is_within_4e_7() -> None:
    x = np.concatenate((np.linspace(-12, 12, 400_001), 10.0 ** np.linspace(-30, 0, 1000), [0.0, -0.0])).astype(
        np.float32
    )
    out = np.empty_like(x)
    tanh_of(x, out)
    exact = np.tanh(x.astype(np.float64))
    assert np.abs(out - exact).max() < 4e-7
    is_small = (np.abs(x) > 1e-25) & (np.abs(x) < 1)
    assert np.abs(out[is_small] / exact[is_small] - 1).max() < 5e-7, "also relative to small values"
    assert np.abs(out).max() <= 1 + 2**-22


def test_tanh_in_double_precision_is_the_librarys() -> None:
    x = np.linspace(-20, 20, 10_001)
    out = np.empty_like(x)
    tanh_of(x, out)
    np.testing.assert_allclose(out, np.tanh(x), rtol=4e-16)


@entry
def there_and_back(x, out):
    for i in range(x.size):
        out[i] = from_bits(size_bits(x[i]), x[i])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sizes_are_in_the_order_of_their_bits_and_come_back_compiled_or_not(dtype: type) -> None:
    x = np.array([0.0, -1e-30, 3e-5, -0.5, 1.0, -7e8, np.inf, np.nan], dtype=dtype)
    bits, out = [size_bits(one) for one in x], np.empty_like(x)
    assert bits == sorted(bits)
    there_and_back(x, out)
    np.testing.assert_array_equal(out, np.abs(x))
    np.testing.assert_array_equal([from_bits(one, x[0]) for one in bits], np.abs(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_entry_is_found_whatever_its_sign_and_place(dtype: type) -> None:
    for n in (1, 7, 64, 257):
        for at in (0, n // 2, n - 1):
            for value in (3.5, -3.5):
                x = RNG.normal(size=n).astype(dtype).clip(-3, 3)
                x[at] = value
                assert largest_of(x) == 3.5
    assert largest_of(np.zeros(5, dtype)) == 0


def _panels(W: np.ndarray) -> np.ndarray:
    """As `in_order` makes them where registers are few."""
    width = WIDTH // W.itemsize
    return in_panels(W, width).reshape(-1, width)


def _rows(W: np.ndarray) -> np.ndarray:
    """As `in_order` leaves them where there are many."""
    return np.ascontiguousarray(W.T)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 32, 33, 64, 65, 100, 256, 257, 700])
@pytest.mark.parametrize("order", [_rows, _panels, in_order])
def test_a_product_is_exact_for_every_order_of_W_and_number_of_samples(order: Any, n: int, dtype: type) -> None:
    W = RNG.normal(size=(n, n)).astype(dtype)
    for count in range(1, 2 * TOGETHER + 2):
        points = RNG.normal(size=(count + 2, n)).astype(dtype)
        out = np.full_like(points, np.nan)
        product(order(W if count % 2 else np.asfortranarray(W)), points, out, count)
        exact = points[:count].astype(np.longdouble) @ W.T.astype(np.longdouble)
        bound = n * np.finfo(dtype).eps * (np.abs(points[:count]) @ np.abs(W.T))
        assert (np.abs(out[:count] - exact) <= bound).all(), "Higham, Accuracy and Stability, 2nd ed., (3.13)"
        assert np.isnan(out[count:]).all(), "other slots are left alone"


@pytest.mark.parametrize("n", [5, 64, 300])
def test_a_product_may_go_to_rows_that_are_apart(n: int) -> None:
    W, points = RNG.normal(size=(n, n)), RNG.normal(size=(4, n))
    out = np.full((4, 3, n), np.nan)
    product(in_order(W), points, out[:, 1], 4)
    np.testing.assert_allclose(out[:, 1], points @ W.T, rtol=1e-12, atol=1e-12)
    assert np.isnan(out[:, [0, 2]]).all(), "what lies between them is left alone"


def test_a_product_is_exact_where_W_comes_from_memory() -> None:
    n = int((FAR / 4) ** 0.5) + 5
    W, points = RNG.normal(size=(2, n, n)).astype(np.float32)
    out = np.empty_like(points[:7])
    weights = in_order(W)
    assert weights.nbytes > FAR
    product(weights, points[:7], out, 7)
    np.testing.assert_allclose(out, points[:7].astype(float) @ W.T.astype(float), rtol=0, atol=1e-3)


def test_W_by_columns_is_read_where_it_is_or_copied_once() -> None:
    W = np.asfortranarray(RNG.normal(size=(40, 40)))
    assert np.shares_memory(in_order(W), W) == IS_WIDE
    assert not np.shares_memory(in_order(np.ascontiguousarray(W)), W)


def test_what_is_not_finite_stays_with_its_sample() -> None:
    W, points = RNG.normal(size=(33, 33)), RNG.normal(size=(5, 33))
    points[2, 7] = np.nan
    out = np.zeros_like(points)
    for order in (_rows, _panels):
        product(order(W), points, out, 5)
        np.testing.assert_array_equal(np.isnan(out).all(1), [False, False, True, False, False])
        np.testing.assert_allclose(out[[0, 1, 3, 4]], points[[0, 1, 3, 4]] @ W.T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_slots", [6, 36])
def test_samples_share_products_evenly(n_slots: int) -> None:
    W = torch.zeros(1, 1) if n_slots == 6 else torch.zeros(int((FAR / 4) ** 0.5) + 1, int((FAR / 4) ** 0.5) + 1)
    slots = room_for(network_of(RCCore(W, torch.zeros(len(W), 1), torch.zeros(len(W)))), 1)
    assert len(slots.lane) == n_slots
    for samples in range(1, 5 * n_slots):
        shares, left = [], samples
        while left:
            shares.append(together(left, slots))
            left -= shares[-1]
        assert sum(shares) == samples
        assert len(shares) == -(-samples // n_slots), "as few products as can be"
        assert max(shares) - min(shares) <= 1, "none with few"


@pytest.mark.parametrize("size", [1, 2, 7, 8, 12, 14, 48])
def test_products_of_small_matrices_are_numpys(size: int) -> None:
    A, B = RNG.normal(size=(2, size, size))
    out = np.full_like(A, np.nan)
    np.testing.assert_allclose(times(A, B, out), A @ B, rtol=1e-12, atol=1e-13 * size)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_normal_equations_give_numpys_least_squares_solution(size: int) -> None:
    A, y = RNG.normal(size=(20, size)), RNG.normal(size=20)
    np.testing.assert_allclose(least(A.T @ A, A.T @ y), np.linalg.lstsq(A, y)[0], rtol=1e-4, atol=1e-6)


def test_normal_equations_of_one_vector_three_times_have_a_solution_as_well() -> None:
    A, y = np.tile(RNG.normal(size=(20, 1)), 3), RNG.normal(size=20)
    x = least(A.T @ A, A.T @ y)
    np.testing.assert_allclose(A @ x, A @ np.linalg.lstsq(A, y)[0], atol=1e-5)


@pytest.mark.parametrize(("intervals", "precise"), [(4, 2e-4), (8, 1e-9)])
def test_the_quadratures_are_exact_for_polynomials_of_their_degree(intervals: int, precise: float) -> None:
    nodes, fine, coarse = rule(intervals)
    for degree in range(intervals + 1):
        assert fine @ nodes**degree == pytest.approx(1 / (degree + 1), rel=1e-12)
    for degree in range(intervals // 2 + 1):
        assert coarse @ nodes**degree == pytest.approx(1 / (degree + 1), rel=1e-12)
    assert fine @ np.exp(-3 * nodes) == pytest.approx(quad(lambda x: math.exp(-3 * x), 0, 1)[0], rel=precise)


def test_the_exponential_is_scipys() -> None:
    H = RNG.normal(size=(12, 12))
    delta = 0.5 / np.abs(H).sum(1).max()
    np.testing.assert_allclose(exponential(H, delta), expm(delta * H), rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_rightmost_eigenvalue_and_the_tip_of_its_vector_are_lapacks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 17))
    H = rng.normal(size=(m, m)) / m**0.5
    values, vectors = np.linalg.eig(H)
    order = np.argsort(-values.real)
    if m > 2 and values.real[order[0]] - values.real[order[2 if values.imag[order[0]] else 1]] < 0.1:
        pytest.skip("two rightmost ones too close to tell apart")
    shift = values.real.max() + 0.3
    H -= shift * np.eye(m)
    E, is_stable = propagated(expm(H))
    assert is_stable
    tip = np.zeros(m)
    tip[-1] = 1.0
    growth, last = rightmost(H, E, tip)
    assert growth == pytest.approx(-0.3, abs=1e-3)
    assert last == pytest.approx(abs(vectors[-1, order[0]]), abs=3e-3)


def test_what_grows_does_not_decay_however_little_of_it_there_is() -> None:
    H = np.diag([-1.0, -2.0, 0.01])
    none = np.zeros(3)
    assert not do_decay(H, none, expm(H), 0.0, 1.0, 100)
    slower = H - 0.02 * np.eye(3)
    assert do_decay(slower, none, expm(slower), 0.0, 1.0, 100)


def test_the_last_exit_of_a_linear_state_is_where_a_dense_grid_sees_it() -> None:
    certain = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        m, n, band = 6, 40, 1e-3
        basis = np.linalg.qr(rng.normal(size=(n, m)))[0].T.copy()
        H = np.zeros((m + 1, m))
        H[:m] = 0.25 * rng.normal(size=(m, m)) - np.eye(m)
        way, out = np.zeros((MOST, m)), np.zeros(n)
        start = 20 * band * n**0.5 * np.eye(m)[0]
        found = last_exit(basis, H, start[0], 1e-3, band, way, out)
        if found.after < 0:  # near another exit, or too far
            continue
        certain += 1
        times = np.linspace(0, 40, 40_001)
        far = np.abs(np.stack(_orbit(expm(H[:m] * times[1]), start, len(times))) @ basis).max(1)
        assert found.after == pytest.approx(times[np.nonzero(far > band)[0][-1]], abs=2 * times[1])
        assert np.abs(out).max() == pytest.approx(band, rel=1e-4)
        weights = weights_at(way, 0.37 * found.after, found.step)
        exact = expm(H[:m] * 0.37 * found.after) @ start
        np.testing.assert_allclose(weights, exact, rtol=0, atol=2e-3 * np.abs(exact).max())
    assert certain >= 9


@pytest.mark.parametrize(
    ("dtype", "size", "precise"), [("float32", 12, 1e-3), ("float32", 48, 1e-3), ("float64", 40, 1e-9)]
)
def test_a_krylov_space_holds_the_map_and_its_basis_is_orthonormal(dtype: str, size: int, precise: float) -> None:
    torch_dtype = getattr(torch, dtype)
    core = random_core(120, seed=0, radius=0.9, dtype=torch_dtype, tau_s=1.0)
    network, rng = network_of(core), np.random.default_rng(1)
    slots = room_for(network, size + EXTRA)
    slope = slots.k[:, -1] = rng.uniform(0.3, 1, slots.p.shape)
    start = rng.normal(size=(3, 120))
    slots.k[:3, 0] = start / np.linalg.norm(start, axis=1, keepdims=True)
    H = np.zeros((slots.p.shape[0], size + 1, size))
    build(network, slots, H, size, 3)
    for s in range(3):
        A = np.diag(slope[s]).astype(float) @ core.W.double().numpy() - np.eye(120)
        V = slots.k[s, :size].astype(float)
        leads_out = V @ A.T - H[s, :size].T @ V
        scale = np.linalg.norm(A, 2)
        assert np.linalg.norm(leads_out[:-1]) < precise * scale
        assert np.linalg.norm(leads_out[-1]) == pytest.approx(H[s, size, size - 1], rel=precise)
        assert np.linalg.norm(V @ V.T - np.eye(size), 2) < precise


def _orbit(step: np.ndarray, w: np.ndarray, count: int) -> list[np.ndarray]:
    out = [w]
    for _ in range(count - 1):
        out.append(step @ out[-1])
    return out
