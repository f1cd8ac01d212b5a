"""What noise does to an evaluated oscillator chip, for the summary and the report of its run."""

import json
from typing import Any

import torch

from analogdeq.models.hybrid import HybridDEQ
from analogdeq.oscillator_chip import AnyChip, OscillatorChip
from analogdeq.runs.directory import RunDirectory
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
    """Accuracy by linewidth, with noise from the release on, all images read when the slowest has settled.

    Nothing where the scenario names no linewidth or the core has no oscillators.
    """
    if not isinstance(chip, OscillatorChip) or chip.kind.linewidth_Hz == 0:
        return {}
    quiet = settle_with(chip, model.encoder(data.test_x.to(chip.dtype)), options)
    # An image that did not settle has no instant of its own; it is read with the others.
    instants_s = quiet.t_settle_s[quiet.is_settled] if bool(quiet.is_settled.any()) else quiet.t_end_s
    until_tau = max(float(instants_s.max()) / chip.tau_s, 1.0)
    widths = tuple(chip.kind.linewidth_Hz * k for k in MULTIPLES)
    rows = noise_robustness(model, chip, data, quiet.z, widths, until_tau=until_tau, seed=scenario.seeds.chip)
    return {
        "accuracy_noisy": [
            {"linewidth_Hz": row.linewidth_Hz, "accuracy": row.accuracy, "phase_rms_rad": row.phase_rms_rad}
            for row in rows
        ]
    }


def stored_noise(run: RunDirectory) -> dict[str, Any]:
    """What `noise_figures` gave when the run was evaluated last."""
    content = json.loads(run.summary.read_text(encoding="utf-8"))
    return {key: content[key] for key in ("accuracy_noisy",) if key in content}
