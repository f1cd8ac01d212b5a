"""How accurate a trained oscillator network is while its phases diffuse."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.oscillator import OscillatorKind
from analogdeq.cores.oscillators.noise import diffuse
from analogdeq.models.hybrid import HybridDEQ
from analogdeq.oscillator_chip import OscillatorChip
from analogdeq.tasks.dataset import Dataset

UNTIL_TAU = 6.0
"""Noise acts this long before the readout: several of the slowest relaxations, so that the spread is the stationary
one."""
STEP_TAU = 0.1


@final
@dataclass(frozen=True, kw_only=True)
class NoisyAccuracy:
    """One row of the study.

    Attributes:
        linewidth_Hz: [Hz]. Of each free oscillator.
        accuracy: share of the images whose noisy readout is classified rightly.
        phase_rms_rad: [rad]. Root mean square deviation of the states from rest (for amplitudes, in their units).
    """

    linewidth_Hz: float
    accuracy: float
    phase_rms_rad: float


@torch.no_grad()
def noise_robustness(
    model: HybridDEQ, chip: OscillatorChip, data: Dataset, rest: Tensor, linewidths_Hz: tuple[float, ...], *, seed: int
) -> list[NoisyAccuracy]:
    """Let noise act on the resting network, read it once per image, and classify.

    Args:
        model: the trained network.
        chip: what it is placed on.
        data: whose test images are taken.
        rest: (image, node). Where each of them settled.
        linewidths_Hz: [Hz]. One row each.
        seed: the noise seed.
    """
    drive = chip.drive(model.encoder(data.test_x.to(chip.dtype)))
    rows = []
    for linewidth_Hz in linewidths_Hz:
        z = diffuse(
            chip.core, drive, rest, diffusion=diffusion_per_tau(chip.kind, linewidth_Hz), until_tau=UNTIL_TAU,
            step_tau=STEP_TAU, generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        right = model.readout(chip.read(z)).argmax(1) == data.test_y
        rows.append(
            NoisyAccuracy(
                linewidth_Hz=linewidth_Hz,
                accuracy=float(right.double().mean()),
                phase_rms_rad=float((z - rest).double().square().mean().sqrt()),
            )
        )
    return rows


def diffusion_per_tau(kind: OscillatorKind, linewidth_Hz: float) -> float:
    """[rad^2 per tau]. pi times the linewidth, in the network's unit of time."""
    return torch.pi * linewidth_Hz * kind.tau_s
