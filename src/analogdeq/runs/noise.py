"""What noise does to an evaluated oscillator chip, for the summary and the report of its run."""

from typing import Any

import torch

from analogdeq.models.hybrid import HybridDEQ
from analogdeq.oscillator_chip import AnyChip, OscillatorChip
from analogdeq.runs.evaluation import settle_with
from analogdeq.scenario import Scenario
from analogdeq.solve.options import SettleOptions
from analogdeq.studies.oscillator_noise import noise_robustness
from analogdeq.tasks.dataset import Dataset

MULTIPLES = (1.0, 10.0, 100.0)
"""Linewidths that are tried, in units of the scenario's: one figure says little about a margin."""


@torch.no_grad()
def noise_figures(
    model: HybridDEQ, chip: AnyChip, data: Dataset, options: SettleOptions, scenario: Scenario
) -> dict[str, Any]:
    """Accuracy by linewidth; nothing where the scenario names no linewidth or the core has no oscillators."""
    if not isinstance(chip, OscillatorChip) or chip.kind.linewidth_Hz == 0:
        return {}
    rest = settle_with(chip, model.encoder(data.test_x.to(chip.dtype)), options).z
    widths = tuple(chip.kind.linewidth_Hz * k for k in MULTIPLES)
    rows = noise_robustness(model, chip, data, rest, widths, seed=scenario.seeds.chip)
    return {
        "accuracy_noisy": [
            {"linewidth_Hz": row.linewidth_Hz, "accuracy": row.accuracy, "phase_rms_rad": row.phase_rms_rad}
            for row in rows
        ]
    }
