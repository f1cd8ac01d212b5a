"""What a back end reports of a batch, before it becomes seconds and joules."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One row per sample; times in units of tau, energies in watts times tau.

    Attributes:
        z: (batch, node). The equilibrium, or the last state.
        z_readout: (batch, node). The state when the band was entered for good, or the last state.
        time_settle: (batch,) float64. NaN unless settled.
        time_end: (batch,) float64.
        energy: (batch, term) float64. Until `time_settle`, or until the end.
        residual: (batch,) float64. max |F(z) - z| at `z`; NaN where the back end did not look.
        verdict: (batch,) uint8.
        period: (batch,) float64. NaN unless oscillating.
        evaluations, steps, rejected: (batch,) int64.
    """

    z: Tensor
    z_readout: Tensor
    time_settle: Tensor
    time_end: Tensor
    energy: Tensor
    residual: Tensor
    verdict: Tensor
    period: Tensor
    evaluations: Tensor
    steps: Tensor
    rejected: Tensor


def empty_outcome(z: Tensor, n_terms: int) -> Outcome:
    """Room for the results of a batch that starts at z (batch, node)."""
    batch, device = z.shape[0], z.device

    def real(*shape: int) -> Tensor:
        return torch.full((batch, *shape), torch.nan, dtype=torch.float64, device=device)

    def count() -> Tensor:
        return torch.zeros(batch, dtype=torch.int64, device=device)

    return Outcome(
        z=z.clone(),
        z_readout=z.clone(),
        time_settle=real(),
        time_end=real(),
        energy=real(n_terms),
        residual=real(),
        verdict=torch.zeros(batch, dtype=torch.uint8, device=device),
        period=real(),
        evaluations=count(),
        steps=count(),
        rejected=count(),
    )
