"""What noise does to an evaluated chip, for the summary and the report of its run."""

import json
from typing import Any

import torch

from analogdeq.build import build_chip, only_core
from analogdeq.chip import Chip
from analogdeq.circuits.mapping import ConductancePairs
from analogdeq.cores.rc import RCCore
from analogdeq.models.hybrid import HybridDEQ
from analogdeq.oscillator_chip import AnyChip, OscillatorChip
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.evaluation import settle_with
from analogdeq.runs.images import read_images
from analogdeq.scenario import Scenario
from analogdeq.solve.options import SettleOptions
from analogdeq.studies.oscillator_noise import noise_robustness
from analogdeq.tasks.dataset import Dataset

MULTIPLES = (1.0, 10.0, 100.0)
"""Linewidths that are tried, in units of the scenario's: one figure says little about a margin."""


KEYS = ("accuracy_noisy", "noisy")


def noise_figures(
    model: HybridDEQ, chip: AnyChip, data: Dataset, options: SettleOptions, scenario: Scenario
) -> dict[str, Any]:
    """What noise costs: by linewidth for oscillators that have one; of crossbars at the noise their physics gives."""
    if isinstance(chip, OscillatorChip):
        return _by_linewidth(model, chip, data, options, scenario) if chip.kind.linewidth_Hz > 0 else {}
    if not isinstance(chip, Chip) or not _is_covered(chip):
        return {}
    # Another chip of the same seed: what an inference draws must not stay on the one that the report describes.
    noisy, seed = build_chip(scenario, only_core(scenario, model)), scenario.seeds.noise
    if not isinstance(noisy, Chip):
        return {}
    noisy.begin_inference(seed)
    return {"noisy": {"seed": seed, **read_images(model, noisy, data, options, factor=1.0, seed=seed).figures()}}


def _is_covered(chip: Chip) -> bool:
    """Whether its white noise is known: of dense crossbars whose nodes are equally fast, of barriers without wires."""
    if not isinstance(chip.core, RCCore) or chip.rate is not None:
        return False
    return isinstance(chip.pairs, ConductancePairs) or not chip.device_preset.is_barrier


@torch.no_grad()
def _by_linewidth(
    model: HybridDEQ, chip: OscillatorChip, data: Dataset, options: SettleOptions, scenario: Scenario
) -> dict[str, Any]:
    """Accuracy by linewidth, with noise from the release on, all images read when the slowest has settled."""
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
    return {key: content[key] for key in KEYS if key in content}
