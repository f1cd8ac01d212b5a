"""Each part of a run by its own command: simulate, evaluate, report, devices, scenario, bench."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import PROGRAM, SMALL, Command

from analogdeq.scenario import load_scenario
from analogdeq.solve.options import METHODS
from analogdeq.studies import peers
from analogdeq.trace import open_trace

TOO_SHORT = ("--set", "settle.max_time_tau=3")


def summary(folder: Path) -> dict:
    content: dict = json.loads((folder / "summary.json").read_text())
    return content


@pytest.mark.parametrize("method", METHODS)
def test_every_solver_simulates_the_same_settle(cli: Command, finished: Path, method: str) -> None:
    words = ("--set", "trace.samples=1", "--set", f"settle.method={method}", "--output", "one.h5", "--json")
    answer = cli("simulate", finished, *words)
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["images"] == 1
    assert answer.json["files"] == {"waveforms": "one.h5"}
    with open_trace("one.h5") as trace, open_trace(finished / "trace.h5") as expected:
        assert answer.json["t_settle_s"]["p50"] == pytest.approx(float(expected.result.t_settle_s[0]), rel=5e-3)
        np.testing.assert_allclose(trace.result.z[0], expected.result.z[0], atol=2e-3)
        assert f"settle.method={method}" in trace.provenance["argv"]
        assert method in trace.scenario_toml


def test_a_scenario_is_simulated_with_random_weights_from_the_seed(cli: Command) -> None:
    ends = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        answer = cli("simulate", "digits-crossbar", *SMALL, "--seed", seed, "-o", f"{name}.h5", "--json")
        assert answer.code == 0
        assert answer.json["seeds"] == {"chip": seed, "train": seed, "noise": 0}
        with open_trace(f"{name}.h5") as trace:
            ends.append(trace.result.z.copy())
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.abs(ends[0] - ends[2]).max() > 0.01


def test_a_simulation_tells_people_what_it_tells_machines(cli: Command, finished: Path) -> None:
    table, machine = cli("simulate", finished), cli("simulate", finished, "--json")
    assert f"{machine.json['t_settle_s']['p50'] * 1e9:.4g} / " in table.out
    assert "waveforms  trace.h5\n" in table.out
    assert "recording waveforms" in table.err


def test_a_simulation_replaces_its_file_and_leaves_no_other(cli: Command, finished: Path) -> None:
    Path("trace.h5").write_text("something older")
    assert cli("simulate", finished).code == 0
    assert [path.name for path in Path().iterdir()] == ["trace.h5"]
    with open_trace("trace.h5") as trace:
        assert trace.is_finished


def test_a_simulation_that_does_not_settle_ends_with_3_and_keeps_its_waveforms(cli: Command, finished: Path) -> None:
    answer = cli("simulate", finished, *TOO_SHORT, "--json")
    assert answer.code == 3
    assert answer.json["fraction_not_settled"] == 1
    assert answer.json["verdicts"]["timed out"] == 2
    assert answer.json["t_settle_s"] == {"p50": None, "p95": None, "max": None}
    with open_trace("trace.h5") as trace:
        assert np.isnan(trace.result.t_settle_s).all()
        assert trace.time_s[-1] > 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--output", "."], 2, "directory"),
        (["--output", "nowhere/trace.h5"], 1, "cannot write nowhere/trace.h5"),
        (["--set", "trace.samples=0"], 2, "--set trace.samples=8"),
        (["--set", "settle.method=tsit6"], 2, "tsit5"),
        (["--set", "model.nodes=9"], 2, "trained already"),
    ],
)
def test_a_simulation_that_cannot_be_says_why(
    cli: Command, finished: Path, words: list[str], code: int, message: str
) -> None:
    answer = cli("simulate", finished, *words)
    assert answer.code == code
    assert message in answer.err
    assert list(Path().iterdir()) == []


def test_an_evaluation_may_change_the_chip_and_says_so(cli: Command, copy: Path) -> None:
    before = summary(copy)
    words = ("--set", "device.preset=ideal", "--set", "circuit.node_C_F=200 fF", "--seed", 4)
    answer = cli("evaluate", copy, *words, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["seeds"] == {"chip": 4, "train": 0, "noise": 0}
    assert answer.json["accuracy_ideal"] == before["accuracy_ideal"]
    assert answer.json["t_settle_s"]["p50"] == pytest.approx(2 * before["t_settle_s"]["p50"], rel=0.1)
    assert "report" not in answer.json["files"]

    stored = summary(copy)
    assert {name: value for name, value in answer.json.items() if name != "files"} == {
        name: value for name, value in stored.items() if name != "evaluated_scenario"
    }
    Path("evaluated.toml").write_text(stored["evaluated_scenario"])
    assert load_scenario("evaluated.toml").circuit.node_C_F == 2e-13
    assert load_scenario(copy / "scenario.toml").circuit.node_C_F == 1e-13


def test_an_evaluation_of_the_same_chip_gives_the_same_figures(cli: Command, copy: Path) -> None:
    before = summary(copy)
    assert cli("evaluate", copy).code == 0
    assert summary(copy) == before


def test_an_evaluation_and_then_a_report_fit_together(cli: Command, copy: Path) -> None:
    answer = cli("evaluate", copy, "--set", "task.test_limit=1", "--set", "title=One <image> only")
    assert answer.code == 0
    assert f"analogdeq report {copy}" in answer.out
    with open_trace(copy / "trace.h5") as trace:
        assert trace.sample.tolist() == [0]
    answer = cli("report", copy)
    assert answer.code == 0
    assert "waveforms" in answer.out
    page = (copy / "report.html").read_text()
    assert "One &lt;image&gt; only" in page
    assert "of 1 samples" in page


def test_an_evaluation_that_does_not_settle_ends_with_3_and_can_be_reported(cli: Command, copy: Path) -> None:
    answer = cli("evaluate", copy, *TOO_SHORT)
    assert answer.code == 3
    assert "100.00 %  (40 timed out)" in answer.out
    assert "- / - / - ns" in answer.out
    assert cli("report", copy).code == 0


@pytest.mark.parametrize("words", [["--set", "model.nodes=9"], ["--set", "train.epochs=3"], ["--set", "seeds.train=3"]])
def test_an_evaluation_cannot_change_what_was_trained(cli: Command, finished: Path, words: list[str]) -> None:
    answer = cli("evaluate", finished, *words)
    assert answer.code == 2
    assert "cannot be changed, this network is trained already" in answer.err


def test_a_report_is_written_again_from_the_files(cli: Command, copy: Path) -> None:
    (copy / "report.html").unlink()
    shutil.rmtree(copy / "figures")
    answer = cli("report", copy, "--json")
    assert (answer.code, answer.err) == (0, "")
    files = [Path(path) for path in answer.json["files"]]
    assert files[0] == copy / "report.html"
    assert all(path.stat().st_size > 1000 for path in files)


def test_a_run_that_was_never_evaluated_says_what_comes_first(cli: Command) -> None:
    assert cli("train", *SMALL, "--set", "train.epochs=0", "--run-dir", "mine").code == 0
    answer = cli("report", "mine")
    assert answer.code == 1
    assert "run 'analogdeq evaluate mine' first" in answer.err


def test_a_damaged_checkpoint_ends_with_1_and_its_name(cli: Command, copy: Path) -> None:
    (copy / "checkpoint.pt").write_bytes((copy / "checkpoint.pt").read_bytes()[:2000])
    for words in (["evaluate", copy], ["simulate", copy], ["run", "--resume", copy]):
        answer = cli(*words)
        assert answer.code == 1
        assert f"{copy / 'checkpoint.pt'}: damaged or not a checkpoint" in answer.err


def test_presets_are_listed_and_shown(cli: Command) -> None:
    listed = cli("devices", "list", "--json")
    assert {"ideal", "pcm-generic"} <= set(listed.json)
    assert all(name in cli("devices", "list").out for name in listed.json)
    for name in listed.json:
        facts = cli("devices", "show", name, "--json")
        assert facts.code == 0
        assert facts.json["source"]
        assert facts.json["title"] == listed.json[name]
        assert facts.json["range"] in cli("devices", "show", name).out


@pytest.mark.parametrize(
    ("name", "hint"), [("pcm-genric", "did you mean 'pcm-generic'?"), ("", "known: "), ("x.toml", "")]
)
def test_a_preset_that_does_not_exist_is_bad_usage(cli: Command, name: str, hint: str) -> None:
    answer = cli("devices", "show", name)
    assert answer.code == 2
    assert "no device preset" in answer.err
    assert hint in answer.err


def test_a_preset_of_ones_own_is_shown_from_its_file(cli: Command) -> None:
    Path("mine.toml").write_text(
        'title = "Mine"\nsource = "me"\n[programming]\nlaw = "polynomial"\n'
        'coefficients = [0.1]\ndistribution = "normal"\nsource = "me"\nstatus = "model"\n'
    )
    answer = cli("devices", "show", "mine.toml", "--json")
    assert answer.code == 0
    assert answer.json["name"] == "mine"
    Path("mine.toml").write_text("title = ")
    assert cli("devices", "show", "mine.toml").code == 2


def test_scenarios_are_listed_shown_and_checked(cli: Command) -> None:
    names = cli("scenario", "list", "--json").json
    assert "digits-crossbar" in names
    for name in names:
        checked = cli("scenario", "check", name)
        assert (checked.code, checked.out) == (0, f"{name}: no mistakes\n")
        shown = cli("scenario", "show", name, "--set", "seeds.chip=8")
        Path("shown.toml").write_text(shown.out)
        assert load_scenario("shown.toml") == load_scenario(name, ["seeds.chip=8"])


def test_a_scenario_of_ones_own_is_checked_to_its_last_mistake(cli: Command) -> None:
    Path("mine.toml").write_text(
        'base = "digits-crossbar"\nname = "mine"\n[circuit]\nnode_C = 1\n[train]\nepochs = "x"\n'
    )
    answer = cli("scenario", "check", "mine.toml")
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 2
    assert all(line.startswith("error: mine.toml: ") for line in answer.err.splitlines())


def test_checking_looks_into_presets_and_tables_too(cli: Command) -> None:
    answer = cli("scenario", "check", "digits-crossbar", "--set", "device.preset=none-such")
    assert answer.code == 2
    assert "no device preset 'none-such'" in answer.err


def test_the_schema_is_a_json_schema(cli: Command) -> None:
    schema = cli("scenario", "schema").json
    assert schema["type"] == "object"
    assert "circuit" in schema["properties"]


def test_the_benchmark_prints_a_table_or_json(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    words = ("bench", "settle", "--nodes", 8, "--batch", 2, "--repeat", 1, "--threads", 1, "--no-conv")
    answer = cli(*words, "--json")
    assert answer.code == 0
    assert {row["solver"] for row in answer.json["rows"]} >= {"analogdeq tsit5, torch", "analogdeq bosh3, torch"}
    table = cli(*words).out
    assert "analogdeq tsit5" in table
    assert "diffrax tsit5, fixed horizon: not installed, skipped" in table


@pytest.mark.parametrize("words", [["--nodes", "1"], ["--radius", "1.5"], ["--repeat", "0"], ["--threads", "0"]])
def test_a_benchmark_of_nothing_is_bad_usage(cli: Command, words: list[str]) -> None:
    answer = cli("bench", "settle", *words)
    assert answer.code == 2
    assert words[0] in answer.err


def test_a_benchmark_on_a_device_that_is_not_there_is_bad_usage(cli: Command) -> None:
    for name in ("settle", "growth"):
        answer = cli("bench", name, "--device", "cuda:99")
        assert answer.code == 2
        assert answer.err.startswith("error: device 'cuda:99'")
        assert cli("bench", name, "--device", "abacus").code == 2


def test_the_growth_benchmark_writes_a_csv_a_table_and_a_picture(cli: Command, tmp_path: Path) -> None:
    words = (
        "bench", "growth", "--out", tmp_path / "new" / "growth", "--max-nodes", 8, "--max-batch", 2, "--max-spread", 2,
        "--min-gap", 0.4, "--points", 2, "--repeat", 1, "--threads", 1,
    )  # fmt: skip
    answer = cli(*words, "--json")
    assert answer.code == 0
    assert {Path(name).name for name in answer.json["files"]} == {"growth.csv", "growth.md", "growth.png"}
    assert all(Path(name).stat().st_size > 300 for name in answer.json["files"])
    assert len(answer.json["points"]) == len((tmp_path / "new" / "growth" / "growth.csv").read_text().splitlines()) - 1
    assert "gap = 0.4: " in answer.err


@pytest.mark.parametrize("words", [["scenario", "schema"], ["devices", "list"], ["scenario", "list"]])
def test_a_reader_that_leaves_early_hears_no_traceback(words: list[str]) -> None:
    with subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode in (0, 1)
    assert said == ""


def test_a_full_disk_behind_standard_output_is_an_error_in_words() -> None:
    with open("/dev/full", "w") as full:
        command = [*PROGRAM, "scenario", "schema"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
