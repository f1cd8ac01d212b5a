"""A run at circuit level 1: from the scenario to the figures, the trace and the assumptions."""

import json
from pathlib import Path

import pytest
import torch
from small_runs import SILENT, make_run, small_scenario

from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.build import build_chip, build_settle_options
from analogdeq.circuits.opamp import OpAmp
from analogdeq.errors import InputError
from analogdeq.runs.amplifiers import KEYS, stored_amplifier_figures
from analogdeq.runs.assumptions import assumptions_of
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.evaluation import SLOW_MODES, Evaluation
from analogdeq.runs.placed import place
from analogdeq.scenario import load_scenario
from analogdeq.trace import open_trace

LEVEL_1 = ("circuit.level=1", "circuit.opamp.offset_sigma_V=100 uV")


def test_a_run_at_level_1_reports_both_levels(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SILENT, *LEVEL_1)
    run = RunDirectory(folder)
    summary = json.loads(run.summary.read_text())
    assert summary["fraction_not_settled"] == 0
    assert stored_amplifier_figures(run) == {key: summary[key] for key in KEYS}
    worst = summary["spectral_abscissa_per_s"]
    assert -1e8 < worst["level_0"] < 0
    assert worst["level_0"] != worst["level_1"] < 0
    assert worst["stable_at_level_0_only"] == 0
    assert summary["noise_gain"]["max"] > summary["noise_gain"]["mean"] > 1
    evaluation = Evaluation.load(run.evaluation)
    slowest = (evaluation.eigenvalues.real.max() - 1) / float(evaluation.tau_s)
    assert slowest == pytest.approx(worst["level_1"], rel=1e-2)
    assert evaluation.eigenvalues.real.min() > SLOW_MODES
    with open_trace(run.trace) as trace:
        assert trace.state.shape[-1] == 4 * 8
    assert "V/√Hz" in (folder / "report.html").read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"netlists are of level 0; add --set circuit\.level=0"):
        place(str(folder))


def test_every_key_of_the_scenario_arrives() -> None:
    chip = build_chip(
        small_scenario(
            "circuit.level=1", "circuit.opamp.dc_gain=300", "circuit.opamp.slew_V_per_s=2e8",
            "circuit.opamp.swing_V=0.6",
            "circuit.opamp.offset_sigma_V=1 mV", "circuit.opamp.input_noise_V_per_rtHz=5e-9",
            "circuit.opamp.noise_gamma=1.5", "circuit.opamp.summing_C_F=30 fF", "circuit.opamp.line_drivers=ideal",
            "circuit.opamp.driver_R_ohm=2 kohm", "circuit.opamp.cell_C_F=1 fF",
        )
    )  # fmt: skip
    assert isinstance(chip, AmplifiedChip)
    assert chip.opamp == OpAmp(
        dc_gain=300, slew_V_per_s=2e8, swing_V=0.6, offset_sigma_V=1e-3, input_noise_V_per_rtHz=5e-9, noise_gamma=1.5,
        summing_C_F=3e-14, has_line_poles=False, driver_R_ohm=2e3, cell_C_F=1e-15,
    )  # fmt: skip
    assert chip.n_nodes == 3 * 8


def test_the_shipped_scenario_is_at_level_1_and_its_assumptions_say_so() -> None:
    scenario = load_scenario("digits-amplified", ["model.nodes=8", "model.inputs=8"])
    chip = build_chip(scenario)
    rows = {row.name: row.value for row in assumptions_of(chip, build_settle_options(scenario))}
    assert rows["circuit level"] == "1"
    assert rows["open-loop gain"] == "1000"
    assert "neglected amplifier pole" not in rows
    assert chip.dtype == torch.float32


def test_oscillators_have_no_level_1() -> None:
    with pytest.raises(InputError, match="level = 1 is known for crossbars of RC cores only"):
        build_chip(load_scenario("digits-oscillator", ["circuit.level=1", "model.nodes=6"]))
