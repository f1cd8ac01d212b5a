"""What amplifiers do to an evaluated chip, for the summary and the report of its run."""

import json
from typing import Any

import torch
from torch import Tensor

from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.build import build_chip, build_data, only_core
from analogdeq.oscillator_chip import AnyChip
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.evaluation import SPECTRUM_SAMPLES
from analogdeq.scenario import Scenario
from analogdeq.solve.margin import amplifier_margin
from analogdeq.tasks.dataset import Dataset, pixels
from analogdeq.units import format_quantity

DOCS = "docs/amplifiers.md"
KEYS = ("circuit_level", "spectral_abscissa_per_s", "noise_gain", "amplifier_pole_s")
Rows = list[tuple[str, str, str, str]]


@torch.no_grad()
def amplifier_figures(model: Any, chip: AnyChip, data: Dataset) -> dict[str, Any]:
    """Spectral abscissas of both levels and noise gains at level 1; nothing for a chip at level 0.

    Args:
        model: the network whose encoder makes the inputs.
        chip: any.
        data: whose first test images give the equilibria at which the circuit is linearised.
    """
    if not isinstance(chip, AmplifiedChip):
        return {}
    u = model.encoder(pixels(data.test_x[:SPECTRUM_SAMPLES], chip.dtype))
    margin, K_n = amplifier_margin(chip, u), chip.noise_gain()
    return {
        "circuit_level": 1,
        "spectral_abscissa_per_s": {
            "level_0": float(margin.level_0_per_s.max()),
            "level_1": _largest(margin.level_1_per_s),
            "images": u.shape[0],
            "stable_at_level_0_only": int(margin.is_upset.sum()),
        },
        "noise_gain": {"mean": float(K_n.mean()), "max": float(K_n.max())},
        "amplifier_pole_s": {"max": float(chip.stages().output_tau_s.max())},
    }


def amplifiers_of(model: Any, scenario: Scenario) -> dict[str, Any]:
    """`amplifier_figures` of a scenario's chip."""
    if scenario.circuit.level == 0:
        return {}
    return amplifier_figures(model, build_chip(scenario, only_core(scenario, model)), build_data(scenario))


def stored_amplifier_figures(run: RunDirectory) -> dict[str, Any]:
    """What the latest evaluation of a run stored of them."""
    summary = json.loads(run.summary.read_text(encoding="utf-8"))
    return {key: summary[key] for key in KEYS if key in summary}


def amplifier_rows(chip: AmplifiedChip) -> Rows:
    """The assumptions that level 1 makes and level 0 does not."""
    opamp, stages = chip.opamp, chip.stages()
    slowest_s, fullest = float(stages.output_tau_s.max()), float(stages.noise_gain.max())
    line = "ideal" if stages.line_tau_s is None else format_quantity(float(stages.line_tau_s[0]), "s")
    amplifier = chip.chip.circuit.amplifier
    gbw_Hz = float(chip.gain_bandwidth_Hz().min())
    e_n = opamp.noise_density_V2_per_Hz(amplifier, gbw_Hz, chip.chip.temperature_K) ** 0.5
    slew = f"{format_quantity(opamp.slew_rate_V_per_s(amplifier, gbw_Hz), 'V')}/s"
    swing_V = stages.swing * chip.chip.circuit.unit_voltage_V
    lost = f"{100 * fullest / opamp.dc_gain:.2g} % of every weight of the fullest row is lost"
    return [
        ("circuit level", "1", "amplifiers with one pole, slew rate, swing and offset; activation stages ideal", DOCS),
        ("slowest amplifier pole", format_quantity(slowest_s, "s"), "K_n / (2 pi GBW), in the dynamics", "derived"),
        ("open-loop gain", f"{opamp.dc_gain:g}", lost, "scenario"),
        ("summing node", format_quantity(opamp.summing_C_F, "F"), "capacitance, in the dynamics", "scenario"),
        ("line driver lag", line, "closed loop at gain 2, and R_out C_line", "derived"),
        (
            "smallest slew rate",
            slew,
            "of a summing amplifier",
            _origin(opamp.slew_V_per_s),
        ),
        ("swing", "±" + format_quantity(swing_V, "V"), "of a summing amplifier", _origin(opamp.swing_V)),
        ("offset", format_quantity(opamp.offset_sigma_V, "V"), "standard deviation at the input", "scenario"),
        ("amplifier noise", f"{format_quantity(e_n, 'V')}/√Hz", "at the input; settling is noiseless", "not acting"),
    ]


def _origin(value: float | None) -> str:
    return "derived" if value is None else "scenario"


def _largest(values: Tensor) -> float | None:
    """The largest of those that are numbers."""
    known = values[~torch.isnan(values)]
    return float(known.max()) if known.numel() else None
