"""Stuart-Landau oscillators, rotating waves in their own frame, features and noise."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.linalg import solve_continuous_lyapunov
from scipy.special import i0
from torch import Tensor

from analogdeq.cores.oscillators.corotating import Corotating
from analogdeq.cores.oscillators.features import (
    Features,
    OrderParameter,
    PhaseDifferences,
    Quadratures,
    SquaredAmplitudes,
)
from analogdeq.cores.oscillators.noise import diffuse
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
from analogdeq.errors import InputError
from analogdeq.solve.record import Record
from analogdeq.solve.rest import flow_eigenvalues
from analogdeq.solve.settle import settle
from analogdeq.solve.verdict import Verdict
from oscillator_oracles import D, adler_core, nothing, random_phase_core


def complex_coupling(n: int, seed: int, size: float = 0.3) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.tensor(size * (rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))) / n)


def random_amplitude_core(n: int, *, seed: int, referenced: bool, inputs: int = 2, shear: float = 0.6):
    rng = np.random.default_rng(seed)
    W = complex_coupling(n, seed, 0.2) + 0.9 / n
    if referenced:
        b = 0.2 * rng.normal(size=2 * n)
        b[::2] += 1.5
        outside = {"U": torch.tensor(0.3 * rng.normal(size=(2 * n, inputs))), "b": torch.tensor(b)}
    else:
        outside = {"tuning": torch.tensor(0.05 * rng.normal(size=(n, inputs)))}
    detuning = torch.tensor(0.05 * rng.normal(size=n))
    return StuartLandauCore(W, mu=0.8, shear=shear, detuning=detuning, tau_s=1.0, **outside)


def test_a_free_amplitude_grows_as_the_closed_form_says() -> None:
    mu, start = 0.7, 0.05
    record = Record(samples=(0,), interval_tau=0.25, until_tau=15)
    core = StuartLandauCore(torch.zeros(1, 1, dtype=D), mu=mu, tau_s=1.0)
    out = settle(core, nothing(), z0=torch.tensor([[start, 0.0]], dtype=D), rtol=1e-7, atol=1e-9, record=record)
    assert out.trace is not None
    time = out.trace.time_s
    expected = np.sqrt(mu / (1 + (mu / start**2 - 1) * np.exp(-2 * mu * time)))
    np.testing.assert_allclose(out.trace.state[:, 0, 0], expected, atol=1e-6)


def test_a_weakly_driven_amplitude_locks_like_adlers_phase() -> None:
    detuning, injection = 0.006, 0.01
    core = StuartLandauCore(
        torch.zeros(1, 1, dtype=D), b=torch.tensor([injection, 0.0], dtype=D),
        detuning=torch.tensor([detuning], dtype=D), tau_s=1.0,
    )  # fmt: skip
    out = settle(core, nothing(), max_time_tau=5000, throw=True)
    phase = math.atan2(float(out.z[0, 1]), float(out.z[0, 0]))
    assert phase == pytest.approx(math.asin(0.6), abs=0.01)
    slow = -flow_eigenvalues(core, core.drive(nothing()), out.z).real.amax()
    assert float(slow) == pytest.approx(math.sqrt(injection**2 - detuning**2), rel=0.02)


def test_shear_turns_a_larger_amplitude_faster() -> None:
    """Free rotation at delta - alpha mu: what the recurrence calls the period."""
    core = StuartLandauCore(
        torch.zeros(1, 1, dtype=D), mu=1.0, shear=0.5, detuning=torch.tensor([-0.3], dtype=D), tau_s=1.0
    )
    out = settle(core, nothing())
    assert out.verdict[0] is Verdict.OSCILLATING
    assert float(out.period_s) == pytest.approx(2 * math.pi / 0.8, rel=1e-3)


@pytest.mark.parametrize("shear", [0.0, 0.8])
def test_a_network_follows_scipy_in_complex_numbers(shear: float) -> None:
    core = random_amplitude_core(4, seed=5, referenced=True, shear=shear)
    u = torch.tensor([[0.4, -0.7]], dtype=D)
    out = settle(core, u, rtol=1e-7, atol=1e-9, throw=True)
    W, detuning = core.W.numpy(), core.detuning.numpy()
    pairs = (core.U @ u[0] + core.b).numpy()
    force = pairs[::2] + 1j * pairs[1::2]

    def flow(_t: float, a: np.ndarray) -> np.ndarray:
        return (0.8 + 1j * detuning - (1 + 1j * shear) * np.abs(a) ** 2) * a + W @ a + force

    path = solve_ivp(flow, (0, 200), np.full(4, math.sqrt(0.8) + 0j), method="DOP853", rtol=1e-11, atol=1e-12)
    end = path.y[:, -1]
    np.testing.assert_allclose(out.z[0, ::2], end.real, atol=1e-7)
    np.testing.assert_allclose(out.z[0, 1::2], end.imag, atol=1e-7)
    distance = np.abs(np.concatenate((path.y.real - end.real[:, None], path.y.imag - end.imag[:, None]))).max(0)
    last = path.t[np.flatnonzero(distance > 1e-3 * math.sqrt(0.8))[-1]]
    assert float(out.t_settle_s) == pytest.approx(last, abs=1.0)  # scipy's steps are that long


def test_a_rotating_wave_rests_in_its_own_frame_and_turns_at_the_collective_frequency() -> None:
    core = random_amplitude_core(5, seed=1, referenced=False)
    frame, u = Corotating(core, pinned=2), torch.tensor([[0.3, 0.9]], dtype=D)
    out = settle(frame, u, rtol=1e-6, atol=1e-9, band=1e-6, throw=True)
    omega = float(frame.collective_frequency(out.z, frame.drive(u)))
    a = frame.embed(out.z).numpy()[0]
    a = a[::2] + 1j * a[1::2]
    force = (core.detuning + core.tuning @ u[0]).numpy()
    flow = (0.8 + 1j * force - (1 + 0.6j) * np.abs(a) ** 2) * a + core.W.numpy() @ a
    np.testing.assert_allclose(flow, 1j * omega * a, atol=1e-9)
    assert a[2].imag == 0
    whole = settle(core, u)
    assert whole.verdict[0] is Verdict.OSCILLATING
    # The cycle counts as closed while the last hundredth of the lock is still to come.
    assert float(whole.period_s) == pytest.approx(2 * math.pi / abs(omega), rel=5e-3)


def test_the_frame_does_not_matter_for_what_is_left_of_the_phases() -> None:
    core = random_phase_core(6, seed=4, referenced=False)
    u = torch.rand(3, 3, dtype=D)
    first, second = Corotating(core, 0), Corotating(core, 4)
    a, b = settle(first, u, throw=True), settle(second, u, throw=True)
    one, other = PhaseDifferences(first), PhaseDifferences(second)
    torch.testing.assert_close(one(a.z), other(b.z), rtol=0, atol=1e-6)
    torch.testing.assert_close(
        first.collective_frequency(a.z, first.drive(u)), second.collective_frequency(b.z, second.drive(u))
    )


@pytest.mark.parametrize(
    ("core", "message"),
    [
        (adler_core(0.1), "has a reference"),
        (PhaseCore(torch.ones(2, 2), shil=0.1), "has a reference"),
        (PhaseCore(torch.ones(1, 1)), "at least two"),
    ],
)
def test_a_frame_of_ones_own_is_for_networks_without_a_reference(core: PhaseCore, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Corotating(core)


def test_quadratures_are_refused_without_a_reference() -> None:
    free = random_phase_core(4, seed=0, referenced=False)
    for core in (free, Corotating(free)):
        with pytest.raises(InputError, match="common phase is undefined"):
            Quadratures(core)
    with pytest.raises(InputError, match="amplitude 1"):
        SquaredAmplitudes(free)


@pytest.mark.parametrize("kind", [PhaseDifferences, OrderParameter, SquaredAmplitudes])
def test_features_do_not_see_a_common_rotation(kind: type[Features]) -> None:
    core = random_amplitude_core(4, seed=0, referenced=False)
    features = kind(core)
    z = torch.randn(3, 8, dtype=D)
    a = torch.view_as_complex(z.unflatten(1, (-1, 2)))
    turned = torch.view_as_real(a * torch.exp(torch.tensor(0.7j, dtype=torch.complex128))).flatten(1)
    torch.testing.assert_close(features(z), features(turned))
    assert features(z).shape == (3, features.n_features)
    if kind is not SquaredAmplitudes:
        phases, free = torch.randn(3, 4, dtype=D), random_phase_core(4, seed=0, referenced=False)
        torch.testing.assert_close(kind(free)(phases), kind(free)(phases + 0.7))


def test_quadratures_are_cosines_and_sines() -> None:
    core, z = random_phase_core(3, seed=0), torch.randn(2, 3, dtype=D)
    torch.testing.assert_close(Quadratures(core)(z), torch.cat((z.cos(), z.sin()), 1))


def test_the_variance_of_a_locked_phase_is_diffusion_over_rate() -> None:
    core, diffusion = adler_core(0.6), 1e-4
    z = torch.full((6000, 1), math.asin(0.6), dtype=D)
    noise = torch.Generator().manual_seed(0)
    end = diffuse(core, core.drive(nothing(6000)), z, diffusion=diffusion, until_tau=8, step_tau=0.05, generator=noise)
    assert float(end.var()) == pytest.approx(diffusion / 0.8, rel=0.05)  # 6000 samples: 1.8 % standard error


def test_long_steps_err_as_heuns_method_does() -> None:
    """Stationary variance over D / rate with k = rate h; Euler's method would have 1 / (1 - k / 2)."""
    core, diffusion, step = adler_core(0.6), 1e-4, 0.75
    z = torch.full((6000, 1), math.asin(0.6), dtype=D)
    noise = torch.Generator().manual_seed(4)
    end = diffuse(core, core.drive(nothing(6000)), z, diffusion=diffusion, until_tau=15, step_tau=step, generator=noise)
    k = 0.8 * step
    heun = (1 - k + k**2 / 4) / (1 - k + k**2 / 2 - k**3 / 8)
    assert float(end.var()) * 0.8 / diffusion == pytest.approx(heun, rel=0.05)  # 0.88; Euler's 1.43


def test_the_covariance_of_a_noisy_network_solves_lyapunovs_equation() -> None:
    core, diffusion, batch = random_phase_core(4, seed=7), 1e-4, 8000
    u = torch.rand(1, 3, dtype=D)
    rest = settle(core, u, throw=True).z
    A = core.linearise(rest, core.drive(u)).dense()[0].numpy() - np.eye(4)
    expected = solve_continuous_lyapunov(A, -2 * diffusion * np.eye(4))
    drive = core.drive(u.expand(batch, 3))
    noise = torch.Generator().manual_seed(1)
    end = diffuse(core, drive, rest.expand(batch, 4), diffusion=diffusion, until_tau=8, step_tau=0.05, generator=noise)
    np.testing.assert_allclose(np.cov(end.numpy().T), expected, atol=0.06 * expected.max())


def test_the_flip_rate_of_a_sub_harmonic_bit_is_the_exact_one() -> None:
    """D_eff = D / I_0(K_s / 2 D)^2; a bit flips at 2 D_eff / pi^2."""
    strength, diffusion, batch, until = 1.0, 0.5, 3000, 30.0
    core = PhaseCore(torch.zeros(1, 1, dtype=D), shil=strength, tau_s=1.0)
    noise = torch.Generator().manual_seed(2)
    end = diffuse(
        core, core.drive(nothing(batch)), torch.zeros(batch, 1, dtype=D),
        diffusion=diffusion, until_tau=until, step_tau=0.02, generator=noise,
    )  # fmt: skip
    measured = float((end**2).mean()) / (2 * until)
    assert measured == pytest.approx(diffusion / i0(strength / (2 * diffusion)) ** 2, rel=0.07)  # 2.6 % standard error


def test_free_oscillators_diffuse_together_at_a_share_of_the_diffusion() -> None:
    """Nothing holds the common phase: N identical oscillators diffuse at D / N."""
    n, batch, diffusion, until = 5, 3000, 0.01, 20.0
    core = PhaseCore(torch.full((n, n), 1.0, dtype=D), tau_s=1.0)
    noise = torch.Generator().manual_seed(3)
    end = diffuse(
        core, core.drive(nothing(batch)), torch.zeros(batch, n, dtype=D),
        diffusion=diffusion, until_tau=until, step_tau=0.05, generator=noise,
    )  # fmt: skip
    assert float(end.mean(1).var()) == pytest.approx(2 * diffusion / n * until, rel=0.08)


def test_noise_starts_from_its_seed_alone() -> None:
    core = adler_core(0.2)

    def end(seed: int) -> Tensor:
        return diffuse(
            core, core.drive(nothing(2)), torch.zeros(2, 1, dtype=D), diffusion=0.1, until_tau=1.0, step_tau=0.1,
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip

    assert torch.equal(end(0), end(0))
    assert not torch.equal(end(0), end(1))
    with pytest.raises(InputError, match="must not be negative"):
        diffuse(
            core, core.drive(nothing()), torch.zeros(1, 1, dtype=D), diffusion=-0.1, until_tau=1.0, step_tau=0.1,
            generator=torch.Generator(),
        )  # fmt: skip
