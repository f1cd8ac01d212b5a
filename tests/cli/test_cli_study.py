"""Studies on the command line: the same figures from any number of processes, after ctrl-C and after kill -9."""

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_line import PROGRAM, SMALL, Command

from analogdeq.cli import start
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.study.folder import StudyFolder

BITS = ("--set", "circuit.adc.bits=6,7,8")


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_sweep_of_a_run_leaves_table_picture_and_verdict(cli: Command, finished: Path) -> None:
    answer = cli("sweep", finished, *BITS, "--chips", 2, "--out", "study", "--json")
    assert (answer.code, answer.err) == (0, "")
    rows = table(Path("study"))
    assert [(row["circuit.adc.bits"], row["chip"]) for row in rows] == [(b, c) for b in "678" for c in "01"]
    assert all(row["images"] == "40" and float(row["settled"]) == 1 for row in rows)
    summary = json.loads(Path("study/summary.json").read_text())
    assert summary["verdict"].startswith("accuracy from ")
    assert len(summary["settings"]) == 3
    assert Path("study/sweep.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in Path("study/networks").iterdir()] == ["given"]


def test_a_sweep_trains_once_per_network_and_not_per_point(cli: Command) -> None:
    words = ["sweep", "digits-crossbar", *SMALL, "--set", "train.epochs=1", "--out", "study", "--json"]
    answer = cli(*_without(words), "--set", "model.nodes=6,8", *BITS)
    assert answer.code == 0, answer.err
    assert len(list(Path("study/networks").iterdir())) == 2
    assert answer.json["points"] == 6
    assert len({row["energy_mean_J"] for row in table(Path("study"))}) == 6


def _without(words: list[str]) -> list[str]:
    """Without the values that this test gives itself."""
    kept, skip = [], False
    for k, word in enumerate(words):
        if skip:
            skip = False
        elif word == "--set" and words[k + 1] in ("model.nodes=8", "train.epochs=2"):
            skip = True
        else:
            kept.append(word)
    return kept


def test_a_study_that_is_killed_goes_on_without_losing_or_repeating_a_row(finished: Path, tmp_path: Path) -> None:
    words = ["robustness", str(finished), "--axes", "noise", "--noise", "0,1,2,3", "--chips", "30", "--json"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with subprocess.Popen(
        [*PROGRAM, *words, "--workers", "2", "--out", str(killed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        rows = killed / "rows.jsonl"
        ends = time.monotonic() + 120
        while not (rows.exists() and rows.read_bytes().count(b"\n") >= 5):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < ends
            time.sleep(0.01)
        process.kill()
    before = rows.read_bytes()
    whole_lines = before[: before.rfind(b"\n") + 1]
    assert whole_lines.count(b"\n") < 120, "it was done before it was killed"
    with StudyFolder.resume(killed):  # its processes let go with it
        pass
    again = subprocess.run([*PROGRAM, "robustness", "--resume", str(killed), "--json"], capture_output=True, check=True)
    assert rows.read_bytes().startswith(whole_lines)
    keys = [json.loads(line)["key"] for line in rows.read_bytes().splitlines()]
    assert len(keys) == len(set(keys)) == 120
    assert json.loads(again.stdout)["points"] == 120
    subprocess.run([*PROGRAM, *words, "--out", str(whole)], capture_output=True, check=True)
    for name in ("results.csv", "summary.json", "robustness.png"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), f"{name}: two processes, killed; or one"


def test_ctrl_c_says_how_to_go_on_and_ends_the_processes(finished: Path, tmp_path: Path) -> None:
    words = ["yield", str(finished), "--chips", "400", "--workers", "2", "--out", str(tmp_path / "study")]
    with subprocess.Popen([*PROGRAM, *words], stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        rows = tmp_path / "study" / "rows.jsonl"
        while not rows.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert f"Go on with: analogdeq yield --resume {tmp_path / 'study'}" in said
    assert "Traceback" not in said
    assert _are_gone(process.pid, within_s=30)


def test_converters_without_a_price_have_no_joules_in_the_table(cli: Command, finished: Path) -> None:
    words = ("noise-margin", finished, "--axes", "adc,dac", "--bits", "6", "--chips", 1, "--out", "study")
    assert cli(*words).code == 0
    joules = {row["axis"]: row["energy_mean_J"] for row in table(Path("study"))}
    assert joules["adc"] == ""
    assert float(joules["dac"]) > 0
    assert float(joules["reference"]) > 0


def test_a_study_is_refused_what_it_cannot_do(cli: Command, finished: Path) -> None:
    assert cli("noise-margin", finished, "--axes", "adc", "--bits", "8", "--chips", 2, "--out", "margin").code == 0
    for words, code, message in (
        (["sweep", finished], 2, "a sweep varies at least one key"),
        (["sweep", finished, "--set", "model.nodes=4,8"], 2, "[model] cannot be changed"),
        (["sweep", finished, "--set", "circuit.adc.bits=6,99"], 2, "bits"),
        (["yield"], 2, "name a run directory or a scenario"),
        (["robustness", finished, "--noise", "1,two"], 2, "'two' is no number"),
        (["yield", "--resume", "margin"], 2, "go on with analogdeq noise-margin --resume"),
        (["noise-margin", finished, "--resume", "margin"], 2, "--resume goes on with a study as it was begun"),
        (["noise-margin", finished, "--chips", 3, "--out", "margin"], 1, "holds another study"),
    ):
        answer = cli(*words)
        assert (answer.code, message in answer.err) == (code, True), (words, answer.err)
    assert os.listdir() == ["margin"]


def test_a_half_trained_run_is_called_so(cli: Command, copy: Path) -> None:
    assert "half-trained" not in cli("evaluate", copy, "--json").err
    file = RunDirectory(copy).scenario_file
    file.write_text(file.read_text().replace("epochs = 2\n", "epochs = 9\n", 1))
    answer = cli("evaluate", copy)
    assert answer.code == 0
    assert "this network is half-trained, 2 of 9 epochs" in answer.err
    study = cli("yield", copy, "--chips", 1, "--ages", "0", "--cares", "none", "--out", "study", "--json")
    assert "half-trained, 2 of 9 epochs" in study.json["note"]


def test_what_an_interrupted_import_raises_is_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def import_that_breaks() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:  # numpy's half-imported module does this
            raise RecursionError("maximum recursion depth exceeded") from None

    monkeypatch.setattr("analogdeq.cli.app.main", import_that_breaks)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as ended:
            start.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_an_error_without_an_interrupt_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RecursionError("deep")

    monkeypatch.setattr("analogdeq.cli.app.main", broken)
    with pytest.raises(RecursionError, match="deep"):
        start.main()


def _are_gone(group: int, within_s: float) -> bool:
    """Whether a group of processes ends; what keeps their pipes does so a moment after them."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
