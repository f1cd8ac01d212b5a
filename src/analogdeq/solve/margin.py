"""What amplifiers do to stability: the spectral abscissa with their poles, beside that of the ideal circuit."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.solve.rest import find_rest_for_band, flow_eigenvalues
from analogdeq.solve.settle import settle

BAND = 1e-6
"""The rest is found to a small part of this."""


@final
@dataclass(frozen=True, kw_only=True)
class AmplifierMargin:
    """Stability of the equilibria of some inputs, at both levels.

    Attributes:
        rest: (batch, state). Where level 1 rests, or would.
        is_found: (batch,) bool. Whether there is such a rest near that of level 0.
        level_0_per_s: (batch,) float64 [1/s]. Spectral abscissa with ideal amplifiers, max Re eig; negative is stable.
        level_1_per_s: (batch,) float64 [1/s]. The same with the amplifiers' poles; NaN where no rest was found.
        frequency_Hz: (batch,) float64 [Hz]. Of the mode that decides at level 1; 0 for one that does not ring.
    """

    rest: Tensor
    is_found: Tensor
    level_0_per_s: Tensor
    level_1_per_s: Tensor
    frequency_Hz: Tensor

    @property
    def is_upset(self) -> Tensor:
        """(batch,) bool. Stable with ideal amplifiers and not with real ones: the circuit oscillates, or latches."""
        return (self.level_0_per_s < 0) & (self.level_1_per_s > 0)


@torch.no_grad()
def amplifier_margin(chip: AmplifiedChip, u: Tensor, z: Tensor | None = None) -> AmplifierMargin:
    """The spectral abscissa of the linearised circuit at both levels.

    The rest of level 1 is searched for by Newton's method from that of level 0: it may repel.

    Args:
        chip: a chip with its amplifiers.
        u: (batch, input) [1].
        z: (batch, node) [1]. Equilibria of level 0, or something near; settled for if None.

    Raises:
        InputError: for unusable inputs.
    """
    level_0 = chip.chip
    z = settle(level_0, u).z if z is None else z
    drive = chip.drive(u)
    found = find_rest_for_band(chip, drive, chip.core.lift(z, drive), BAND)
    at_level_1 = flow_eigenvalues(chip, drive, found.z)
    lead = at_level_1.real.argmax(1, keepdim=True)
    decides = at_level_1.gather(1, lead).squeeze(1).to(torch.complex128) / chip.tau_s
    at_level_0 = flow_eigenvalues(level_0, level_0.drive(u), chip.nodes(found.z))
    return AmplifierMargin(
        rest=found.z,
        is_found=found.is_found,
        level_0_per_s=at_level_0.real.amax(1).to(torch.float64) / level_0.tau_s,
        level_1_per_s=torch.where(found.is_found, decides.real, torch.nan),
        frequency_Hz=decides.imag.abs() / (2 * math.pi),
    )


def skew_limit(tau_s: float, amplifier_tau_s: float) -> float:
    """[1]. The largest |beta| for which W = beta J, J^T = -J = J^-1, rests behind amplifiers of that time constant.

        (tau + tau_a) / sqrt(tau tau_a)

    With ideal amplifiers W = beta J is stable for every beta. It is the loop (1 + s tau)(1 + s tau_a) = i beta; slope
    of the activation and gain of the amplifiers are 1 and infinite.

    Source: Routh-Hurwitz criterion of that polynomial; docs/amplifiers.md.
    """
    return (tau_s + amplifier_tau_s) / math.sqrt(tau_s * amplifier_tau_s)
