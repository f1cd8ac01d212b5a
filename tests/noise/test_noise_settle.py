"""Noisy settles of chips: Lyapunov, kT/C, ngspice, gaps, windows, and when the mean has settled."""

import dataclasses
import math
import re
import shutil

import numpy as np
import pytest
import torch

from analogdeq.chip import Chip
from analogdeq.cores.rc import RCCore
from analogdeq.devices.preset import IDEAL
from analogdeq.errors import InputError, SettleError
from analogdeq.library import device_preset
from analogdeq.noise.coloured import flicker_sum
from analogdeq.noise.ensemble import NoiseOptions, NoisySettled, rest_of, settle_with_noise
from analogdeq.noise.intensity import NodeNoise, flicker_scale, white_noise
from analogdeq.noise.linear import stationary_covariance
from analogdeq.noise.motion import Motion
from analogdeq.solve.settle import settle
from analogdeq.spice.netlist import netlist_of
from analogdeq.spice.ngspice import run_ngspice
from helpers import chip, circuit, plain_core, random_core, random_inputs, tensor

K = 1.380649e-23


def jacobian(placed: Chip | RCCore, u: torch.Tensor) -> np.ndarray:
    rest = rest_of(placed, u.unsqueeze(0))
    J = placed.linearise(rest, placed.drive(u.unsqueeze(0))).dense()[0]
    return (J - torch.eye(len(J), dtype=J.dtype)).numpy()


def covariance(placed: Chip, u: torch.Tensor, white: NodeNoise) -> np.ndarray:
    """(node, node) [V^2] from the formulas of the circuit, slope and all, by numpy and scipy."""
    rest = rest_of(placed, u.unsqueeze(0))
    slope = placed.core.slope(rest, placed.drive(u.unsqueeze(0)))[0]
    q = (slope.square() * white.before + white.after).numpy()
    return stationary_covariance(jacobian(placed, u), np.diag(q)) * placed.circuit.unit_voltage_V**2


@pytest.mark.parametrize(
    ("scheme", "step_tau"), [("exponential", 1.0), ("implicit-midpoint", 1.0), ("trapezoidal", 1.0), ("heun", 0.1)]
)
def test_the_covariance_of_twenty_thousand_paths_is_lyapunovs(scheme: str, step_tau: float) -> None:
    placed, u = chip(random_core(4, seed=0)), random_inputs(1, 3, seed=1)[0]
    white = white_noise(placed)
    motion = Motion(placed, u.unsqueeze(0), white, rest_of(placed, u.unsqueeze(0)))
    stepper, generator = motion.scheme(scheme, step_tau), torch.Generator().manual_seed(3)
    z = rest_of(placed, u.unsqueeze(0)).expand(20_000, -1)
    expected = covariance(placed, u, white) / placed.circuit.unit_voltage_V**2
    found = []
    snapshots = 6 if step_tau == 1.0 else 3
    for k in range(round(6 * snapshots / step_tau)):
        z = stepper.step(z, math.sqrt(step_tau) * torch.randn(z.shape, generator=generator, dtype=z.dtype))
        if (k + 1) % round(6 / step_tau) == 0:
            found.append(torch.cov(z.T).numpy())
    scale = np.sqrt(np.outer(expected.diagonal(), expected.diagonal()))
    assert np.abs((np.mean(found, axis=0) - expected) / scale).max() < 0.02
    assert np.abs(expected - np.diag(expected.diagonal())).max() > 0.02 * expected.max(), "there are cross terms"


@pytest.mark.parametrize("leak_S", [0.0, 5e-6])
@pytest.mark.parametrize("kelvin", [300.0, 400.0])
def test_a_passive_node_has_kT_over_C_whatever_its_resistors(leak_S: float, kelvin: float) -> None:
    core = RCCore(torch.zeros(3, 3, dtype=torch.float64), tensor([[1.0], [0.5], [0.0]]), tensor([0.0, 0.2, 0.0]))
    placed = Chip(core, circuit(node_leak_S=leak_S, node_C_F=2e-14)).age(0.0, kelvin)
    white = dataclasses.replace(white_noise(placed), before=torch.zeros(3, dtype=torch.float64))
    P = covariance(placed, tensor([0.3]), white)
    np.testing.assert_allclose(P.diagonal(), K * kelvin / 2e-14, rtol=1e-9)
    out = settle_with_noise(placed, tensor([0.3]), white, NoiseOptions(step_tau=2.0, until_tau=20.0, paths=20_000))
    np.testing.assert_allclose(out.end.var(0).numpy() * 0.01, K * kelvin / 2e-14, rtol=0.04)
    np.testing.assert_allclose(out.stationary_std.square().numpy() * 0.01, K * kelvin / 2e-14, rtol=1e-9)


def test_the_noise_terms_are_those_of_the_resistors_by_hand() -> None:
    placed = chip(random_core(4, seed=0), device=device_preset("pcm-generic"), node_leak_S=5e-6)
    white = white_noise(placed, gamma=1.5)
    c = placed.circuit
    RC, tau = 1e5 * 1e-13, 1e5 * 1e-13 / 1.5
    for i in range(4):
        G = float(placed.pairs.plus_S[i].sum() + placed.pairs.minus_S[i].sum())
        R_f = placed.pairs.feedback_ohm
        into_p = 2 * K * 300 * R_f**2 * (G + 1 / R_f) / 0.01
        K_n = 1 + R_f * G
        g_m = 2 * math.pi * (K_n * c.amplifier.speed_ratio / (2 * math.pi * tau)) * c.amplifier.load_C_F
        into_p += K_n**2 * 4 * K * 300 * 1.5 / g_m / 2 / 0.01
        assert float(white.before[i]) * c.gain**2 == pytest.approx(into_p * tau / RC**2, rel=1e-9, abs=0)
        node = 2 * K * 300 * (1e-5 + 5e-6) / 1e-13**2 / 0.01 * tau
        assert float(white.after[i]) == pytest.approx(node, rel=1e-9, abs=0)
    assert set(white.terms) == {"devices", "feedback", "node", "amplifiers"}
    assert "amplifiers" not in white_noise(placed, amplifiers=False).terms
    with pytest.raises(InputError, match="gamma"):
        white_noise(placed, gamma=-1.0)


@pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")
def test_ngspice_finds_the_same_noise_on_every_node() -> None:
    placed = chip(random_core(4, seed=0), device=device_preset("pcm-generic"), seed=2, node_leak_S=5e-6).age(
        0.0, 300.15
    )  # 27 C
    u = random_inputs(1, 3, seed=1)[0]
    expected = covariance(placed, u, white_noise(placed, amplifiers=False))
    netlist = netlist_of(placed, u)
    lines, keep = [], True
    for line in netlist.splitlines():
        if line.startswith("* energy meters"):
            keep = False  # a capacitor that integrates has no operating point
        if line.startswith("* analysis"):
            keep = True
        if keep and not line.startswith((".tran", ".save", ".end", ".options")):
            lines.append(re.sub(r"^(Vbp \S+ \S+ \S+)$", r"\1 AC 1", line))
    for output, value in (("v(z0)", expected[0, 0]), ("v(z3)", expected[3, 3]), (
        "v(z1,z2)", expected[1, 1] + expected[2, 2] - 2 * expected[1, 2])):  # fmt: skip
        plots = run_ngspice("\n".join([*lines, f".noise {output} Vbp dec 200 1 1e13", ".end", ""]))
        (total,) = (
            plot.values[-1, plot.variables.index("v(onoise_total)")]
            for plot in plots
            if "v(onoise_total)" in plot.variables
        )
        assert float(np.real(total)) == pytest.approx(math.sqrt(value), rel=5e-5)


def test_noise_grows_as_one_over_the_gap() -> None:
    eigenvalues = [0.0, 0.5, 0.9, 0.99]
    q = torch.full((1,), 2e-4, dtype=torch.float64)
    for w in eigenvalues:
        core = plain_core([[w]], activation="identity")
        motion = Motion(core, torch.zeros(1, core.n_inputs, dtype=torch.float64), q, torch.zeros(1, 1).double())
        assert float(motion.stationary_std()) ** 2 == pytest.approx(1e-4 / (1 - w), rel=1e-9, abs=0)
    core = plain_core([[1.0]], activation="identity")
    motion = Motion(core, torch.zeros(1, core.n_inputs, dtype=torch.float64), q, torch.zeros(1, 1).double())
    with pytest.raises(InputError, match="noise grows without end"):
        motion.stationary_std()


def one_node() -> RCCore:
    return RCCore(torch.zeros(8, 8, dtype=torch.float64), torch.ones(8, 1, dtype=torch.float64), tensor([0.0] * 8))


def test_a_readout_that_averages_over_a_window_sees_less_noise() -> None:
    q = torch.full((8,), 2e-4, dtype=torch.float64)
    T = 4.0
    out = settle_with_noise(
        one_node(), tensor([0.2]), q, NoiseOptions(step_tau=0.05, until_tau=12.0, window_tau=T, paths=2_000)
    )
    by_hand = 1e-4 * 2 * (T - 1 + math.exp(-T)) / T**2
    assert float(out.readout.var(0).mean()) == pytest.approx(by_hand, rel=0.05)
    assert float(out.end.var(0).mean()) == pytest.approx(1e-4, rel=0.05)


def test_the_mean_settles_when_the_noiseless_chip_does_and_the_spread_is_reported() -> None:
    placed, u = chip(random_core(5, seed=0)), random_inputs(1, 3, seed=1)
    quiet = settle(placed, u, rtol=1e-6, atol=1e-9, band=1e-2)
    out = settle_with_noise(placed, u[0], white_noise(placed), NoiseOptions(step_tau=0.05, until_tau=20.0, paths=400))
    assert out.is_resolved
    assert out.t_settle_s == pytest.approx(float(quiet.t_settle_s), rel=0.03)
    torch.testing.assert_close(out.std[-1], out.stationary_std, rtol=0.25, atol=0)
    torch.testing.assert_close(out.rest, quiet.z[0], rtol=0, atol=1e-2)


def test_a_band_narrower_than_the_means_own_error_gives_no_settling_time() -> None:
    q = torch.full((8,), 2e-2, dtype=torch.float64)
    out = settle_with_noise(one_node(), tensor([0.2]), q, NoiseOptions(until_tau=20.0, paths=16, band=1e-3))
    assert not out.is_resolved
    assert math.isnan(out.t_settle_s)


def test_a_mean_that_is_still_moving_at_the_end_has_no_settling_time() -> None:
    q = torch.full((8,), 1e-12, dtype=torch.float64)
    out = settle_with_noise(one_node(), tensor([2.0]), q, NoiseOptions(until_tau=1.0, paths=4, band=1e-2))
    assert out.is_resolved
    assert math.isnan(out.t_settle_s)


def test_the_same_noise_seed_gives_the_same_bits_and_another_does_not() -> None:
    placed, u = chip(random_core(4, seed=0)), random_inputs(1, 3, seed=1)[0]

    def ends(seed: int) -> NoisySettled:
        return settle_with_noise(placed, u, white_noise(placed), NoiseOptions(until_tau=3.0, paths=8, seed=seed))

    assert torch.equal(ends(1).end, ends(1).end)
    assert not torch.equal(ends(1).end, ends(2).end)
    state = torch.get_rng_state()
    ends(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_saturated_nodes_pass_little_of_the_noise_before_them() -> None:
    core = RCCore(torch.zeros(2, 2, dtype=torch.float64), tensor([[0.0], [0.0]]), tensor([0.0, 3.0]))
    white = NodeNoise(tensor([2e-4, 2e-4]), tensor([0.0, 0.0]), {})
    for scheme in ("exponential", "heun"):
        out = settle_with_noise(core, tensor([0.0]), white, NoiseOptions(scheme=scheme, until_tau=20.0, paths=4_000))
        slope = 1 - math.tanh(3.0) ** 2
        assert float(out.end.std(0)[1] / out.end.std(0)[0]) == pytest.approx(slope, rel=0.08)


def test_slow_noise_before_a_node_comes_out_as_its_own_size() -> None:
    """Much slower than the node, 1/f noise is an offset: its whole variance passes a slope of one."""
    core = RCCore(torch.zeros(4, 4, dtype=torch.float64), torch.ones(4, 1, dtype=torch.float64), tensor([0.0] * 4))
    source = flicker_sum(1e-6, 1e-4, torch.full((4,), 0.001, dtype=torch.float64), padding_decades=0.0)
    q = torch.full((4,), 1e-14, dtype=torch.float64)
    out = settle_with_noise(core, tensor([0.0]), q, NoiseOptions(until_tau=12.0, paths=3_000), coloured=(source,))
    assert float(out.end.var(0).mean()) == pytest.approx(float(source.variances.sum()) * 1e-6, rel=0.06)


def test_the_flicker_of_a_row_is_the_sum_over_its_devices() -> None:
    preset = device_preset("pcm-generic")
    placed = chip(random_core(4, seed=0), device=preset, seed=1)
    u = random_inputs(1, 3, seed=1)
    rest, drive = settle(placed, u).z, placed.drive(u)
    level = placed.circuit.dac.quantise(u)[0]
    found = flicker_scale(placed, rest[0], drive, level)
    x = torch.cat((rest[0], level, torch.ones(1, dtype=torch.float64)))
    for i in range(4):
        total = 0.0
        for G, target in ((placed.pairs.plus_S, placed.target.plus_S), (placed.pairs.minus_S, placed.target.minus_S)):
            for j in range(len(x)):
                Q = min(0.0088 / (float(target[i, j]) / 25e-6) ** 0.65, 0.2)
                total += (float(G[i, j]) * Q * float(x[j])) ** 2
        assert float(found[i]) == pytest.approx(placed.pairs.feedback_ohm * math.sqrt(total), rel=1e-9)
    with pytest.raises(InputError, match="has no 1/f noise"):
        flicker_scale(chip(random_core(4, seed=0)), rest[0], drive, level)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scheme": "rk4"}, "unknown noise scheme 'rk4'; known: exponential"),
        ({"step_tau": 0.0}, "0 < step_tau"),
        ({"step_tau": 60.0}, "0 < step_tau"),
        ({"paths": 1}, "at least 2 paths"),
        ({"window_tau": 50.0}, "window_tau"),
        ({"band": 0.0}, "band"),
    ],
)
def test_impossible_options_are_refused(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        NoiseOptions(**change)


def test_what_has_no_rest_and_what_is_no_single_input_are_refused() -> None:
    core, q = plain_core([[1.5]], activation="identity"), torch.ones(1, dtype=torch.float64)
    with pytest.raises(SettleError):
        settle_with_noise(core, torch.full((core.n_inputs,), 0.5, dtype=torch.float64), q)
    with pytest.raises(InputError, match="one input"):
        settle_with_noise(core, torch.zeros(2, core.n_inputs, dtype=torch.float64), q)


def test_the_temperature_of_a_chip_is_that_of_its_noise() -> None:
    cold, hot = (chip(random_core(4, seed=0), device=IDEAL).age(0.0, T) for T in (300.0, 360.0))
    for name in ("devices", "feedback", "node"):
        torch.testing.assert_close(white_noise(hot).terms[name], 1.2 * white_noise(cold).terms[name], rtol=1e-9, atol=0)
