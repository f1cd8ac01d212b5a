"""The steps of a run: each leaves its files, and none trusts what another left."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_runs import SILENT, SMALL, Silence, make_run, small_scenario

from analogdeq.build import build_chip, build_settle_options
from analogdeq.errors import CheckpointError, DataError, InputError, ScenarioError
from analogdeq.runs import report as run_report
from analogdeq.runs import workflow
from analogdeq.runs.assumptions import assumptions_of
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.evaluation import Evaluation
from analogdeq.scenario import load_scenario
from analogdeq.trace import open_trace

ARGV = ["analogdeq", "test"]


def metrics(folder: Path) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def summary(folder: Path) -> dict:
    content: dict = json.loads((folder / "summary.json").read_text())
    return content


def report(folder: Path, progress: Silence = SILENT) -> list[str]:
    with RunDirectory.open(folder) as run:
        return [path.name for path in workflow.write_run_report(run, ARGV, progress)]


def test_a_run_leaves_every_file(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {
        ".lock", "scenario.toml", "metrics.jsonl", "checkpoint.pt", "evaluation.npz", "summary.json", "trace.h5",
        "report.html", "figures",
    }  # fmt: skip
    assert len(metrics(finished)) == 1
    figures = {path.name for path in (finished / "figures").iterdir()}
    assert {"waveforms.png", "settling_time.png", "energy.png", "eigenvalues.png", "training.png"} <= figures


def test_the_stages_are_told_in_their_order(tmp_path: Path) -> None:
    progress = Silence()
    make_run(tmp_path / "run", progress, "train.epochs=2", "task.test_limit=3")
    stages = list(dict.fromkeys(stage for stage, *_ in progress.calls))
    assert stages == ["training", "settling test images", "recording waveforms", "writing the report"]
    training = [call for call in progress.calls if call[0] == "training"]
    assert [(done, total) for _, done, total, _ in training] == [(0, 2), (1, 2), (2, 2)]
    assert "test accuracy" in training[-1][3]
    for stage in stages:
        assert [call[1:3] for call in progress.calls if call[0] == stage][-1][0] > 0


def test_the_same_seeds_make_the_same_run_to_the_bit(finished: Path, tmp_path: Path) -> None:
    again = make_run(tmp_path / "again", SILENT)
    assert metrics(again) == metrics(finished)
    assert summary(again) == summary(finished)
    one, two = (Evaluation.load(folder / "evaluation.npz") for folder in (again, finished))
    np.testing.assert_array_equal(one.energy_terms_J, two.energy_terms_J)
    with open_trace(again / "trace.h5") as a, open_trace(finished / "trace.h5") as b:
        np.testing.assert_array_equal(a.state, b.state)


def test_the_scenario_a_run_left_makes_the_same_run_again(finished: Path, tmp_path: Path) -> None:
    with RunDirectory.create(load_scenario(finished / "scenario.toml"), tmp_path / "again") as run:
        workflow.train_run(run, resume=False, progress=SILENT)
    assert metrics(tmp_path / "again") == metrics(finished)


def test_another_chip_seed_is_another_chip_with_the_same_network(copy: Path, finished: Path) -> None:
    with RunDirectory.open(copy) as run:
        other = workflow.evaluate_run(run, workflow.scenario_of_trained(run, None, 7), SILENT)
        same = workflow.evaluate_run(run, workflow.scenario_of_trained(run, None, 0), SILENT)
    before = Evaluation.load(finished / "evaluation.npz")
    assert (other.ideal_class == before.ideal_class).all()
    assert not np.allclose(other.t_settle_s, before.t_settle_s, rtol=1e-6)
    np.testing.assert_array_equal(same.t_settle_s, before.t_settle_s)


def test_the_trace_shows_the_first_images_of_the_evaluation(finished: Path) -> None:
    evaluation = Evaluation.load(finished / "evaluation.npz")
    with open_trace(finished / "trace.h5") as trace:
        assert trace.sample.tolist() == [0, 1, 2]
        np.testing.assert_allclose(trace.result.t_settle_s, evaluation.t_settle_s[:3], rtol=1e-3)
        assert load_scenario(finished / "scenario.toml").name in trace.scenario_toml
        assert trace.provenance["seed_chip"] == "0"
        assert trace.time_s[-1] >= evaluation.t_settle_s[:3].max()


def test_a_run_without_samples_has_no_trace_and_a_report_all_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SILENT, "trace.samples=0", "task.test_limit=4", "train.epochs=0")
    assert not (run / "trace.h5").exists()
    assert not (run / "metrics.jsonl").exists()
    assert "did not settle" in (run / "report.html").read_text()


def test_a_run_in_which_nothing_settled_has_a_report_that_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SILENT, "settle.max_time_tau=3", "task.test_limit=5", "train.epochs=0")
    page = (run / "report.html").read_text()
    assert "timed out" in page
    assert "5 of 5 did not" in page
    assert summary(run)["t_settle_s"] == {"p50": None, "p95": None, "max": None}
    assert "NaN" not in (run / "summary.json").read_text()


def test_a_summary_is_strict_json_with_the_scenario_it_is_of(finished: Path) -> None:
    text = (finished / "summary.json").read_text()
    content = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    (finished.parent / "evaluated.toml").write_text(content["evaluated_scenario"])
    assert load_scenario(finished.parent / "evaluated.toml") == load_scenario(finished / "scenario.toml")


@pytest.mark.parametrize("change", ["task.test_limit=1", "seeds.chip=4"])
def test_waveforms_of_another_evaluation_stay_out_of_the_report(copy: Path, change: str) -> None:
    with RunDirectory.open(copy) as run:
        workflow.evaluate_run(run, run.scenario([change]), SILENT)
    progress = Silence()
    assert "waveforms.png" not in report(copy, progress)
    assert "without waveforms" in progress.calls[-1][3]


def test_waveforms_recorded_with_the_evaluation_are_in_the_report(copy: Path) -> None:
    with RunDirectory.open(copy) as run:
        scenario = run.scenario(["task.test_limit=1", "seeds.chip=4"])
        workflow.evaluate_run(run, scenario, SILENT)
        workflow.record_run(run, scenario, ARGV, SILENT)
    progress = Silence()
    assert "waveforms.png" in report(copy, progress)
    assert progress.calls[-1][3] == ""


def test_a_trace_too_long_to_read_at_once_is_thinned_and_the_page_says_so(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(copy)
    assert "recorded points is shown here" not in (copy / "report.html").read_text()
    with open_trace(copy / "trace.h5") as trace:
        n_states = trace.state.size
    monkeypatch.setattr(run_report, "MOST_STATES", n_states // 3)
    assert "waveforms.png" in report(copy)
    assert re.search(r"one in [34] recorded points is shown here", (copy / "report.html").read_text())


def test_a_report_can_be_written_from_the_files_alone(copy: Path) -> None:
    (copy / "report.html").unlink()
    shutil.rmtree(copy / "figures")
    names = report(copy)
    assert names[0] == "report.html"
    assert (copy / "report.html").stat().st_size > 100_000
    assert all((copy / "figures" / name).stat().st_size > 1000 for name in names[1:])


DAMAGE = {
    "no evaluation": ("evaluation.npz", None, DataError, "not evaluated yet"),
    "no summary": ("summary.json", None, DataError, "not evaluated yet; run 'analogdeq evaluate"),
    "half a summary": ("summary.json", b'{"scenario"', DataError, r"summary\.json: damaged"),
    "summary is a list": ("summary.json", b"[]", DataError, r"summary\.json: damaged"),
    "summary is empty": ("summary.json", b"{}", DataError, r"summary\.json: damaged"),
    "summary is no text": ("summary.json", b"\xff\xfe\x00", DataError, r"summary\.json: damaged"),
    "its scenario is a number": ("summary.json", b'{"evaluated_scenario": 3}', DataError, r"summary\.json: damaged"),
    "its scenario is bad": ("summary.json", b'{"evaluated_scenario": "x=1"}', DataError, "its scenario is damaged"),
    "no checkpoint": ("checkpoint.pt", None, CheckpointError, "there is no checkpoint"),
    "half a checkpoint": ("checkpoint.pt", b"PK\x03\x04", CheckpointError, "damaged"),
    "bad metrics": ("metrics.jsonl", b"{\n", DataError, r"metrics\.jsonl: line 1"),
    "half a trace": ("trace.h5", b"\x89HDF\r\n\x1a\n", Exception, r"trace\.h5"),
}


@pytest.mark.parametrize(("name", "content", "kind", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_report_of_damaged_files_names_the_file(
    copy: Path, name: str, content: bytes | None, kind: type[Exception], message: str
) -> None:
    file = copy / name
    file.unlink() if content is None else file.write_bytes(content)
    page = (copy / "report.html").read_bytes()
    with pytest.raises(kind, match=message) as caught:
        report(copy)
    assert type(caught.value).__module__ == "analogdeq.errors"
    assert (copy / "report.html").read_bytes() == page


@pytest.mark.parametrize(
    "change", ["model.nodes=9", "model.activation=sigmoid", "train.epochs=9", "train.forward=settle", "seeds.train=9"]
)
def test_what_was_trained_cannot_be_changed_afterwards(finished: Path, change: str) -> None:
    with pytest.raises(InputError, match="cannot be changed, this network is trained already"):
        workflow.network(str(finished), [change], None)


@pytest.mark.parametrize(
    ("section", "field", "said", "meant"),
    [
        ("circuit", "node_C_F", "50 fF", 5e-14),
        ("device", "preset", "ideal", "ideal"),
        ("settle", "band", "1e-2", 1e-2),
        ("task", "test_limit", "2", 2),
        ("trace", "samples", "1", 1),
        ("seeds", "chip", "9", 9),
    ],
)
def test_where_it_is_placed_can_be_changed(finished: Path, section: str, field: str, said: str, meant: object) -> None:
    scenario, model = workflow.network(str(finished), [f"{section}.{field}={said}"], None)
    assert getattr(getattr(scenario, section), field) == meant
    assert model.core.n_nodes == 8


def test_a_seed_draws_the_weights_of_an_untrained_network_but_not_of_a_trained_one(finished: Path) -> None:
    one, two = (workflow.network("digits-crossbar", list(SMALL), seed)[1] for seed in (1, 2))
    assert not np.array_equal(one.core.W.detach(), two.core.W.detach())
    one, two = (workflow.network(str(finished), None, seed)[1] for seed in (1, 2))
    assert np.array_equal(one.core.W.detach(), two.core.W.detach())


def test_a_folder_that_is_no_run_is_no_scenario_either(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="is a folder"):
        workflow.network(str(tmp_path), None, None)


def test_a_run_that_was_never_trained_has_no_network(tmp_path: Path) -> None:
    with RunDirectory.create(small_scenario(), tmp_path / "run"):
        pass
    with pytest.raises(CheckpointError, match="train first"):
        workflow.network(str(tmp_path / "run"), None, None)


def test_preset_and_converter_mistakes_are_found_before_training_and_all_at_once() -> None:
    scenario = small_scenario("device.preset=pcm-genric", "circuit.adc.bits=16")
    with pytest.raises(ScenarioError) as caught:
        workflow.check_buildable(scenario)
    device, adc = caught.value.problems
    assert "did you mean 'pcm-generic'" in device
    assert "16 bits" in adc


def test_conductances_a_device_was_not_measured_at_are_found_before_training() -> None:
    with pytest.raises(ScenarioError, match=r"measured from 0 to 2\.5e-05 S"):
        workflow.check_buildable(small_scenario("circuit.g_max_S=100 uS"))


def test_no_samples_are_no_settle_and_no_summary() -> None:
    scenario, model = workflow.network("digits-crossbar", [*SMALL, "trace.samples=0"], None)
    assert workflow.simulate(model, scenario, Path("never.h5"), ARGV, SILENT) is None
    with pytest.raises(InputError, match=r"--set trace\.samples=8"):
        workflow.settled_summary(scenario, None)


def test_every_assumption_has_a_name_a_value_a_meaning_and_a_source() -> None:
    scenario = small_scenario("seeds.chip=12345")
    rows = assumptions_of(build_chip(scenario), build_settle_options(scenario))
    assert len({row.name for row in rows}) == len(rows) > 15
    for row in rows:
        assert all(text.strip() for text in (row.name, row.value, row.meaning, row.source)), row
    said = {row.name: row.value for row in rows}
    assert said["time constant"] == "10 ns"
    assert said["chip seed"] == "12345"
    assert said["mapping"] == "one-sided"
