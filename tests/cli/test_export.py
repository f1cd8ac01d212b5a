"""`analogdeq export spice` and `analogdeq spice-check`: files, tables, exit codes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analogdeq.cli import app

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command line; gives the exit code, standard output and standard error."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["analogdeq", *words])
        with pytest.raises(SystemExit) as end:
            app.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def ngspice() -> None:
    if shutil.which("ngspice") is None:
        pytest.skip("ngspice is not on the PATH")


SMALL = ("digits-crossbar", "--set", "model.nodes=4")


def test_export_writes_a_netlist_with_the_figures_to_expect(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "chip.cir"
    code, said, _ = run("export", "spice", *SMALL, str(out), "--image", "3", "--seed", "5")
    text = out.read_text()
    assert code == 0
    assert f"{out}: {2 * 4 * (4 + 32 + 1)} devices" in said
    assert "* scenario: digits-crossbar\n* test image: 3\n* expect: last outside a band of 0.001 after " in text
    assert "* chip seed: 5\n" in text
    assert "* expect until then: crossbar " in text


def test_another_image_or_seed_is_another_netlist(run: Run, tmp_path: Path) -> None:
    texts = []
    for name, words in (("a", ()), ("b", ()), ("c", ("--image", "1")), ("d", ("--seed", "1"))):
        assert run("export", "spice", *SMALL, str(tmp_path / name), *words)[0] == 0
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


@pytest.mark.usefixtures("ngspice")
def test_ngspice_runs_an_exported_netlist_as_its_header_says(run: Run, tmp_path: Path) -> None:
    run("export", "spice", *SMALL, str(tmp_path / "chip.cir"))
    subprocess.run(["ngspice", "-b", "-r", "out.raw", "chip.cir"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "out.raw").stat().st_size > 10_000


def test_a_network_that_does_not_settle_is_exported_with_a_word_about_it(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "chip.cir"
    assert run("export", "spice", *SMALL, str(out), "--set", "settle.max_time_tau=3")[0] == 0
    assert "* expect: 1 of 1 samples did not settle within 3 time constants" in out.read_text()


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("nonsense", "out.cir"), 2, "no such file"),
        ((*SMALL, "out.cir", "--image", "1000"), 2, "no test image 1000"),
        ((*SMALL, "no/folder/out.cir"), 1, "cannot be written"),
    ],
)
def test_what_cannot_be_exported_says_why(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found, _, error = run("export", "spice", *words)
    assert found == code
    assert complaint in error
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("ngspice")
def test_spice_check_of_a_16_neuron_network_agrees_and_exits_with_zero(run: Run) -> None:
    code, said, _ = run("spice-check", "digits-crossbar", "--set", "model.nodes=16")
    assert code == 0
    assert "agrees with ngspice" in said
    for row in ("waveform", "settling time", "crossbar energy", "node energy", "drivers energy", "stored energy"):
        assert row in said


@pytest.mark.usefixtures("ngspice")
def test_spice_check_in_json_holds_every_difference(run: Run) -> None:
    code, said, _ = run("spice-check", *SMALL, "--image", "2", "--json")
    result = json.loads(said)
    assert code == 0
    assert (result["scenario"], result["image"], result["agrees"]) == ("digits-crossbar", 2, True)
    assert result["ngspice"].startswith("ngspice")
    assert all(row["error"] <= row["tolerance"] for row in result["differences"])


@pytest.mark.usefixtures("ngspice")
def test_a_sloppy_settle_disagrees_and_exits_with_one(run: Run) -> None:
    sloppy = ("--set", "model.nodes=16", "--set", "settle.rtol=0.9")
    code, said, _ = run("spice-check", "digits-crossbar", *sloppy, "--json")
    assert code == 1
    assert json.loads(said)["verdict"].startswith("disagrees with ngspice: waveform differs by")


@pytest.mark.usefixtures("ngspice")
def test_an_image_that_does_not_settle_exits_with_three(run: Run) -> None:
    code, _, error = run("spice-check", *SMALL, "--set", "settle.max_time_tau=3")
    assert code == 3
    assert "did not settle within 3 time constants" in error


def test_spice_check_without_ngspice_exits_with_one_and_says_what_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, said, error = run("spice-check", *SMALL)
    assert (code, said) == (1, "")
    assert "error: ngspice is not on the PATH; install it, for example with 'apt-get install ngspice'" in error


@pytest.mark.parametrize("words", [("export", "--help"), ("export", "spice", "--help"), ("spice-check", "--help")])
def test_help_has_examples_and_does_not_import_torch(words: tuple[str, ...]) -> None:
    program = (
        "import sys; from analogdeq.cli import app\n"
        f"sys.argv = ['analogdeq', *{words!r}]\n"
        "try: app.main()\n"
        "except SystemExit as end: code = end.code\n"
        "assert not code, code\n"
        "assert 'torch' not in sys.modules"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Example" in said.stdout
    assert "analogdeq " in said.stdout
