"""Noise with amplifiers in it: against the circuit in volts and seconds, the limit of level 0, and ngspice."""

import math
import shutil

import numpy as np
import pytest
import torch
from scipy.linalg import solve_continuous_lyapunov

from amplified_oracle import Amplified
from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.opamp import OpAmp
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from analogdeq.noise.amplified import node_covariance, output_noise
from analogdeq.noise.intensity import white_noise
from analogdeq.noise.linear import stationary_covariance
from analogdeq.solve.settle import settle
from analogdeq.spice.ngspice import run_ngspice
from helpers import chip as level_0_chip
from helpers import random_core, random_inputs, tensor

K_B, T = 1.380649e-23, 300.0
GBW_HZ, E_N = 1e9, 8e-9


def made(opamp: OpAmp, *, gbw_Hz: float = GBW_HZ, **circuit: float) -> AmplifiedChip:
    core = random_core(3, seed=4, radius=0.8, inputs=2)
    return AmplifiedChip(level_0_chip(core, amplifier=Amplifier(gbw_Hz=gbw_Hz), **circuit), opamp)


@pytest.mark.parametrize("lines", [True, False])
def test_the_covariance_of_the_nodes_is_that_of_the_circuit_in_volts_and_seconds(lines: bool) -> None:
    chip = made(OpAmp(input_noise_V_per_rtHz=E_N, has_line_poles=lines), node_leak_S=2e-6)
    u = random_inputs(1, 2, seed=9)
    found = node_covariance(chip, u, settle(chip, u, band=1e-6, atol=1e-8).z) * 0.1**2
    other = Amplified(chip, u[0].numpy(), GBW_HZ, math.inf, 0.9, np.zeros(3), 2e-7)
    c, pairs = chip.chip.circuit, chip.chip.pairs
    row = (pairs.plus_S + pairs.minus_S).sum(1).numpy()
    Q = [
        np.full(3, 2 * K_B * T * (1 / c.node_R_ohm + 2e-6) / c.node_C_F**2),
        2 * K_B * T * (row + 1 / other.R_f) / chip.opamp.summing_C_F**2,
        np.full(3, other.w_u**2 * E_N**2 / 2),
    ]
    if lines:
        Q.append(np.full(3, 2**2 * E_N**2 / 2 / other.line_tau**2))
    P = solve_continuous_lyapunov(other.jacobian(other.rest), -np.diag(np.concatenate(Q)))[:3, :3]
    np.testing.assert_allclose(found, P, rtol=1e-4)
    assert 1 < P[0, 0] / (K_B * T / c.node_C_F) < 30


def test_without_amplifier_noise_the_limit_of_large_bandwidth_is_level_0() -> None:
    u, gaps = random_inputs(1, 2, seed=9), []
    for gbw_Hz in (1e10, 1e11):
        quiet = OpAmp(input_noise_V_per_rtHz=0.0, dc_gain=math.inf, driver_R_ohm=0.0, summing_C_F=1e-17)
        chip = made(quiet, gbw_Hz=gbw_Hz)
        rest = settle(chip.chip, u, band=1e-6, atol=1e-8).z
        found = node_covariance(chip, u, chip.core.lift(rest, chip.drive(u)))
        slope = chip.chip.core.slope(rest, chip.chip.drive(u))
        A = chip.chip.linearise(rest, chip.chip.drive(u)).dense()[0].numpy() - np.eye(3)
        q = torch.diag(white_noise(chip.chip, amplifiers=False).at(slope[0])).numpy()
        gaps.append(float((found - tensor(stationary_covariance(A, q))).abs().max() / found.abs().max()))
    assert gaps[1] < 1e-2
    assert gaps[0] / gaps[1] == pytest.approx(10, rel=0.2)


def rows_of(scale: float) -> AmplifiedChip:
    """One weight of 1 beside more and more others on the same row: R_f stays, G_tot grows."""
    n_others = round(scale)
    core = RCCore(tensor([[0.5]]), tensor([[1.0] + [0.5] * n_others]), tensor([0.0]))
    opamp = OpAmp(input_noise_V_per_rtHz=E_N, dc_gain=1e6)
    return AmplifiedChip(level_0_chip(core, amplifier=Amplifier(gbw_Hz=GBW_HZ)), opamp)


def test_noise_gain_grows_with_the_conductance_of_the_row_and_so_does_the_noise() -> None:
    found = [(chip.chip, output_noise(chip)) for chip in map(rows_of, (0, 4, 16, 64))]
    for chip, noise in found:
        expected = 1 + chip.pairs.feedback_ohm * float((chip.pairs.plus_S + chip.pairs.minus_S).sum())
        assert float(noise.noise_gain) == pytest.approx(expected, rel=1e-12)
        assert float(noise.input_V_per_rtHz) == pytest.approx(E_N, rel=1e-12, abs=0)
        assert float(noise.amplifier_V_per_rtHz) == pytest.approx(
            E_N * expected / (1 + expected / 1e6), rel=1e-12, abs=0
        )
        resistors = 4 * K_B * T * chip.pairs.feedback_ohm * expected  # R_f^2 (G_tot + 1/R_f) = R_f K_n
        assert float(noise.resistors_V_per_rtHz) == pytest.approx(resistors**0.5, rel=1e-4)
    gains = [float(noise.noise_gain) for _, noise in found]
    assert gains == sorted(gains)
    assert gains[-1] > 8 * gains[0]
    # The bandwidth falls as the gain grows: K_n^2 e_n^2 over GBW / K_n is only K_n. So is the resistors' K_n over K_n.
    squares = [float(noise.rms_V) ** 2 for _, noise in found]
    assert squares == sorted(squares)


def test_more_noise_gain_gives_the_rms_of_its_one_pole_loop() -> None:
    """pi/2 GBW/K_n of noise bandwidth: K_n e_n^2 pi/2 GBW, where the summing node is too fast to matter."""
    core = RCCore(tensor([[0.5]]), tensor([[1.0] * 20]), tensor([0.0]))
    cold = OpAmp(input_noise_V_per_rtHz=1e-7, dc_gain=1e9, summing_C_F=1e-19)
    chip = AmplifiedChip(level_0_chip(core, amplifier=Amplifier(gbw_Hz=GBW_HZ)), cold)
    noise = output_noise(chip)
    K_n, density = float(noise.noise_gain), float(noise.amplifier_V_per_rtHz**2 + noise.resistors_V_per_rtHz**2)
    assert float(noise.rms_V) ** 2 == pytest.approx(density * math.pi / 2 * GBW_HZ / K_n, rel=1e-3)


@pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not on the PATH")
def test_ngspice_finds_the_same_noise_at_the_output() -> None:
    chip = rows_of(16)
    noise, pairs, w_u = output_noise(chip), chip.chip.pairs, 2 * math.pi * GBW_HZ
    row_S = float(pairs.row_sum_S())
    netlist = f"""a row of devices and its summing amplifier
V1 line 0 DC 0 AC 1
Rdev line s {1 / row_S!r}
Rf o s {pairs.feedback_ohm!r}
Cs s 0 {chip.opamp.summing_C_F!r}
Rn p 0 {E_N**2 / (4 * K_B * T)!r}
Ga t 0 s p 1e-3
Ct t 0 {1e-3 / w_u!r}
Gb t 0 t 0 {1e-3 / chip.opamp.dc_gain!r}
Eo o 0 t 0 1.0
.options temp=26.85
.noise v(o) V1 dec 200 1 1e14
.end
"""
    plots = run_ngspice(netlist)
    spectrum = next(plot for plot in plots if "onoise_spectrum" in plot.variables)
    total = next(plot for plot in plots if any("onoise_total" in name for name in plot.variables))
    name = next(name for name in total.variables if "onoise_total" in name)
    at_low = float(noise.amplifier_V_per_rtHz**2 + noise.resistors_V_per_rtHz**2) ** 0.5
    assert spectrum.column("onoise_spectrum")[0] == pytest.approx(at_low, rel=1e-4)
    assert total.column(name)[0] == pytest.approx(float(noise.rms_V), rel=1e-3)


def test_one_input_at_a_time() -> None:
    chip, u = made(OpAmp()), random_inputs(2, 2, seed=9)
    with pytest.raises(InputError, match="want one input and its rest"):
        node_covariance(chip, u, settle(chip, u).z)
