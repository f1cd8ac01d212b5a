"""How fast the states of a chip's oscillators diffuse."""

import math

import torch
from torch import Tensor

from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
from analogdeq.oscillator_chip import OscillatorChip


def diffusion_per_tau(chip: OscillatorChip, linewidth_Hz: float) -> Tensor:
    """(node,) [rad^2 per tau; 1 per tau]. D = pi linewidth tau of each phase; mu D of each quadrature of an amplitude.

    Noise of equal strength in both quadratures of an oscillation of amplitude sqrt(mu) turns its phase by D.

    Args:
        chip: whose.
        linewidth_Hz: [Hz]. Full width at half maximum of each free oscillator's line.

    Source: a phase with dphi = sqrt(2 D) dw is a Lorentzian line of full width D / pi; textbook.
    """
    diffusion = math.pi * linewidth_Hz * chip.tau_s
    core = chip.core
    if isinstance(core, StuartLandauCore):
        return (diffusion * core.mu).repeat_interleave(2)
    return torch.full((core.n_nodes,), diffusion, dtype=core.dtype, device=core.device)
