"""`analogdeq run` and `train`: from nothing to a directory, and what they say when they cannot."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_line import PROGRAM, SMALL, Answer, Command

from analogdeq.runs import workflow
from analogdeq.runs.directory import RunDirectory
from analogdeq.scenario import load_scenario
from analogdeq.trace import open_trace


def rows(folder: Path) -> list[dict]:
    table = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in table]


def test_a_run_in_a_process_of_its_own_leaves_everything(made: tuple[Path, Answer]) -> None:
    folder, answer = made
    assert answer.code == 0, answer.err
    assert answer.err == ""
    summary = answer.json
    assert summary["images"] == 40
    assert summary["scenario"] == "digits-crossbar"
    assert summary["fraction_not_settled"] == 0
    assert 0 < summary["t_settle_s"]["p50"] <= summary["t_settle_s"]["p95"] <= summary["t_settle_s"]["max"] < 1e-6
    assert 0 < summary["energy_J"]["mean"] < summary["energy_clocked_J"]["mean"]
    assert set(summary["files"]) == {"run directory", "report", "waveforms", "checkpoint", "metrics"}
    assert all(Path(path).exists() for path in summary["files"].values())
    assert len(rows(folder)) == 2
    assert "<html" in (folder / "report.html").read_text()[:1000]
    with open_trace(folder / "trace.h5") as trace:
        assert trace.is_finished
        assert trace.state.shape[1:] == (2, 8)
        assert "run --set model.nodes=8" in trace.provenance["argv"]


def test_people_get_a_table_bars_and_the_files(cli: Command) -> None:
    answer = cli("run", *SMALL, "--set", "train.epochs=1", "--set", "name=mine")
    assert answer.code == 0
    for words in ("accuracy, ideal core", "accuracy, on the chip", "settling time p50 / p95 / max", "not settled",
                  "energy per inference, mean", "amplifier bias", "function evaluations", " ns", " pJ",
                  "of 40 test images"):  # fmt: skip
        assert words in answer.out
    for stage in ("training", "settling test images", "recording waveforms", "writing the report"):
        assert stage in answer.err
        assert stage not in answer.out
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("mine-20")
    assert f"\nrun directory  {folder}\n" in answer.out
    assert f"\nreport         {folder}/report.html\n" in answer.out


@pytest.mark.parametrize("columns", ["20", "40", "200"])
def test_paths_stay_whole_however_narrow_the_terminal(
    cli: Command, finished: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    answer = cli("train", "--resume", finished)
    assert answer.code == 0
    assert f"\nmetrics        {finished}/metrics.jsonl\n" in answer.out
    assert "\x1b[3" not in answer.out


def test_training_alone_leaves_a_checkpoint_and_no_figures(cli: Command) -> None:
    answer = cli("train", *SMALL, "--seed", 3, "--run-dir", "mine", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["last_epoch"]["epoch"] == 2
    assert set(answer.json["files"]) == {"run directory", "checkpoint", "metrics"}
    scenario = load_scenario("mine/scenario.toml")
    assert (scenario.seeds.chip, scenario.seeds.train) == (3, 3)


def test_the_same_seed_gives_the_same_metrics_and_another_gives_others(cli: Command, finished: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert cli("train", *SMALL, "--set", "train.epochs=1", "--seed", seed, "--run-dir", name).code == 0
    assert rows(Path("a")) == rows(Path("b"))
    assert rows(Path("a")) != rows(Path("c"))


def test_training_and_then_running_is_running(cli: Command, finished: Path, made: tuple[Path, Answer]) -> None:
    assert cli("train", *SMALL, "--run-dir", "mine").code == 0
    answer = cli("run", "--resume", "mine", "--json")
    assert answer.code == 0
    assert rows(Path("mine")) == rows(finished)
    without_files = [{k: v for k, v in summary.items() if k != "files"} for summary in (answer.json, made[1].json)]
    assert without_files[0] == without_files[1]


def test_no_epochs_are_allowed(cli: Command) -> None:
    answer = cli("train", *SMALL, "--set", "train.epochs=0", "--run-dir", "mine")
    assert answer.code == 0
    assert "checkpoint" in answer.out


def test_ctrl_c_in_the_middle_says_how_to_go_on_and_that_works(cli: Command, tmp_path: Path) -> None:
    folder = tmp_path / "my run"
    words = ["train", *SMALL, "--set", "train.epochs=300", "--run-dir", str(folder)]
    with subprocess.Popen([*PROGRAM, *words], stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            if (folder / "metrics.jsonl").exists():
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130, said
    assert f"interrupted; what was written is kept. Go on with: analogdeq train --resume '{folder}'" in said
    assert "Traceback" not in said

    trained = rows(folder)
    assert 1 <= len(trained) < 300
    scenario = folder / "scenario.toml"
    scenario.write_text(scenario.read_text().replace("epochs = 300", f"epochs = {len(trained) + 1}"))
    assert cli("train", "--resume", folder).code == 0
    assert [row["epoch"] for row in rows(folder)] == list(range(1, len(trained) + 2))


def test_ctrl_c_inside_this_process_lets_the_directory_go(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "train_run", interrupt)
    answer = cli("run", *SMALL, "--run-dir", "mine")
    assert answer.code == 130
    assert "Go on with: analogdeq run --resume mine" in answer.err
    with RunDirectory.open(Path("mine")):
        pass


def test_a_directory_in_use_is_refused(cli: Command, copy: Path) -> None:
    with RunDirectory.open(copy):
        for words in (["run", "--resume", copy], ["evaluate", copy], ["report", copy]):
            answer = cli(*words)
            assert answer.code == 1
            assert "another command is writing to this run" in answer.err


def test_a_directory_that_holds_a_run_is_refused(cli: Command, finished: Path) -> None:
    answer = cli("run", *SMALL, "--run-dir", finished)
    assert answer.code == 1
    assert "already holds a run" in answer.err


@pytest.mark.parametrize(
    "extra", [["digits-sigmoid"], ["--seed", "1"], ["--set", "train.epochs=1"], ["--run-dir", "x"]]
)
def test_resuming_takes_nothing_that_only_a_beginning_can_be_told(
    cli: Command, finished: Path, extra: list[str]
) -> None:
    answer = cli("run", "--resume", finished, *extra)
    assert answer.code == 2
    assert "--resume goes on with a run as it was begun" in answer.err


BAD_USAGE = {
    "unknown command": (["rnu"], "Did you mean 'run'"),
    "unknown option": (["run", "--sed", "1"], "--seed"),
    "unknown scenario": (["run", "digits-crosbar"], "Did you mean 'digits-crossbar'?"),
    "scenario that is a folder": (["run", "."], "is a folder"),
    "unknown preset": (["run", "--set", "device.preset=pcm-genric"], "did you mean 'pcm-generic'?"),
    "unknown key": (["run", "--set", "circuit.node_C=1 pF"], "node_C_F"),
    "unknown table": (["train", "--set", "circus.node_C_F=1 pF"], "circuit"),
    "value out of range": (["train", "--set", "train.epochs=-1"], "allowed: 0 to"),
    "quantity in another unit": (["train", "--set", "circuit.node_C_F=1 nS"], "node_C_F"),
    "no assignment": (["run", "--set", "train.epochs"], "table.key=value"),
    "negative seed": (["run", "--seed", "-1"], "--seed"),
    "seed that is a word": (["run", "--seed", "one"], "--seed"),
    "ADC nobody has published": (["run", "--set", "circuit.adc.bits=16"], "16 bits"),
    "conductance nobody has measured": (["run", "--set", "circuit.g_max_S=1 mS"], "was measured from"),
    "resume of nothing": (["run", "--resume", "nowhere"], "not a run directory"),
    "evaluation of nothing": (["evaluate", "nowhere"], "not a run directory"),
    "report of nothing": (["report", "nowhere"], "not a run directory"),
    "evaluation without a run": (["evaluate"], "RUN"),
    "simulation of nothing": (["simulate", "nowhere"], "no such file"),
}


@pytest.mark.parametrize(("words", "message"), BAD_USAGE.values(), ids=BAD_USAGE)
def test_bad_usage_ends_with_2_and_says_what_would_be_right(cli: Command, words: list[str], message: str) -> None:
    answer = cli(*words)
    assert answer.code == 2
    assert message in answer.err
    assert answer.out == ""
    assert os.listdir() == []


def test_every_mistake_is_reported_at_once(cli: Command) -> None:
    answer = cli("run", "--set", "train.epochs=-1", "--set", "model.nodes=0", "--set", "x.y=1")
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 3
    assert all(line.startswith("error: --set: ") for line in answer.err.splitlines())


def test_json_keeps_standard_output_for_results_also_when_there_are_none(cli: Command) -> None:
    answer = cli("run", "nowhere", "--json")
    assert (answer.code, answer.out) == (2, "")


def test_an_output_directory_that_cannot_be_made_is_named(cli: Command) -> None:
    Path("file").write_text("mine")
    answer = cli("run", "--set", "output.directory=file")
    assert answer.code == 1
    assert "file" in answer.err
    assert "cannot be made" in answer.err
