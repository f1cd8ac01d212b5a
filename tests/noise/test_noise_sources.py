"""Spectra, coloured processes and Brownian paths against their formulas."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.signal import welch

from analogdeq.errors import InputError
from analogdeq.noise import spectra
from analogdeq.noise.brownian import BrownianPath
from analogdeq.noise.coloured import Coloured, OrnsteinUhlenbeckSum, Telegraph, flicker_sum

K, Q = 1.380649e-23, 1.602176634e-19


def one(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def record(source: Coloured, steps: int, h: float, *, paths: int = 64, seed: int = 1) -> np.ndarray:
    """(path, step) of one node."""
    generator = torch.Generator().manual_seed(seed)
    state = source.start((paths, 1), generator, torch.float64)
    values = []
    for _ in range(steps):
        values.append(source.value(state)[:, 0])
        state = source.advance(state, h, generator)
    return torch.stack(values, 1).numpy()


def held(density: float, f: np.ndarray, h: float, rate: float) -> np.ndarray:
    """One-sided density of samples h apart of a process with autocorrelation s2 e^(-rate t): aliases included."""
    decay = math.exp(-rate * h)
    return 2 * density * h * (1 - decay**2) / (1 - 2 * decay * np.cos(2 * np.pi * f * h) + decay**2)


def test_thermal_and_barrier_noise_are_one_formula() -> None:
    assert spectra.thermal_current(1e-5, 300.0) == pytest.approx(4 * K * 300 * 1e-5, rel=1e-6, abs=0)
    assert spectra.two_sided(spectra.thermal_current(1e-5, 300.0)) == pytest.approx(2 * K * 300 * 1e-5, rel=1e-6, abs=0)
    near = spectra.barrier_current(1e-5 * 1e-9, 1e-9, 300.0)
    assert near == pytest.approx(spectra.thermal_current(1e-5, 300.0), rel=1e-6, abs=0)
    assert spectra.barrier_current(1e-5 * 1e-3, 1e-3, 300.0) == pytest.approx(near, rel=2e-4, abs=0)
    at_200_mV = spectra.barrier_current(1e-5 * 0.2, 0.2, 300.0)
    assert at_200_mV / spectra.thermal_current(1e-5, 300.0) == pytest.approx(3.9, abs=0.05)
    assert spectra.barrier_current(1e-5, 2.0, 300.0) == pytest.approx(2 * Q * 1e-5, rel=1e-9, abs=0)


def test_the_spectrum_of_one_process_holds_its_variance() -> None:
    area, _ = quad(lambda f: float(spectra.ornstein_uhlenbeck(np.array(f), 2.5, 3.0)), 0, np.inf)
    assert area == pytest.approx(2.5, rel=1e-6)
    step, high, low = 0.7, 2.0, 5.0
    area, _ = quad(lambda f: float(spectra.telegraph(np.array(f), step, high, low)), 0, np.inf)
    assert area == pytest.approx(step**2 * (2 / 7) * (5 / 7), rel=1e-6)


@pytest.mark.parametrize("h", [0.05, 0.5])
def test_a_simulated_process_has_the_variance_the_memory_and_the_spectrum_of_its_formula(h: float) -> None:
    source = OrnsteinUhlenbeckSum(one(2.0), one(0.3), one(1.5))
    x = record(source, 4096, h)
    assert x.var() == pytest.approx(0.3 * 1.5**2, rel=0.03)
    lag = int(0.5 / h)
    assert (x[:, :-lag] * x[:, lag:]).mean() / x.var() == pytest.approx(math.exp(-2.0 * lag * h), abs=0.02)
    f, S = welch(x, 1 / h, nperseg=512, axis=1)
    band = (f > 4 / (512 * h)) & (f < 0.4 / h)
    ratio = S.mean(0)[band] / held(0.3 * 1.5**2, f[band], h, 2.0)
    assert np.abs(ratio - 1).mean() < 0.04
    assert abs(ratio.mean() - 1) < 0.02


def test_sampled_densities_tend_to_the_continuous_one() -> None:
    f = np.array([0.01, 0.1, 1.0])
    np.testing.assert_allclose(held(0.3, f, 1e-4, 2.0), spectra.ornstein_uhlenbeck(f, 0.3, 2.0), rtol=1e-3)


@pytest.mark.parametrize("decades", [3, 6])
def test_one_over_f_ripples_less_than_half_a_percent_one_decade_inside(decades: int) -> None:
    source = flicker_sum(1.0, 10.0**decades, one(1.0))
    inside = np.geomspace(10.0, 10.0 ** (decades - 1), 400)
    worst = np.abs(source.density(inside) * inside - 1).max()
    assert worst < 5e-3
    edge = np.array([1.0, 10.0**decades])
    assert np.abs(source.density(edge) * edge - 1).max() < 0.05


def test_one_over_f_of_six_decades_takes_seventeen_processes_and_one_per_decade_ripples_more() -> None:
    source = flicker_sum(1.0, 1e6, one(1.0))
    assert len(source.rates) == 17
    spacing = math.log(10) / 2
    assert float(source.variances.sum()) == pytest.approx(math.log(1e8) + spacing, rel=1e-12), "S1 (ln(band) + d)"
    coarse = flicker_sum(1.0, 1e6, one(1.0), per_decade=1.0, padding_decades=3.0)
    inside = np.geomspace(1e2, 1e4, 400)
    ripple = np.abs(coarse.density(inside) * inside - 1).max()
    assert ripple == pytest.approx(2 / math.cosh(math.pi**2 / math.log(10)), rel=0.1)


def test_simulated_one_over_f_has_that_spectrum() -> None:
    source = flicker_sum(1e-3, 1.0, one(0.1))
    x = record(source, 8192, 0.1, paths=32)
    f, S = welch(x, 10.0, nperseg=4096, axis=1)
    band = (f > 0.01) & (f < 0.1)  # aliases of what lies beyond 5 add 2 % at 0.1
    assert np.mean(S.mean(0)[band] * f[band]) == pytest.approx(0.01, rel=0.05)


def test_what_stands_still_is_told_from_what_moves() -> None:
    source = flicker_sum(1e-6, 1.0, one(1.0))
    still, moving = source.split(100.0)
    assert bool((still.rates * 100 < 0.01).all())
    assert bool((moving.rates * 100 >= 0.01).all())
    assert len(still.rates) + len(moving.rates) == len(source.rates)
    assert len(still.rates) > 0
    with pytest.raises(InputError, match="0 < f_min < f_max"):
        flicker_sum(1.0, 1.0, one(1.0))


def test_telegraph_noise_is_high_for_its_share_and_has_its_spectrum() -> None:
    source = Telegraph(one(0.7), mean_high=2.0, mean_low=5.0)
    x = record(source, 4096, 0.2)
    assert abs(x.mean()) < 0.01
    assert x.var() == pytest.approx(0.49 * (2 / 7) * (5 / 7), rel=0.03)
    assert np.unique(x.round(9)).size == 2
    f, S = welch(x, 5.0, nperseg=512, axis=1)
    band = (f > 0.03) & (f < 2.0)
    ratio = S.mean(0)[band] / held(0.49 * 10 / 49, f[band], 0.2, 1 / 2 + 1 / 5)
    assert np.abs(ratio - 1).mean() < 0.05
    is_high = x > 0
    left = (is_high[:, :-1] & ~is_high[:, 1:]).sum() / is_high[:, :-1].sum()
    assert left == pytest.approx((5 / 7) * (1 - math.exp(-0.7 * 0.2)), rel=0.05)
    with pytest.raises(InputError, match="positive mean times"):
        Telegraph(one(1.0), mean_high=0.0, mean_low=1.0)


def test_halving_the_steps_of_a_path_keeps_the_path() -> None:
    path = BrownianPath(5, (3, 2), 8.0)
    fine = path.increments(6)
    for level in (0, 3, 5):
        coarse = BrownianPath(5, (3, 2), 8.0).increments(level)
        torch.testing.assert_close(coarse, fine.reshape(2**level, -1, 3, 2).sum(1), rtol=0, atol=1e-12)
    assert torch.equal(path.increments(6), fine)
    assert not torch.equal(BrownianPath(6, (3, 2), 8.0).increments(6), fine)


def test_the_steps_of_a_path_are_independent_normals_of_the_right_size() -> None:
    steps = BrownianPath(1, (2000,), 4.0).increments(5) / math.sqrt(4 / 32)
    assert float(steps.std()) == pytest.approx(1.0, abs=5 / math.sqrt(2 * steps.numel()))
    correlation = torch.corrcoef(steps) - torch.eye(32, dtype=torch.float64)
    assert float(correlation.abs().max()) < 5 / math.sqrt(2000)
    with pytest.raises(InputError, match="level = 30"):
        BrownianPath(1, (1,), 1.0).increments(30)
