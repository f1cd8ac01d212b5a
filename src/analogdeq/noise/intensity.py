"""Where a chip's white noise comes from, referred to its nodes."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.cores.core import Drive
from analogdeq.devices.read_noise import FlickerReadNoise
from analogdeq.errors import InputError
from analogdeq.noise.barrier import barrier_sum_S
from analogdeq.noise.oscillators import diffusion_per_tau
from analogdeq.oscillator_chip import OscillatorChip
from analogdeq.units import BOLTZMANN_J_PER_K


@final
@dataclass(frozen=True)
class NodeNoise:
    """White noise of every node, term by term: what makes dz = ... ds + sqrt(q) dW per unit of s = t / tau.

    Attributes:
        before: (node,) [1]. Two-sided intensity of noise on the pre-activation p; it passes the slope of phi.
        after: (node,) [1]. Two-sided intensity of noise on the node itself.
        terms: (node,) [1] of each source alone, before and after together at slope 1, by name.
    """

    before: Tensor
    after: Tensor
    terms: dict[str, Tensor]

    def at(self, slope: Tensor) -> Tensor:
        """(..., node) [1]. Intensity of each node where phi has this slope."""
        return slope.square() * self.before + self.after


def white_noise(
    chip: Chip | OscillatorChip, *, amplifiers: bool = True, gamma: float = 1.0, lines: Tensor | None = None
) -> NodeNoise:
    """Thermal noise of every resistor and amplifier of a chip, at its temperature; phase noise of its oscillators.

    With the voltage across a node v = V_u z and intensities Q in V^2/s (level 0):

        devices and R_f   Q = (phi'/tau)^2 2 k T R_f^2 (G_tot + 1/R_f)
        node resistors    Q = 2 k T (1/R + G_L) / C^2
        summing amplifier Q = (phi'/tau)^2 K_n^2 e_n^2 / 2,   e_n^2 = 4 k T gamma / g_m,  g_m = 2 pi GBW C_L

    and q = Q tau / V_u^2 in dimensionless time. kT/C follows; it is not put in. An amplifier's noise is taken as white
    up to the node's own bandwidth: its pole is `speed_ratio` times higher, which level 0 neglects.

    Of an oscillator chip it is q = 2 D with D = pi linewidth tau for phases, and mu times that for each quadrature of
    an amplitude; the linewidth is that of its kind at any temperature, and the arguments below mean nothing to it.

    Args:
        chip: whose.
        amplifiers: whether the summing amplifiers make noise.
        gamma: noise factor of an amplifier's input pair (design estimate: 2/3 to 2).
        lines: (line,) [1]. What stands on the lines over V_u, as `lines_at` says; for barrier devices, whose shot noise
            depends on it.

    Raises:
        InputError: if the nodes have unequal time constants, gamma is negative, or barrier devices lack `lines`.

    Source: Nyquist, Phys. Rev. 32:110 (1928), for every resistor; level-0 intensity as in docs/noise.md.
    """
    if isinstance(chip, OscillatorChip):
        diffusing = 2 * diffusion_per_tau(chip, chip.kind.linewidth_Hz)
        return NodeNoise(torch.zeros_like(diffusing), diffusing, {"oscillators": diffusing})
    if chip.rate is not None:
        raise InputError("this chip's nodes have unequal time constants, which the noise terms do not cover")
    if not (0 <= gamma < math.inf):
        raise InputError(f"gamma = {gamma} must be finite and not negative")
    c, kT = chip.circuit, BOLTZMANN_J_PER_K * chip.temperature_K
    R_f, row_S = chip.pairs.feedback_ohm, chip.pairs.row_sum_S()
    tau, per_V2 = c.tau_s, c.tau_s / c.unit_voltage_V**2
    # f drives the node through R: dv/dt = f / (R C) - ..., and a leak makes 1/(R C) = gain / tau.
    through = (1 / (c.node_R_ohm * c.node_C_F)) ** 2 * per_V2
    if chip.device_preset.is_barrier:
        row_S = barrier_sum_S(chip, lines)
    devices = through * 2 * kT * R_f**2 * row_S
    feedback = torch.full_like(row_S, through * 2 * kT * R_f)
    node = torch.full_like(row_S, 2 * kT * (1 / c.node_R_ohm + c.node_leak_S) / c.node_C_F**2 * per_V2)
    terms = {"devices": devices, "feedback": feedback, "node": node}
    before = devices + feedback
    if amplifiers:
        K_n = chip.noise_gain()
        gbw_Hz = torch.tensor([c.amplifier.gain_bandwidth_Hz(float(k), tau) for k in K_n], dtype=row_S.dtype)
        g_m = 2 * math.pi * gbw_Hz * chip.bandwidth_factor * c.amplifier.load_C_F
        terms["amplifiers"] = through * K_n.square() * 2 * kT * gamma / g_m
        before = before + terms["amplifiers"]
    # `before` is multiplied with the slope of the realised map, which contains the gain 1/(1 + R G_L) once already.
    return NodeNoise((before / c.gain**2).to(chip.core.b), node.to(chip.core.b), terms)


def flicker_scale(chip: Chip, z: Tensor, drive: Drive, level: Tensor) -> Tensor:
    """(node,) [1]. sqrt(S f) of 1/f noise on the pre-activation at rest z, from the devices' own 1/f noise.

    S_p,i = R_f^2 sum_j (G+_ij^2 Q+_ij^2 + G-_ij^2 Q-_ij^2) x_j^2 / f, with x the lines' voltages over V_u.

    Args:
        chip: whose devices; their preset must have flicker read noise.
        z: (node,) [1].
        drive: of the settle.
        level: (input,) [1]. Inputs after the DAC.

    Raises:
        InputError: if the preset has none, or the devices are in several crossbars.
    """
    noise = chip.device_preset.read_noise
    if not isinstance(noise, FlickerReadNoise) or chip.pairs.plus_S.ndim != 2 or chip.pairs.plus_S.shape[0] != len(z):
        raise InputError(
            f"device {chip.device_preset.name!r} has no 1/f noise, or its crossbars are several; nothing to refer to p"
        )
    x = torch.cat((z, level, torch.ones_like(z[:1]))).double()
    both = ((chip.pairs.plus_S, chip.target.plus_S), (chip.pairs.minus_S, chip.target.minus_S))
    squares = [(G * noise.amplitude(target / noise.g_max_S)).square() @ x.square() for G, target in both]
    return chip.pairs.feedback_ohm * (squares[0] + squares[1]).sqrt()
