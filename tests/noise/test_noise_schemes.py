"""Exact linear steps, stationary variances, and strong and weak orders of the schemes."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.linalg import expm, solve_discrete_lyapunov

from analogdeq.errors import InputError, SettleError
from analogdeq.noise.brownian import BrownianPath
from analogdeq.noise.linear import exact_step, stationary_covariance
from analogdeq.noise.schemes import (
    EulerMaruyama,
    ExponentialStep,
    ImplicitMidpoint,
    ImplicitTrapezoid,
    Scheme,
    StratonovichHeun,
)

A = np.array([[-1.0, 3.0, 0.0], [-0.5, -1.2, 0.4], [0.2, 0.0, -0.3]])
B = np.array([[1.0, 0.2, 0.0], [0.0, 0.5, 0.3], [0.1, 0.0, 0.8]])
NOISE = B @ B.T


@pytest.mark.parametrize("h", [1e-3, 0.7, 12.0])
def test_the_exact_step_is_what_its_moment_equations_integrate_to(h: float) -> None:
    step = exact_step(A, NOISE, h)

    def rates(_t: float, y: np.ndarray) -> np.ndarray:
        P, F = y[:9].reshape(3, 3), y[9:].reshape(3, 3)
        return np.concatenate(((A @ P + P @ A.T + NOISE).ravel(), (A @ F + np.eye(3)).ravel()))

    y = solve_ivp(rates, (0, h), np.zeros(18), method="DOP853", rtol=1e-12, atol=1e-15).y[:, -1]
    np.testing.assert_allclose(step.covariance, y[:9].reshape(3, 3), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(step.response, y[9:].reshape(3, 3), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(step.propagator, expm(A * h), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(step.root @ step.root.T, step.covariance, rtol=1e-9, atol=1e-14)


def test_a_very_long_step_ends_in_the_stationary_law_and_does_not_overflow() -> None:
    stiff = A - 50 * np.eye(3)
    P = stationary_covariance(stiff, NOISE)
    np.testing.assert_allclose(stiff @ P + P @ stiff.T + NOISE, 0, atol=1e-12)
    np.testing.assert_allclose(exact_step(stiff, NOISE, 1e3).covariance, P, rtol=1e-6, atol=1e-15)
    with pytest.raises(InputError, match="noise grows without end"):
        stationary_covariance(A + 2 * np.eye(3), NOISE)


def test_a_noise_of_fewer_sources_than_nodes_has_a_root_too() -> None:
    b = np.array([[1.0], [2.0], [0.0]])
    step = exact_step(np.diag([-1.0, -1.0, -1.0]), b @ b.T, 0.5)
    np.testing.assert_allclose(step.root @ step.root.T, step.covariance, atol=1e-12)


def matrices_of(scheme: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """(M, N) of a linear scheme, z' = M z + N dW, found by stepping unit vectors."""
    eye, zero = torch.eye(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    return scheme.step(eye, zero).T.numpy(), scheme.step(zero, eye).T.numpy()


def linear_schemes(h: float) -> dict[str, Scheme]:
    A_T, B_T = torch.as_tensor(A.T.copy()), torch.as_tensor(B.T.copy())

    def f(z: torch.Tensor) -> torch.Tensor:
        return z @ A_T

    def g(z: torch.Tensor, dW: torch.Tensor) -> torch.Tensor:
        return dW @ B_T

    return {
        "midpoint": ImplicitMidpoint(f, g, h, torch.as_tensor(A)),
        "trapezoid": ImplicitTrapezoid(f, g, h, torch.as_tensor(A)),
        "exponential": ExponentialStep(f, exact_step(A, NOISE, h), h, A_T),
        "heun": StratonovichHeun(f, g, h),
        "euler": EulerMaruyama(f, g, h),
    }


@pytest.mark.parametrize("h", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("name", ["midpoint", "trapezoid", "exponential"])
def test_the_stationary_covariance_is_exact_at_any_step_cross_terms_included(name: str, h: float) -> None:
    M, N = matrices_of(linear_schemes(h)[name])
    P = solve_discrete_lyapunov(M, h * N @ N.T)
    np.testing.assert_allclose(P, stationary_covariance(A, NOISE), rtol=1e-9, atol=1e-12)


def test_explicit_schemes_are_biased_as_theory_says() -> None:
    for k in (0.05, 0.2):
        for scheme_type, ratio in (
            (EulerMaruyama, 1 / (1 - k / 2)),
            (StratonovichHeun, (1 - k + k * k / 4) / (1 - k + k * k / 2 - k**3 / 8)),
        ):
            scheme = scheme_type(lambda z: -z, lambda z, dW: dW, k)
            one = torch.ones(1, 1, dtype=torch.float64)
            m, n = float(scheme.step(one, 0 * one)), float(scheme.step(0 * one, one))
            assert k * n * n / (1 - m * m) / 0.5 == pytest.approx(ratio, rel=1e-12)


def test_a_linear_drift_is_exact_in_law_at_any_step() -> None:
    M, N = matrices_of(linear_schemes(3.0)["exponential"])
    np.testing.assert_allclose(M, expm(3 * A), atol=1e-10)
    np.testing.assert_allclose(3.0 * N @ N.T, exact_step(A, NOISE, 3.0).covariance, atol=1e-10)


def curved(z: torch.Tensor) -> torch.Tensor:
    return torch.tanh(1.5 * z + 0.5) - z


def additive(z: torch.Tensor, dW: torch.Tensor) -> torch.Tensor:
    return 0.6 * dW


def run(make: Callable[[float], Scheme], increments: torch.Tensor, horizon: float, z0: float) -> torch.Tensor:
    scheme, z = make(horizon / len(increments)), torch.full_like(increments[0], z0)
    for dW in increments:
        z = scheme.step(z, dW)
    return z


def order(errors: list[float]) -> float:
    """Slope of log error against log step, for steps halved each time."""
    return float(np.polyfit(np.arange(len(errors)), -np.log2(errors), 1)[0])


def midpoint(h: float) -> ImplicitMidpoint:
    return ImplicitMidpoint(curved, additive, h, torch.tensor([[-0.5]], dtype=torch.float64))


def trapezoid(h: float) -> ImplicitTrapezoid:
    return ImplicitTrapezoid(curved, additive, h, torch.tensor([[-0.5]], dtype=torch.float64))


STRONG: list[tuple[str, Callable[[float], Scheme], float]] = [
    ("euler", lambda h: EulerMaruyama(curved, additive, h), 1.0),
    ("heun", lambda h: StratonovichHeun(curved, additive, h), 1.0),
    ("midpoint", midpoint, 1.0),
    ("trapezoid", trapezoid, 1.0),
]


@pytest.mark.parametrize(("name", "make", "least"), STRONG)
def test_paths_converge_at_the_strong_order(name: str, make: Callable[[float], Scheme], least: float) -> None:
    path = BrownianPath(3, (200, 1), 2.0)
    reference = run(lambda h: StratonovichHeun(curved, additive, h), path.increments(11), 2.0, -1.0)
    errors = [float((run(make, path.increments(k), 2.0, -1.0) - reference).abs().mean()) for k in (5, 6, 7, 8)]
    assert order(errors) == pytest.approx(least, abs=0.15)


WEAK: list[tuple[str, Callable[[float], Scheme], float]] = [
    ("euler", lambda h: EulerMaruyama(curved, additive, h), 1.0),
    ("heun", lambda h: StratonovichHeun(curved, additive, h), 2.0),
    ("trapezoid", trapezoid, 2.0),
    ("midpoint", midpoint, 1.0),  # its drift sees half of the step's noise, which a curved one does not forgive
]


@pytest.mark.parametrize(("name", "make", "expected"), WEAK)
def test_moments_converge_at_the_weak_order(name: str, make: Callable[[float], Scheme], expected: float) -> None:
    path = BrownianPath(4, (30_000, 1), 2.0)
    reference = run(lambda h: StratonovichHeun(curved, additive, h), path.increments(6), 2.0, -1.0)
    errors = []
    for level in (1, 2, 3):
        z = run(make, path.increments(level), 2.0, -1.0)
        errors.append(abs(float((z**2 - reference**2).mean())))
    assert expected - 0.45 < order(errors) < expected + 0.8, errors


def test_heun_converges_to_stratonovich_and_euler_to_ito() -> None:
    """dz = a z dt + b z dW: exp(a t + b W) in Stratonovich's sense, exp((a - b^2/2) t + b W) in Ito's."""
    a, b, horizon = -0.5, 0.8, 1.0
    path = BrownianPath(7, (4_000, 1), horizon)
    W = path.increments(0)[0]
    errors: dict[str, list[float]] = {"heun": [], "euler": [], "wrong": []}
    weak: list[float] = []
    exact = torch.exp(a * horizon + b * W)
    for level in (4, 5, 6, 7):
        dW = path.increments(level)
        heun = run(lambda h: StratonovichHeun(lambda z: a * z, lambda z, d: b * z * d, h), dW, horizon, 1.0)
        euler = run(lambda h: EulerMaruyama(lambda z: a * z, lambda z, d: b * z * d, h), dW, horizon, 1.0)
        errors["heun"].append(float((heun - exact).abs().mean()))
        errors["euler"].append(float((euler - exact * math.exp(-b * b / 2 * horizon)).abs().mean()))
        errors["wrong"].append(float((euler - exact).abs().mean()))
        weak.append(abs(float((heun - exact).mean())))
    assert order(errors["heun"]) == pytest.approx(1.0, abs=0.15)
    assert order(errors["euler"]) == pytest.approx(0.5, abs=0.15)
    assert errors["wrong"][-1] > 0.1, "the two senses differ"
    assert order(weak) > 0.7


def test_exponential_steps_of_one_noise_converge_at_first_order() -> None:
    """The noise of a coarse step is e^(A h) times that of its first half, plus that of its second half."""
    A1, sigma, horizon, z0 = -0.8, 0.6, 2.0, 1.0
    finest = 10
    generator = torch.Generator().manual_seed(2)
    matrix, intensity = np.array([[A1]]), np.array([[sigma**2]])
    h = horizon / 2**finest
    noise = float(exact_step(matrix, intensity, h).root[0, 0]) * torch.randn(
        2**finest, 400, 1, generator=generator, dtype=torch.float64
    )
    answers = {}
    for level in range(finest, 3, -1):
        h = horizon / 2**level
        exact = exact_step(matrix, intensity, h)
        scheme = ExponentialStep(curved, exact, h, noise)
        z = torch.full_like(noise[0], z0)
        for xi in noise:
            z = scheme.step(z, xi / float(exact.root[0, 0]) * math.sqrt(h))
        answers[level] = z
        noise = math.exp(A1 * h) * noise[0::2] + noise[1::2]
    errors = [float((answers[k] - answers[finest]).abs().mean()) for k in (4, 5, 6, 7)]
    assert order(errors) == pytest.approx(1.0, abs=0.15)


def test_a_step_the_implicit_scheme_cannot_take_is_refused() -> None:
    flat = torch.tensor([[0.0]], dtype=torch.float64)
    for scheme_type in (ImplicitMidpoint, ImplicitTrapezoid):
        for curvature in (50.0, 1e30):  # one wanders, one overflows
            scheme = scheme_type(lambda z, c=curvature: -c * z**3, additive, 2.0, flat)
            with pytest.raises(SettleError, match="did not converge"):
                scheme.step(torch.ones(2, 1, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64))
