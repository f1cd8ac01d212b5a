"""How accurate a trained oscillator network is where noise acts while its phases settle."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import turn_of
from analogdeq.cores.oscillators.noise import diffuse
from analogdeq.models.hybrid import HybridDEQ
from analogdeq.noise.oscillators import diffusion_per_tau
from analogdeq.oscillator_chip import OscillatorChip
from analogdeq.tasks.dataset import Dataset

STEP_TAU = 0.1
"""Heun's stationary variance errs by (rate step)^2 / 4: 1 % at the rate 2 per tau at which a unit injection of 2 holds
a phase."""


@final
@dataclass(frozen=True, kw_only=True)
class NoisyAccuracy:
    """One row of the study.

    Attributes:
        linewidth_Hz: [Hz]. Of each free oscillator.
        accuracy: share of the images whose noisy readout is classified rightly.
        phase_rms_rad: [rad]. Root mean square deviation of the states from the noiseless rest, on the circle (for
            amplitudes, in their units).
    """

    linewidth_Hz: float
    accuracy: float
    phase_rms_rad: float


@torch.no_grad()
def noise_robustness(
    model: HybridDEQ,
    chip: OscillatorChip,
    data: Dataset,
    rest: Tensor,
    linewidths_Hz: tuple[float, ...],
    *,
    until_tau: float,
    seed: int,
) -> list[NoisyAccuracy]:
    """Release the oscillators with noise acting from the start, read each image once at one instant, and classify.

    Args:
        model: the trained network.
        chip: what it is placed on.
        data: whose test images are taken.
        rest: (image, node). Where each of them settles without noise.
        linewidths_Hz: [Hz]. One row each.
        until_tau: [tau]. When a clock reads all images: as late as the slowest needs.
        seed: the noise seed.
    """
    drive = chip.drive(model.encoder(data.test_x.to(chip.dtype)))
    turn = turn_of(chip)
    rows = []
    for linewidth_Hz in linewidths_Hz:
        z = diffuse(
            chip.core, drive, chip.initial_state(drive), diffusion=diffusion_per_tau(chip, linewidth_Hz),
            until_tau=until_tau, step_tau=STEP_TAU, generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        right = model.readout(chip.read(z)).argmax(1) == data.test_y
        off = (z - rest).double()
        if turn is not None:
            off = off - turn * torch.round(off / turn)
        rows.append(
            NoisyAccuracy(
                linewidth_Hz=linewidth_Hz,
                accuracy=float(right.double().mean()),
                phase_rms_rad=float(off.square().mean().sqrt()),
            )
        )
    return rows
