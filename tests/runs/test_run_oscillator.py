"""A whole run on oscillators, small: the same files and figures as the crossbar, and cycles besides."""

import json
from pathlib import Path

import pytest
import torch
from small_runs import SILENT, SMALL

from analogdeq.build import build_data, build_fit_options, build_model
from analogdeq.cli.result import show
from analogdeq.errors import InputError, ScenarioError
from analogdeq.runs import workflow
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.noise import stored_noise
from analogdeq.runs.placed import place
from analogdeq.scenario import load_scenario
from analogdeq.trace import open_trace
from analogdeq.train.fit import Trainer

TERMS = ["oscillators", "coupling", "injection", "DAC", "ADC"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "oscillators"
    with RunDirectory.create(load_scenario("digits-oscillator", SMALL), folder) as run:
        scenario = run.scenario()
        workflow.train_run(run, resume=False, progress=SILENT)
        workflow.evaluate_run(run, scenario, SILENT)
        workflow.record_run(run, scenario, ["analogdeq"], SILENT)
        workflow.write_run_report(run, ["analogdeq"], SILENT)
    return folder


def test_the_summary_has_joules_by_term_and_settling_in_cycles(run_folder: Path) -> None:
    summary = json.loads((run_folder / "summary.json").read_text())
    assert list(summary["energy_terms_mean_J"]) == TERMS
    assert sum(summary["energy_terms_mean_J"].values()) == pytest.approx(summary["energy_J"]["mean"], rel=1e-6, abs=0)
    for key, time_s in summary["t_settle_s"].items():
        assert summary["t_settle_cycles"][key] == pytest.approx(1e9 * time_s)
    assert summary["fraction_not_settled"] == 0


def test_the_summary_says_what_phase_noise_costs(run_folder: Path) -> None:
    rows = json.loads((run_folder / "summary.json").read_text())["accuracy_noisy"]
    assert [row["linewidth_Hz"] for row in rows] == [1e5, 1e6, 1e7]
    spread = [row["phase_rms_rad"] for row in rows]
    # Small noise spreads a locked phase by sqrt(D / rate), D = pi linewidth tau; rates are near 2 per tau.
    assert spread[0] == pytest.approx((torch.pi * 1e5 / (2 * torch.pi * 1e8) / 2) ** 0.5, rel=0.25)
    assert spread[1] / spread[0] == pytest.approx(10**0.5, rel=0.02)
    assert "wide lines" in (run_folder / "report.html").read_text()


def test_the_trace_has_the_power_terms_that_add_up(run_folder: Path) -> None:
    with open_trace(run_folder / "trace.h5") as trace:
        assert trace.supply_terms == ("oscillators", "coupling", "injection")
        recorded = trace.to_trace()
    assert recorded.terms == ("oscillators", "coupling", "injection")
    assert recorded.state.shape[1:] == (3, 8)


def test_the_report_says_cycles_and_what_was_assumed(run_folder: Path) -> None:
    page = (run_folder / "report.html").read_text()
    for words in ("settling cycles, median", "Ring oscillators, 65 nm", "Moy et al.", "lock ratio", "linewidth"):
        assert words in page
    assert "transimpedance" not in page


def test_devices_that_are_no_resistors_are_refused_before_any_training() -> None:
    window = ["circuit.g_min_S=50 uS", "circuit.g_max_S=225 uS"]
    bent = load_scenario("digits-oscillator", ["device.preset=reram-milo", *window])
    with pytest.raises(ScenarioError, match=r"\[oscillator\] oscillators are coupled by resistors"):
        workflow.check_buildable(bent)


def test_the_console_shows_what_phase_noise_costs(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = json.loads((run_folder / "summary.json").read_text())
    assert stored_noise(RunDirectory(run_folder))["accuracy_noisy"] == summary["accuracy_noisy"]
    show(summary, {}, as_json=False)
    assert "lines 100 kHz wide" in capsys.readouterr().out


def test_a_netlist_of_oscillators_is_refused(run_folder: Path) -> None:
    with pytest.raises(InputError, match="oscillator core; SPICE netlists are of RC crossbars"):
        place(str(run_folder))


def test_half_as_many_oscillators_learn_most_digits_in_eight_epochs(tmp_path: Path) -> None:
    scenario = load_scenario("digits-oscillator", ["model.nodes=32", "train.epochs=8"])
    trainer = Trainer(build_model(scenario), build_data(scenario), build_fit_options(scenario))
    rows: list[dict] = []
    trainer.fit(tmp_path / "checkpoint.pt", tmp_path / "metrics.jsonl", "", rows.append)
    assert rows[-1]["test_accuracy"] > 0.93
    assert sum(row["unsettled"] for row in rows) == 0
    assert max(row["backward_residual_max"] for row in rows) < 1e-4
