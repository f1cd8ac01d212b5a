"""Phase oscillators against Adler, Kuramoto, Ott and Antonsen, and sub-harmonic locking."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from analogdeq.cores.oscillators.corotating import Corotating
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.errors import InputError
from analogdeq.solve.record import Record
from analogdeq.solve.rest import flow_eigenvalues
from analogdeq.solve.settle import settle
from analogdeq.solve.verdict import Verdict
from oscillator_oracles import (
    D,
    adler_core,
    adler_trajectory,
    all_to_all,
    lorentzian_quantiles,
    nothing,
    random_phase_core,
    rk4,
)


@pytest.mark.parametrize("detuning", [-0.999, -0.6, 0.0, 0.6, 0.999])
def test_an_oscillator_locks_inside_adlers_range_at_his_phase_and_rate(detuning: float) -> None:
    core = adler_core(detuning)
    out = settle(core, nothing(), z0=torch.tensor([[1.0]], dtype=D), throw=True)
    assert float(out.z) == pytest.approx(math.asin(detuning), abs=1e-6)
    rate = -flow_eigenvalues(core, core.drive(nothing()), out.z).real
    assert float(rate) == pytest.approx(math.sqrt(1 - detuning**2), rel=1e-5)


@pytest.mark.parametrize("detuning", [-1.02, 1.02, 1.5, 4.0])
def test_outside_adlers_range_the_verdict_is_oscillating_with_the_beat_period(detuning: float) -> None:
    out = settle(adler_core(detuning), nothing())
    assert out.verdict[0] is Verdict.OSCILLATING
    assert math.isnan(float(out.t_settle_s))
    assert float(out.period_s) == pytest.approx(2 * math.pi / math.sqrt(detuning**2 - 1), rel=1e-3)


def test_the_lock_follows_adlers_full_trajectory() -> None:
    start, detuning, injection = -2.5, 0.6, 1.3
    record = Record(samples=(0,), interval_tau=0.1)
    core = adler_core(detuning, injection)
    out = settle(core, nothing(), z0=torch.tensor([[start]], dtype=D), rtol=1e-8, atol=1e-10, record=record)
    assert out.trace is not None
    expected = adler_trajectory(out.trace.time_s, detuning, injection, start)
    np.testing.assert_allclose(out.trace.state[:, 0, 0], expected, atol=3e-7)  # recorded in float32


def test_the_settling_time_is_when_adlers_trajectory_enters_the_band() -> None:
    start, detuning, band = -2.5, 0.6, 1e-3
    rest = math.asin(detuning)
    out = settle(adler_core(detuning), nothing(), z0=torch.tensor([[start]], dtype=D), band=band)
    expected = brentq(lambda t: abs(adler_trajectory(np.array(t), detuning, 1.0, start) - rest) - band, 1, 60)
    assert float(out.t_settle_s) == pytest.approx(expected, rel=1e-3)


def test_a_phase_that_slips_rests_a_turn_away_and_settles_just_the_same() -> None:
    """From behind the unstable point pi - phi* the phase goes round; on e^{i phi} it comes to the same rest."""
    core, start = adler_core(0.6), torch.tensor([[2.6], [2.6 - 2 * math.pi]], dtype=D)
    out = settle(core, nothing(2), z0=start, throw=True)
    assert float(out.z[0] - out.z[1]) == pytest.approx(2 * math.pi, abs=1e-6)
    assert float(out.z[0]) == pytest.approx(math.asin(0.6) + 2 * math.pi, abs=1e-6)
    # Up to the steps, which see the turn in rounding only, both are one trajectory of e^{i phi}.
    torch.testing.assert_close(out.t_settle_s[0], out.t_settle_s[1], rtol=1e-9, atol=0)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_two_oscillators_lock_where_their_detuning_is_below_twice_the_coupling(strength: float) -> None:
    def settled(detuning: float) -> tuple[Verdict, float]:
        W = torch.tensor([[0.0, strength], [strength, 0.0]], dtype=D)
        core = Corotating(PhaseCore(W, detuning=torch.tensor([0.0, detuning], dtype=D), tau_s=1.0))
        out = settle(core, nothing())
        return out.verdict[0], float(out.z)

    verdict, difference = settled(1.98 * strength)
    assert verdict is Verdict.SETTLED
    assert difference == pytest.approx(math.asin(0.99), abs=1e-5)
    assert settled(2.02 * strength)[0] is Verdict.OSCILLATING


def test_sub_harmonic_injection_locks_at_two_phases_half_a_turn_apart() -> None:
    strength, detuning = 1.0, 0.5
    core = PhaseCore(torch.zeros(1, 1, dtype=D), detuning=torch.tensor([detuning], dtype=D), shil=strength, tau_s=1.0)
    start = torch.linspace(-3, 3, 40, dtype=D).unsqueeze(1)
    out = settle(core, nothing(40), z0=start, throw=True)
    first = 0.5 * math.asin(detuning / strength)
    slot = (out.z - first) / math.pi
    torch.testing.assert_close(slot, slot.round(), rtol=0, atol=1e-6)
    assert set((slot.round() % 2).flatten().tolist()) == {0.0, 1.0}
    rate = -flow_eigenvalues(core, core.drive(nothing(40)), out.z).real
    torch.testing.assert_close(rate, torch.full_like(rate, 2 * math.sqrt(strength**2 - detuning**2)))


def test_sub_harmonic_locking_fails_beyond_its_strength() -> None:
    core = PhaseCore(torch.zeros(1, 1, dtype=D), detuning=torch.tensor([1.1], dtype=D), shil=1.0, tau_s=1.0)
    out = settle(core, nothing())
    assert out.verdict[0] is Verdict.OSCILLATING
    # theta = 2 phi obeys Adler with twice the detuning and strength; a turn of phi is two of theta.
    assert float(out.period_s) == pytest.approx(2 * 2 * math.pi / (2 * math.sqrt(1.1**2 - 1)), rel=2e-3)


@pytest.mark.parametrize("over", [1.5, 2.0])
def test_the_order_parameter_of_lorentzian_frequencies_is_kuramotos(over: float) -> None:
    n, half_width = 1000, 1.0
    strength = 2 * half_width * over  # K_c = 2 / (pi g(0)) = 2 gamma
    frequency = torch.tensor(lorentzian_quantiles(n, half_width))
    core = PhaseCore(all_to_all(n, strength), detuning=frequency, tau_s=1.0)
    drive = core.drive(nothing())
    expected = math.sqrt(1 - 1 / over)
    z0 = torch.linspace(-1, 1, n, dtype=D)[torch.randperm(n)].unsqueeze(0)
    path = rk4(lambda z: core.fixed_point_map(z, drive) - z, z0, 0.05, 400)
    r = torch.exp(1j * path[200:]).mean(-1).abs()  # the mean over time of what finite size leaves of fluctuation
    assert float(r.mean()) == pytest.approx(expected, rel=0.01)


def test_below_the_critical_coupling_there_is_no_order() -> None:
    n = 500
    core = PhaseCore(all_to_all(n, 1.0), detuning=torch.tensor(lorentzian_quantiles(n, 1.0)), tau_s=1.0)
    drive = core.drive(nothing())
    path = rk4(lambda z: core.fixed_point_map(z, drive) - z, torch.zeros(1, n, dtype=D), 0.05, 300)
    assert float(torch.exp(1j * path[200:]).mean(-1).abs().mean()) < 0.05


def test_the_order_parameter_rises_as_ott_and_antonsen_say() -> None:
    """dr/dt = (K/2 - gamma) r - (K/2) r^3 for Lorentzian frequencies from a Poisson-kernel start."""
    n, half_width, strength, start = 1000, 1.0, 4.0, 0.1
    quantile = (np.arange(n) * 0.6180339887498949 + 0.5) % 1  # a lattice: frequency and phase are independent
    phase = 2 * np.arctan((1 - start) / (1 + start) * np.tan(np.pi * (quantile - 0.5)))  # mean of e^{i phi} is r0
    core = PhaseCore(all_to_all(n, strength), detuning=torch.tensor(lorentzian_quantiles(n, half_width)), tau_s=1.0)
    drive = core.drive(nothing())
    path = rk4(lambda z: core.fixed_point_map(z, drive) - z, torch.tensor(phase).unsqueeze(0), 0.02, 200)
    r = torch.exp(1j * path[:, 0]).mean(-1).abs().numpy()
    time = 0.02 * np.arange(201)
    grow = strength / 2 - half_width
    squared = 1 / (strength / 2 / grow + (1 / start**2 - strength / 2 / grow) * np.exp(-2 * grow * time))
    assert r[0] == pytest.approx(start, abs=2e-3)
    np.testing.assert_allclose(r, np.sqrt(squared), atol=0.012)


def test_a_locked_population_of_uniform_frequencies_meets_its_self_consistency() -> None:
    """r = mean sqrt(1 - (w_i / K r)^2), exact for any N where every oscillator is locked."""
    n, strength = 60, 2.0
    frequency = np.linspace(-1, 1, n)
    frame = Corotating(PhaseCore(all_to_all(n, strength), detuning=torch.tensor(frequency), tau_s=1.0))
    out = settle(frame, nothing(), throw=True)
    r = float(torch.exp(1j * frame.embed(out.z)).mean().abs())
    low = np.abs(frequency).max() / strength
    expected = brentq(lambda r: np.sqrt(1 - (frequency / (strength * r)) ** 2).mean() - r, max(low, 0.7) + 1e-9, 1)
    assert r == pytest.approx(expected, rel=1e-7)
    omega = frame.collective_frequency(out.z, frame.drive(nothing()))
    assert float(omega) == pytest.approx(0, abs=1e-6)


def test_without_noise_the_energy_of_a_symmetric_network_only_falls() -> None:
    rng = np.random.default_rng(3)
    W = rng.normal(size=(12, 12))
    core = PhaseCore(torch.tensor(W + W.T), shil=0.7, tau_s=1.0)
    drive = core.drive(nothing(20))
    path = rk4(lambda z: core.fixed_point_map(z, drive) - z, torch.tensor(rng.uniform(-3, 3, (20, 12))), 0.01, 300)
    energy = torch.stack([core.energy(z) for z in path])
    assert float((energy[1:] - energy[:-1]).max()) < 1e-12
    z = path[50].clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(core.energy(z).sum(), z)
    torch.testing.assert_close(core.fixed_point_map(z, drive) - z, -slope)


def test_an_energy_is_refused_where_there_is_none() -> None:
    W = torch.tensor([[0.0, 1.0], [0.5, 0.0]], dtype=D)
    with pytest.raises(InputError, match="symmetric"):
        PhaseCore(W).energy(torch.zeros(1, 2, dtype=D))
    with pytest.raises(InputError, match="without detuning"):
        PhaseCore(W + W.T, detuning=torch.ones(2, dtype=D)).energy(torch.zeros(1, 2, dtype=D))


def test_different_starts_come_to_different_rests_and_each_says_settled() -> None:
    """A ring of oscillators has a twisted state for every winding number q < N / 4 (Wiley, Strogatz, Girvan 2006)."""
    n = 12
    W = torch.zeros(n, n, dtype=D)
    for k in range(n):
        W[k, (k + 1) % n] = W[k, (k - 1) % n] = 1.0
    frame = Corotating(PhaseCore(W, tau_s=1.0))
    windings = torch.tensor([0, 1, 2, -2], dtype=D).unsqueeze(1)
    full = 2 * math.pi / n * windings * torch.arange(n, dtype=D)
    z0 = full + 0.2 * torch.randn(full.shape, dtype=D, generator=torch.Generator().manual_seed(0))
    z0 = frame.without_pinned(z0 - z0[:, :1])
    out = settle(frame, nothing(4), z0=z0, throw=True)
    torch.testing.assert_close(frame.embed(out.z), full, rtol=0, atol=1e-5)


def test_a_start_on_an_unstable_lock_is_not_called_settled() -> None:
    W = torch.tensor([[0.0, -1.0], [-1.0, 0.0]], dtype=D)
    frame = Corotating(PhaseCore(W, tau_s=1.0))
    in_phase, opposite = torch.zeros(1, 1, dtype=D), torch.full((1, 1), math.pi, dtype=D)
    drive = frame.drive(nothing())
    assert not bool(flow_eigenvalues(frame, drive, in_phase).real.max() < 0)
    assert bool(flow_eigenvalues(frame, drive, opposite).real.max() < 0)
    assert settle(frame, nothing(), z0=in_phase).verdict[0] is not Verdict.SETTLED
    out = settle(frame, nothing(), z0=in_phase + 0.1, throw=True)
    torch.testing.assert_close(out.z, opposite, rtol=0, atol=1e-5)


def test_sparse_couplings_do_what_dense_ones_do() -> None:
    dense = random_phase_core(30, seed=2)
    mask = torch.rand(30, 30, generator=torch.Generator().manual_seed(1)) < 0.15
    W = dense.W * mask
    options = {"U": dense.U, "b": dense.b, "detuning": dense.detuning, "shil": 0.1, "tau_s": 1.0}
    one, other = PhaseCore(W, **options), PhaseCore(W.to_sparse(), **options)
    u = torch.rand(4, 3, dtype=D)
    a, b = settle(one, u, throw=True), settle(other, u, throw=True)
    torch.testing.assert_close(a.z, b.z, rtol=0, atol=1e-9)
    torch.testing.assert_close(a.t_settle_s, b.t_settle_s, rtol=1e-9, atol=0)
    drive = other.drive(u)
    first, second = one.linearise(a.z, one.drive(u)), other.linearise(a.z, drive)
    v = torch.randn(4, 30, dtype=D)
    for name in ("matvec", "rmatvec"):
        torch.testing.assert_close(getattr(first, name)(v), getattr(second, name)(v))
    torch.testing.assert_close(first.dense(), second.dense())


def test_sparse_couplings_hold_one_number_per_edge() -> None:
    W = torch.eye(1000).to_sparse()
    core = PhaseCore(W)
    assert core.W.shape == (1000,)
    assert sum(t.numel() for t in core.state_dict().values()) < 6000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W": torch.zeros(2, 3)}, "square"),
        ({"W": torch.zeros(2, 2, dtype=torch.int64)}, "float32"),
        ({"W": torch.full((2, 2), torch.nan)}, "NaN or infinite"),
        ({"b": torch.zeros(2)}, r"b must have shape \(4,\)"),
        ({"U": torch.zeros(4, 1, dtype=D)}, "one precision"),
        ({"detuning": torch.tensor([0.0, torch.inf])}, "detuning has entries"),
        ({"tau_s": 0.0}, "tau_s must be positive"),
        ({"shil": math.inf}, "shil"),
        ({"W": torch.zeros(2, 2, dtype=torch.complex64).to_sparse()}, "make a complex one dense"),
    ],
)
def test_what_no_oscillator_network_can_be_is_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PhaseCore(**{"W": torch.zeros(2, 2), **change})


@pytest.mark.parametrize("method", ["rodas5p", "auto"])
def test_every_stepper_takes_an_oscillators_own_drive(method: str) -> None:
    core = adler_core(0.9999)
    start = torch.tensor([[0.0]], dtype=D)
    out = settle(core, nothing(), method=method, z0=start, throw=True, max_time_tau=2000.0)
    explicit = settle(core, nothing(), method="tsit5", z0=start, throw=True, max_time_tau=2000.0)
    assert float(out.z) == pytest.approx(math.asin(0.9999), abs=1e-5)
    assert float(out.t_settle_s) == pytest.approx(float(explicit.t_settle_s), rel=2e-3)
