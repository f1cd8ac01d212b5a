"""Settles whose trajectory, settling time or rest is known on paper."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import brentq

from analogdeq.cores.rc import RCCore
from analogdeq.solve.error_bound import Bound
from analogdeq.solve.record import Record
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.solve.verdict import Verdict
from helpers import (
    ACCURATE,
    NATIVE,
    chip,
    last_exit,
    plain_core,
    quiet_amplifier,
    random_inputs,
    settle_core,
    tensor,
)

EVERY = pytest.mark.parametrize("method", NATIVE)
PRECISE = pytest.mark.parametrize("method", ACCURATE)
TOLERANCE = {"bosh3": 2e-2}
"""Of a settling time, relative; 0.1 % for the default."""
WAVEFORM = {"bosh3": 3e-2}
"""Of a recorded state, in units of the largest; 0.3 % for the default."""


def off_by(method: str) -> float:
    return TOLERANCE.get(method, 1e-3)


def agrees(method: str, z: np.ndarray, exact: np.ndarray) -> None:
    np.testing.assert_allclose(z, exact, rtol=0, atol=WAVEFORM.get(method, 3e-3) * np.abs(exact).max())


def recorded(out: Settled) -> tuple[np.ndarray, np.ndarray]:
    """Times and states (time, node) of the first recorded sample."""
    assert out.trace is not None
    return out.trace.time_s, out.trace.state[:, 0]


@EVERY
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "hardtanh", "relu-clipped", "relu", "identity"])
def test_without_feedback_every_node_charges_exponentially(method: str, activation: str) -> None:
    b = [0.7, -1.3, 0.2]
    phi = {
        "tanh": np.tanh(b), "sigmoid": 1 / (1 + np.exp(-np.array(b))), "hardtanh": np.clip(b, -1, 1),
        "relu-clipped": np.clip(b, 0, 1), "relu": np.maximum(b, 0), "identity": np.array(b),
    }[activation]  # fmt: skip
    out = settle_core(
        np.zeros((3, 3)), b=b, activation=activation, method=method, record=Record(samples=(0,), interval_tau=0.1)
    )
    t, z = recorded(out)
    agrees(method, z, phi * (1 - np.exp(-t))[:, None])
    assert out.t_settle_s.item() == pytest.approx(math.log(np.abs(phi).max() / 1e-3), rel=off_by(method))
    np.testing.assert_allclose(out.z[0].numpy(), phi, atol=1e-7)


@EVERY
@pytest.mark.parametrize("band", [1e-2, 1e-3, 1e-4])
def test_settling_time_is_the_logarithm_of_the_band(method: str, band: float) -> None:
    out = settle_core([[0.0]], b=[2.0], band=band, method=method)
    assert out.t_settle_s.item() == pytest.approx(math.log(math.tanh(2.0) / band), rel=off_by(method))


def test_a_band_is_a_part_of_full_scale() -> None:
    core = plain_core([[0.0]], [2.0], gain=0.25)
    out = settle(core, torch.zeros(1, 1, dtype=torch.float64))
    assert out.t_settle_s.item() == pytest.approx(math.log(math.tanh(2.0) / 1e-3), rel=1e-3)


def ledger_without_feedback(W_rows: int, u: np.ndarray, leak_S: float, settle_tau: float) -> dict[str, float]:
    """Every joule of a chip with W = 0, U = 1, b = 0 from components, on paper."""
    R, C, V, V_DD, g_min, g_max, n = 1e5, 1e-13, 0.1, 0.9, 0.25e-6, 25e-6, W_rows
    a = 1 / (1 + R * leak_S)
    tau, phi, T = R * C * a, np.tanh(u), settle_tau
    scale_S = (g_max - g_min) / 1.0  # the largest weight is 1
    state_S, input_S, bias_S = 2 * n * g_min, 2 * n * g_min + scale_S, 2 * n * g_min
    grown = T - (1 - math.exp(-T))  # integral of 1 - e^-s
    grown_squared = T - 2 * (1 - math.exp(-T)) + (1 - math.exp(-2 * T)) / 2  # integral of (1 - e^-s)^2
    v_rest = V * a * phi
    # f - v = V phi (1 - a (1 - e^-s)), and the leak sees v = a V phi (1 - e^-s)
    across = (1 - a) ** 2 * T + 2 * a * (1 - a) * (1 - math.exp(-T)) + a * a * (1 - math.exp(-2 * T)) / 2
    across_linear = (1 - a) * T + a * (1 - math.exp(-T))
    return {
        "crossbar": tau * ((state_S * v_rest**2).sum() * grown_squared + V * V * ((input_S * u**2).sum() + bias_S) * T),
        "feedback": tau * T * V * V * (u**2).sum() * scale_S,
        "node": tau * ((V * phi) ** 2).sum() * across / R + tau * leak_S * (v_rest**2).sum() * grown_squared,
        "stored": 0.5 * C * (v_rest**2).sum() * (1 - math.exp(-T)) ** 2,
        "drivers": tau * V_DD * (
            state_S * np.abs(v_rest).sum() * grown
            + V * (input_S * np.abs(u).sum() + bias_S) * T
            + V * np.abs(u).sum() * scale_S * T
            + V * np.abs(phi).sum() * across_linear / R
        ),
    }  # fmt: skip


@PRECISE
@pytest.mark.parametrize("leak_S", [0.0, 5e-6])
def test_without_feedback_every_joule_is_known_on_paper(method: str, leak_S: float) -> None:
    n = 3
    eye, zero = torch.eye(n, dtype=torch.float64), torch.zeros(n, n, dtype=torch.float64)
    placed = chip(RCCore(zero, eye, zero[0]), node_leak_S=leak_S, amplifier=quiet_amplifier())
    u = tensor([[0.9, -0.6, 0.1]])
    for options, rel in (({}, 1e-3), ({"rtol": 1e-8, "atol": 1e-10}, 1e-4)):
        out = settle(placed, u, method=method, **options)
        T = math.log(math.tanh(0.9) / 1e-3)
        assert out.t_settle_s.item() / placed.tau_s == pytest.approx(T, rel=rel)
        assert out.ledger is not None
        for name, value in ledger_without_feedback(n, u[0].numpy(), leak_S, T).items():
            assert getattr(out.ledger, f"{name}_J").item() == pytest.approx(value, rel=rel, abs=0), name


@PRECISE
@pytest.mark.parametrize("node_R_ohm", [1e3, 1e6])
def test_charging_a_capacitor_costs_half_c_v_squared_whatever_the_resistor(method: str, node_R_ohm: float) -> None:
    """P11: heat in R = C f^2 / 2 (1 - band^2 / phi^2), and as much is stored."""
    core = plain_core([[0.0]], [0.0])
    placed = chip(core, node_R_ohm=node_R_ohm, node_C_F=1e-12, unit_voltage_V=0.2, amplifier=quiet_amplifier())
    out = settle(placed, tensor([[1.0]]), method=method)
    f_V, left = 0.2 * math.tanh(1.0), 1e-3 / math.tanh(1.0)
    assert out.ledger is not None
    assert out.ledger.node_J.item() == pytest.approx(0.5e-12 * f_V**2 * (1 - left**2), rel=1e-3, abs=0)
    assert out.ledger.stored_J.item() == pytest.approx(0.5e-12 * f_V**2 * (1 - left) ** 2, rel=1e-3, abs=0)


@EVERY
def test_each_mode_of_a_symmetric_network_decays_at_its_own_rate(method: str) -> None:
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    rates = np.array([0.9, 0.5, 0.0, -0.7, -2.0])
    W, z0 = Q @ np.diag(rates) @ Q.T, rng.normal(size=5)
    out = settle_core(
        W, [z0], activation="identity", method=method, record=Record(samples=(0,), interval_tau=0.2)
    )  # fmt: skip
    t, z = recorded(out)
    modes, start = z @ Q, Q.T @ z0
    agrees(method, modes, start * np.exp(-np.outer(t, 1 - rates)))
    exact = last_exit(lambda s: Q @ (np.exp(np.multiply.outer(rates - 1, s)) * start.reshape(5, *[1] * np.ndim(s))),
                      np.zeros(5), 1e-3, 120.0)  # fmt: skip
    assert out.t_settle_s.item() == pytest.approx(exact, rel=off_by(method))


@pytest.mark.parametrize("w", [0.9, 0.5, 0.0, -3.0])
def test_a_linear_node_settles_in_the_logarithm_over_its_gap(w: float) -> None:
    """P9: z* = b / (1 - w); with w = -3 Picard iterations diverge and the circuit is four times faster than tau."""
    out = settle_core([[w]], b=[1.0], activation="identity")
    assert out.z.item() == pytest.approx(1 / (1 - w), rel=1e-6)
    assert out.t_settle_s.item() == pytest.approx(math.log(1 / (1 - w) / 1e-3) / (1 - w), rel=1e-3)


def test_linear_networks_rest_where_the_published_tests_say() -> None:
    """P1: z = z / 2 + 1 is 2.  P2: A = [[0, .25], [.25, 0]], b = (1, 2) is (1.6, 2.4)."""
    assert settle_core([[0.5]], b=[1.0], activation="identity").z.item() == pytest.approx(2.0, rel=1e-7)
    out = settle_core([[0.0, 0.25], [0.25, 0.0]], b=[1.0, 2.0], activation="identity")
    assert out.z[0].tolist() == pytest.approx([1.6, 2.4], rel=1e-7)


def test_tanh_networks_rest_where_the_published_tests_say() -> None:
    """P5."""
    assert settle_core([[0.55]], b=[0.25]).z.item() == pytest.approx(0.4678543687858431, abs=1e-6)
    out = settle_core([[0.2, 0.0], [0.0, 0.2]], b=[0.2, -0.1])
    assert out.z[0].tolist() == pytest.approx([0.2437417286201809, -0.1241943627698377], abs=1e-6)


@PRECISE
@pytest.mark.parametrize(("w", "b"), [(0.55, 0.25), (-2.0, 1.0), (0.95, 0.1), (1.5, 0.2), (0.0, 3.0)])
def test_a_scalar_tanh_node_takes_the_time_of_its_quadrature(method: str, w: float, b: float) -> None:
    """dz / ds = tanh(w z + b) - z, so s = integral dz / (tanh(w z + b) - z)."""

    def speed(z: float) -> float:
        return math.tanh(w * z + b) - z

    rest = float(brentq(speed, 1e-9, 1.0, xtol=1e-15))
    exact, _ = quad(lambda z: 1 / speed(z), 0, rest - 1e-3, limit=200)
    out = settle_core([[w]], b=[b], method=method)
    assert out.z.item() == pytest.approx(rest, abs=1e-6)
    assert out.t_settle_s.item() == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("w", [0.98, 1.0, 1.02])
def test_a_scalar_tanh_node_forks_at_unit_gain(w: float) -> None:
    out = settle_core([[w]], [[0.5]], band=1e-2, max_time_tau=2e4)
    expected = 0.0 if w <= 1 else float(brentq(lambda z: math.tanh(w * z) - z, 1e-3, 1))
    # At w = 1 the decay is algebraic: z'= -z^3/3, so z = (3 / 2t)^(1/2) and the residual says nothing of the distance.
    if w == 1.0:
        assert out.verdict[0] in (Verdict.TIMED_OUT, Verdict.SETTLED)
        assert abs(out.z.item()) < 0.02
    else:
        assert out.verdict == [Verdict.SETTLED]
        assert out.z.item() == pytest.approx(expected, abs=1e-4)


@EVERY
@pytest.mark.parametrize("a", [4.0, 10.0])
def test_a_chain_grows_as_a_polynomial_before_it_decays(method: str, a: float) -> None:
    """W = [[0, a], [0, 0]]: z = (a s, 1) e^-s. To 1 % in 8.1 and 9.1 tau for a = 4 and 10."""
    out = settle_core(
        [[0.0, a], [0.0, 0.0]], [[0.0, 1.0]], activation="identity", band=1e-2, method=method,
        record=Record(samples=(0,), interval_tau=0.1),
    )  # fmt: skip
    t, z = recorded(out)
    agrees(method, z, np.stack((a * t, np.ones_like(t)), 1) * np.exp(-t)[:, None])
    exact = brentq(lambda s: a * s * math.exp(-s) - 1e-2, 2, 50)
    assert exact == pytest.approx({4.0: 8.1, 10.0: 9.1}[a], abs=0.15)
    assert out.t_settle_s.item() == pytest.approx(exact, rel=off_by(method))


@EVERY
def test_a_longer_chain_is_a_longer_polynomial(method: str) -> None:
    W = np.zeros((4, 4))
    W[0, 1], W[1, 2], W[2, 3], W[0, 3] = 3.0, -2.0, 4.0, 1.0
    z0 = np.array([0.5, -1.0, 0.2, 1.0])
    out = settle_core(W, [z0], activation="identity", method=method, record=Record(samples=(0,), interval_tau=0.1))
    t, z = recorded(out)
    # W is nilpotent: e^((W - 1) s) = e^-s (1 + W s + W^2 s^2 / 2 + W^3 s^3 / 6)
    powers = [z0, W @ z0, W @ W @ z0 / 2, W @ W @ W @ z0 / 6]
    exact = np.exp(-t)[:, None] * sum(np.multiply.outer(t**k, v) for k, v in enumerate(powers))
    agrees(method, z, exact)
    settled = last_exit(
        lambda s: np.exp(-s) * sum(np.multiply.outer(v, np.asarray(s) ** k) for k, v in enumerate(powers)),
        np.zeros(4), 1e-3, 60.0,
    )  # fmt: skip
    assert out.t_settle_s.item() == pytest.approx(settled, rel=off_by(method))


@EVERY
@pytest.mark.parametrize(("r", "theta"), [(0.5, 1.0), (0.95, 0.3), (3.0, math.pi / 2), (5.0, 1.9), (2.0, math.pi)])
def test_a_scaled_rotation_spirals_in_at_the_damping_and_frequency_of_its_angle(
    method: str, r: float, theta: float
) -> None:
    """Damping 1 - r cos(theta), frequency r sin(theta)."""
    c, s = r * math.cos(theta), r * math.sin(theta)
    out = settle_core(
        [[c, -s], [s, c]], [[1.0, 0.5]], activation="identity", method=method,
        record=Record(samples=(0,), interval_tau=0.05),
    )  # fmt: skip

    def exact(t: np.ndarray) -> np.ndarray:
        w = (1.0 + 0.5j) * np.exp((c - 1 + 1j * s) * np.asarray(t))
        return np.stack((w.real, w.imag))

    t, z = recorded(out)
    agrees(method, z, exact(t).T)
    assert out.verdict == [Verdict.SETTLED]
    assert out.t_settle_s.item() == pytest.approx(
        last_exit(exact, np.zeros(2), 1e-3, 300.0, 200_001), rel=off_by(method)
    )


@PRECISE
def test_a_relu_node_is_exact_in_each_of_its_regions(method: str) -> None:
    """Below its threshold the node forgets; above, it is linear. The first node switches the second on at ln 2."""
    out = settle_core(
        [[0.0, 0.0], [1.0, 0.0]], b=[1.0, -0.5], activation="relu", method=method, rtol=1e-6,
        record=Record(samples=(0,), interval_tau=0.05),
    )  # fmt: skip
    t, z = recorded(out)
    after = np.maximum(t - math.log(2), 0)
    # z_2' = -z_2 + (1 - e^-t) - 1/2 from t = ln 2 on: z_2 = 1/2 (1 - e^-x) - 1/2 x e^-x with x = t - ln 2
    second = 0.5 * (1 - np.exp(-after)) - 0.5 * after * np.exp(-after)
    agrees(method, z, np.stack((1 - np.exp(-t), second), 1))
    assert out.z[0].tolist() == pytest.approx([1.0, 0.5], abs=1e-6)


def test_overshoot_that_comes_back_into_the_band_counts_until_the_last_exit() -> None:
    """z_1 = e^-s - A e^(-s/20): through the band at s = 5.6, out on the other side, back in at 20 ln(A / band)."""
    A, k = 5e-3, 1e-4
    W = [[0.0, -A * 0.95 / k], [0.0, 0.95]]
    for method in NATIVE:
        out = settle_core(W, [[1 - A, k]], activation="identity", method=method)
        assert out.verdict == [Verdict.SETTLED]
        assert out.t_settle_s.item() == pytest.approx(20 * math.log(A / 1e-3), rel=off_by(method))


@pytest.mark.parametrize("method", NATIVE)
def test_a_state_that_starts_inside_the_band_and_leaves_it_settles_when_it_comes_back(method: str) -> None:
    """z_1 = 10 s z_2(0) e^-s peaks at 10/e z_2(0) = 1.84 bands."""
    out = settle_core([[0.0, 10.0], [0.0, 0.0]], [[0.0, 5e-4]], activation="identity", method=method)
    exact = brentq(lambda s: 5e-3 * s * math.exp(-s) - 1e-3, 1, 20)
    assert out.t_settle_s.item() == pytest.approx(exact, rel=off_by(method))


@pytest.mark.parametrize("method", NATIVE)
def test_a_state_that_leaves_the_band_late_is_not_settled_before_it_did(method: str) -> None:
    """Nearly critical and non-normal: inside half the band for six tau, then out of it until long after."""
    exact = brentq(lambda s: 0.08 * s * 4e-4 * math.exp(-0.01 * s) - 1e-3, 100, 1000)
    out = settle_core(
        [[0.99, 0.08], [0.0, 0.99]], [[0.0, 4e-4]], activation="identity", method=method, max_time_tau=3000.0
    )  # fmt: skip
    assert out.verdict == [Verdict.SETTLED]
    assert out.t_settle_s.item() == pytest.approx(exact, rel=off_by(method))


@pytest.mark.parametrize("method", NATIVE)
@pytest.mark.parametrize("gap", [0.02, 0.001])
def test_a_slow_mode_hidden_beneath_a_fast_one_is_waited_for(method: str, gap: float) -> None:
    W = np.diag([0.0, 1 - gap])
    out = settle_core(W, [[1.0, 0.1]], activation="identity", method=method, max_time_tau=2e4)
    assert out.t_settle_s.item() == pytest.approx(math.log(100.0) / gap, rel=off_by(method))


def test_nodes_of_very_different_speed_each_keep_their_own_clock() -> None:
    taus = np.array([1.0, 0.1, 0.01])
    core = RCCore(
        torch.zeros(3, 3, dtype=torch.float64), torch.eye(3, dtype=torch.float64), tensor([0.5, 0.9, -0.7]),
        tau_s=tensor(taus),
    )  # fmt: skip
    for method in NATIVE:
        out = settle(
            core, torch.zeros(1, 3, dtype=torch.float64), method=method,
            record=Record(samples=(0,), interval_tau=0.02),
        )  # fmt: skip
        t, z = recorded(out)
        phi = np.tanh([0.5, 0.9, -0.7])
        agrees(method, z, phi * (1 - np.exp(-t[:, None] / taus)))
        assert out.t_settle_s.item() == pytest.approx(math.log(phi[0] / 1e-3), rel=off_by(method))


def test_the_certified_bound_holds_for_the_distance_from_the_true_equilibrium() -> None:
    W = 0.8 * np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    core, u = plain_core(W), random_inputs(6, 4, seed=1)
    rough = settle(core, u, max_time_tau=3.0)
    exact = settle(core, u, band=1e-6, atol=1e-10, rtol=1e-6).z
    distance = (rough.z - exact).norm(dim=1)
    assert bool((distance <= rough.error_bound).all())
    assert bool((rough.error_bound < 20 * distance).all())
    assert settle(plain_core([[1.1]]), random_inputs(1, 1, seed=1)).error_bound_kind == [Bound.LOCAL]
