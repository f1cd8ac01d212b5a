"""Oscillators settle under phase noise by the entry that RC cores have: against Adler, Lyapunov and von Mises."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import solve_continuous_lyapunov
from scipy.special import i0e, i1e

from analogdeq.circuits.oscillator import OscillatorKind
from analogdeq.cores.oscillators.corotating import Corotating
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
from analogdeq.errors import InputError
from analogdeq.noise.coloured import flicker_sum
from analogdeq.noise.ensemble import NoiseOptions, settle_with_noise
from analogdeq.noise.intensity import white_noise
from analogdeq.oscillator_chip import OscillatorChip
from analogdeq.solve.settle import settle
from helpers import circuit
from oscillator_oracles import D, adler_core, nothing, random_phase_core

NO_INPUT = torch.zeros(0, dtype=D)


def wide(linewidth_Hz: float) -> OscillatorKind:
    return OscillatorKind(
        name="test", title="test", source="a test", frequency_Hz=1e9, power_W=0.0, lock_ratio=0.1,
        linewidth_Hz=linewidth_Hz,
    )  # fmt: skip


def injected(n: int, injection: float = 1.0, detuning: float = 0.0) -> PhaseCore:
    b = torch.tensor([injection, 0.0], dtype=D).repeat(n)
    return PhaseCore(0.001 * torch.eye(n, dtype=D), b=b, detuning=torch.full((n,), detuning, dtype=D))


def test_a_chips_locked_phases_spread_by_their_linewidth_over_the_rate() -> None:
    chip = OscillatorChip(injected(8, detuning=0.6), circuit(), wide(1e5))
    out = settle_with_noise(chip, NO_INPUT, white_noise(chip), NoiseOptions(step_tau=1.0, until_tau=12.0, paths=2500))
    diffusion = math.pi * 1e5 / (2 * math.pi * 1e9 * 0.1)
    assert float(out.end.var(0).mean()) == pytest.approx(diffusion / 0.8, rel=0.05)  # 20,000 draws: 1 % standard error
    np.testing.assert_allclose(out.stationary_std, math.sqrt(diffusion / 0.8), rtol=1e-9)
    np.testing.assert_allclose(out.rest, math.asin(0.6), rtol=1e-9)


def test_the_spread_of_a_noisy_network_solves_lyapunovs_equation() -> None:
    core, q, u = random_phase_core(4, seed=7), torch.full((4,), 2e-4, dtype=D), torch.rand(3, dtype=D)
    out = settle_with_noise(core, u, q, NoiseOptions(step_tau=0.5, until_tau=10.0, paths=8000))
    W, phi = core.W.numpy(), out.rest.numpy()
    p, quadrature = (core.U @ u + core.b).numpy().reshape(4, 2).T
    pull = W * np.cos(phi[None, :] - phi[:, None])
    own = pull.sum(1) + p * np.cos(phi) + quadrature * np.sin(phi)
    expected = solve_continuous_lyapunov(pull - np.diag(own), -2e-4 * np.eye(4))
    np.testing.assert_allclose(np.cov(out.end.numpy().T), expected, atol=0.06 * expected.max())


def test_a_phase_under_strong_noise_is_von_mises_on_the_circle() -> None:
    """dphi = -F sin phi ds + sqrt(2 D) dW: density exp(F cos phi / D), whole turns included."""
    strength, diffusion = 1.0, 0.8
    q = torch.full((1,), 2 * diffusion, dtype=D)
    options = NoiseOptions(scheme="heun", step_tau=0.05, until_tau=15.0, paths=8000)
    out = settle_with_noise(adler_core(0.0, strength), NO_INPUT, q, options)
    kappa = strength / diffusion
    assert float(out.end.cos().mean()) == pytest.approx(float(i1e(kappa) / i0e(kappa)), abs=0.02)
    assert float(out.end.abs().max()) <= math.pi
    assert float(out.std[-1]) == pytest.approx(float(out.end.square().mean().sqrt()), rel=0.01)


def test_the_mean_phase_settles_when_the_noiseless_one_does() -> None:
    core, start = adler_core(0.6), torch.tensor([-2.0], dtype=D)
    quiet = settle(core, nothing(), z0=start.unsqueeze(0), rtol=1e-6, atol=1e-9, band=2e-2, throw=True)
    options = NoiseOptions(step_tau=0.02, until_tau=20.0, paths=400, band=2e-2)
    out = settle_with_noise(core, NO_INPUT, torch.full((1,), 1e-4, dtype=D), options, z0=start)
    assert out.is_resolved
    assert out.t_settle_s == pytest.approx(float(quiet.t_settle_s), rel=0.03)


def test_a_start_a_turn_away_is_the_same_settle() -> None:
    """What was released a whole turn further is read on the turn of the rest, at every time."""
    core, q, options = adler_core(0.6), torch.full((1,), 1e-3, dtype=D), NoiseOptions(until_tau=8.0, paths=16)
    one, other = (
        settle_with_noise(core, NO_INPUT, q, options, z0=torch.tensor([start], dtype=D))
        for start in (0.1, 0.1 + 2 * math.pi)
    )
    for name in ("mean", "std", "end", "readout"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=1e-9)


def test_a_readout_that_averages_sees_less_phase_noise() -> None:
    q, T = torch.full((1,), 2e-4, dtype=D), 4.0
    options = NoiseOptions(step_tau=0.05, until_tau=14.0, window_tau=T, paths=6000)
    out = settle_with_noise(adler_core(0.0), NO_INPUT, q, options)
    assert float(out.readout.var(0)) == pytest.approx(1e-4 * 2 * (T - 1 + math.exp(-T)) / T**2, rel=0.07)


def test_noise_in_both_quadratures_turns_an_amplitude_by_the_linewidth() -> None:
    """Injected by F, |a| = A with (mu - A^2) A + F = 0; across it the rate is F / A and the intensity 2 D mu."""
    mu, injection, n = 0.5, 0.3, 6
    core = StuartLandauCore(
        0.001 * torch.eye(n, dtype=D), b=torch.tensor([injection, 0.0], dtype=D).repeat(n), mu=mu - 0.001
    )
    chip = OscillatorChip(core, circuit(), wide(1e5))
    out = settle_with_noise(chip, NO_INPUT, white_noise(chip), NoiseOptions(step_tau=0.5, until_tau=20.0, paths=3000))
    size = float(out.rest[0])
    assert (mu - size**2) * size + injection == pytest.approx(0, abs=1e-6)
    expected = (mu - 0.001) * math.pi * 1e5 * chip.tau_s * size / injection
    assert float(out.end[:, 1::2].var(0).mean()) == pytest.approx(expected, rel=0.05)


def test_slow_noise_of_the_frequency_moves_the_lock_by_the_slope_of_the_arcsine() -> None:
    n = 4
    source = flicker_sum(1e-6, 1e-4, torch.full((n,), 0.001, dtype=D), padding_decades=0.0)
    q = torch.full((n,), 1e-14, dtype=D)
    core = injected(n, detuning=0.6)
    out = settle_with_noise(core, NO_INPUT, q, NoiseOptions(until_tau=15.0, paths=3000), coloured=(source,))
    expected = float(source.variances.sum()) * 1e-6 / 0.8**2
    assert float(out.end.var(0).mean()) == pytest.approx(expected, rel=0.06)


def test_the_intensity_of_a_chip_is_named_by_its_source() -> None:
    white = white_noise(OscillatorChip(injected(3), circuit(), wide(2e5)))
    assert list(white.terms) == ["oscillators"]
    assert white.after.tolist() == pytest.approx([2 * 2e5 / (2e9 * 0.1)] * 3)
    assert white.before.tolist() == [0.0] * 3


def test_oscillators_without_a_reference_have_no_stationary_noise() -> None:
    free = PhaseCore(torch.ones(3, 3, dtype=D) / 3, tau_s=1.0)
    for core in (free, Corotating(free)):
        with pytest.raises(InputError, match=r"without a reference|not for a Corotating"):
            settle_with_noise(core, NO_INPUT, torch.full((core.n_nodes,), 1e-4, dtype=D))
