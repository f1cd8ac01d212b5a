"""Noise of a circuit with amplifiers: what each of them puts out, and what of it reaches the nodes."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.circuits.opamp import DRIVER_NOISE_GAIN
from analogdeq.errors import InputError
from analogdeq.noise.linear import stationary_covariance
from analogdeq.units import BOLTZMANN_J_PER_K


@final
@dataclass(frozen=True, kw_only=True)
class OutputNoise:
    """Noise at the outputs of the summing amplifiers, lines held; (node,) each.

    Attributes:
        noise_gain: [1]. K_n = 1 + R_f G_tot.
        input_V_per_rtHz: [V/sqrt(Hz)]. The amplifier's own density at its input, one-sided.
        amplifier_V_per_rtHz: [V/sqrt(Hz)]. The same at its output at low frequency, K_n times as much.
        resistors_V_per_rtHz: [V/sqrt(Hz)]. Of devices and feedback resistor at the output at low frequency.
        rms_V: [V]. All of it, over all frequencies.
    """

    noise_gain: Tensor
    input_V_per_rtHz: Tensor
    amplifier_V_per_rtHz: Tensor
    resistors_V_per_rtHz: Tensor
    rms_V: Tensor


def output_noise(chip: AmplifiedChip) -> OutputNoise:
    """Noise of each summing amplifier with its row of devices, in its linear range.

        tau_s dsigma/dt = n_R - q - sigma,   tau_a dq/dt = sigma - (K_n/A0) q + K_n n_e;   rms from A P + P A^T + Q = 0

    Source: Nyquist, Phys. Rev. 32:110 (1928), for the resistors; one-pole amplifier, textbook.
    """
    stages, V_u = chip.stages(), chip.chip.circuit.unit_voltage_V
    K_n, into_sigma, into_q = stages.noise_gain, _resistors(chip), _amplifiers(chip)
    rms = []
    for i in range(K_n.numel()):
        tau_s, tau_a = float(stages.summing_tau_s[i]), float(stages.output_tau_s[i])
        A = np.array([[-1 / tau_s, -1 / tau_s], [1 / tau_a, -float(K_n[i]) / stages.dc_gain / tau_a]])
        Q = np.diag([float(into_sigma[i]) / tau_s**2, float(into_q[i]) / tau_a**2])
        rms.append(V_u * math.sqrt(stationary_covariance(A, Q)[1, 1]))
    at_dc = 1 / (1 + K_n / stages.dc_gain)  # two-sided intensities are half of one-sided densities
    return OutputNoise(
        noise_gain=K_n,
        input_V_per_rtHz=(2 * into_q).sqrt() * V_u / K_n,
        amplifier_V_per_rtHz=(2 * into_q).sqrt() * V_u * at_dc,
        resistors_V_per_rtHz=(2 * into_sigma).sqrt() * V_u * at_dc,
        rms_V=torch.tensor(rms, dtype=torch.float64),
    )


def noise_intensity(chip: AmplifiedChip) -> Tensor:
    """(state,) float64 [1]. q in dy = f ds + sqrt(q) dW, every state in stored units, time in units of `tau_s`.

        node            2 k T (1/R + G_L) / C^2
        summing node    devices and R_f: 2 k T R_f^2 (G_tot + 1/R_f) at the pre-activation
        amplifier       K_n^2 e_n^2 / 2
        line driver     K_d^2 e_n^2 / 2, K_d = 2

    Source: Nyquist, Phys. Rev. 32:110 (1928); e_n^2 = 4 k T gamma / g_m, textbook.
    """
    core, c, stages = chip.core, chip.chip.circuit, chip.stages()
    kT = BOLTZMANN_J_PER_K * chip.chip.temperature_K
    rate, tau = core.rate.double(), core.tau_s
    node_V2_per_s = 2 * kT * (1 / c.node_R_ohm + c.node_leak_S) / c.node_C_F**2
    n = chip.chip.n_nodes
    node = torch.full((n,), node_V2_per_s * tau / c.unit_voltage_V**2, dtype=torch.float64)
    # Noise beside F has this intensity per second; on the state it passes the state's own rate.
    beside = [_resistors(chip), _amplifiers(chip)]
    if stages.line_tau_s is not None:
        gbw_Hz = chip.driver_gbw_Hz()
        density = chip.opamp.noise_density_V2_per_Hz(c.amplifier, gbw_Hz, chip.chip.temperature_K)
        at_line = DRIVER_NOISE_GAIN**2 * density / 2 / c.unit_voltage_V**2
        beside.append(torch.full((n,), at_line, dtype=torch.float64))
    shaped = torch.cat(beside) * rate[n:].square() / tau
    return torch.cat((node, shaped)) / core.units.double().square()


def node_covariance(chip: AmplifiedChip, u: Tensor, rest: Tensor) -> Tensor:
    """(node, node) float64 [1]. Covariance of the nodes around a rest, of the linearised circuit.

    Args:
        chip: a chip with its amplifiers.
        u: (1, input) [1].
        rest: (1, state). Where it rests.

    Raises:
        InputError: for more than one input, or a rest that repels.
    """
    if u.shape[0] != 1 or rest.shape != (1, chip.n_nodes):
        raise InputError(f"want one input and its rest, got u {tuple(u.shape)} and rest {tuple(rest.shape)}")
    flow = chip.linearise(rest, chip.drive(u)).dense()[0].double() - torch.eye(chip.n_nodes, dtype=torch.float64)
    A = (chip.core.rate.double().unsqueeze(1) * flow).numpy()
    n = chip.chip.n_nodes
    return torch.from_numpy(stationary_covariance(A, torch.diag(noise_intensity(chip)).numpy())[:n, :n].copy())


def _resistors(chip: AmplifiedChip) -> Tensor:
    """(node,) float64 [1/Hz]. Two-sided, of devices and feedback resistor, at the pre-activation."""
    kT, R_f = BOLTZMANN_J_PER_K * chip.chip.temperature_K, chip.chip.pairs.feedback_ohm
    return 2 * kT * R_f**2 * (chip.chip.pairs.row_sum_S() + 1 / R_f) / chip.chip.circuit.unit_voltage_V**2


def _amplifiers(chip: AmplifiedChip) -> Tensor:
    """(node,) float64 [1/Hz]. Two-sided, of the summing amplifiers, at their outputs."""
    c, T = chip.chip.circuit, chip.chip.temperature_K
    density = [chip.opamp.noise_density_V2_per_Hz(c.amplifier, gbw, T) for gbw in chip.gain_bandwidth_Hz().tolist()]
    return chip.noise_gain().square() * torch.tensor(density, dtype=torch.float64) / 2 / c.unit_voltage_V**2
