"""Running the program: its answer, its complaints, its absence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analogdeq.errors import DependencyError, SpiceError
from analogdeq.spice.ngspice import ngspice_version, run_ngspice

RC = """a capacitor that charges
V1 a 0 2.0
R1 a b 1000.0
C1 b 0 1e-12 IC=0.0
.options reltol=1e-6 chgtol=1e-22
.tran 1e-11 5e-9 0.0 1e-11 UIC
.end
"""


@pytest.mark.usefixtures("ngspice")
def test_a_charging_capacitor_follows_its_closed_form() -> None:
    (plot,) = run_ngspice(RC)
    time = plot.column("time")
    np.testing.assert_allclose(plot.column("v(b)"), 2 * (1 - np.exp(-time / 1e-9)), atol=2e-5)
    assert plot.title == "a capacitor that charges"


@pytest.mark.usefixtures("ngspice")
def test_several_analyses_give_several_plots() -> None:
    plots = run_ngspice(RC.replace("2.0", "2.0 AC 1").replace(".end", ".ac dec 1 1 10\n.end"))
    assert {plot.name for plot in plots} == {"Transient Analysis", "AC Analysis"}


@pytest.mark.usefixtures("ngspice")
def test_the_version_is_known() -> None:
    assert ngspice_version().startswith("ngspice-")


@pytest.mark.usefixtures("ngspice")
def test_the_users_settings_take_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".spiceinit").write_text("set filetype=ascii\nset noinit\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SPICE_ASCIIRAWFILE", "1")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    (plot,) = run_ngspice(RC)
    assert plot.values.shape[0] > 500
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize(
    ("netlist", "words"),
    [
        (RC.replace("1000.0", "unheard_of"), "unheard_of"),
        (RC.replace("R1 a b 1000.0", "B1 b 0 V=frob(v(a))"), "no such function 'frob'"),
        (RC.replace("R1 a b", "V2 a 0 1.0\nR1 a b").replace(" UIC", ""), "singular|aborted"),
        (RC.replace(".tran", "*"), "no waveform|failed"),
    ],
)
def test_a_netlist_ngspice_rejects_is_an_error_in_its_own_words(netlist: str, words: str) -> None:
    with pytest.raises(SpiceError, match=words):
        run_ngspice(netlist)


def test_without_ngspice_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DependencyError, match=r"not on the PATH.*apt-get install ngspice"):
        run_ngspice(RC)
    with pytest.raises(DependencyError, match="apt-get install ngspice"):
        ngspice_version()


def test_a_failing_program_is_quoted(pretended_ngspice: Callable[[str], None]) -> None:
    pretended_ngspice("echo all is well; echo 'Error: node x7 has lost its way' >&2; exit 3")
    with pytest.raises(SpiceError, match=r"exit status 3\): Error: node x7 has lost its way$"):
        run_ngspice(RC)


def test_an_aborted_analysis_is_an_error_though_the_program_is_content(
    pretended_ngspice: Callable[[str], None],
) -> None:
    pretended_ngspice("touch out.raw; echo 'doAnalyses: TRAN: Timestep too small'; echo 'run simulation(s) aborted'")
    with pytest.raises(SpiceError, match="Timestep too small"):
        run_ngspice(RC)


def test_a_program_that_writes_nothing_is_an_error(pretended_ngspice: Callable[[str], None]) -> None:
    pretended_ngspice("exit 0")
    with pytest.raises(SpiceError, match="wrote no waveform; has the netlist an analysis line"):
        run_ngspice(RC)


def test_a_program_that_does_not_end_is_stopped(pretended_ngspice: Callable[[str], None]) -> None:
    pretended_ngspice("exec sleep 30")
    with pytest.raises(SpiceError, match=r"not finished after 0\.2 s"):
        run_ngspice(RC, timeout_s=0.2)


def test_a_program_that_will_not_say_its_version_has_none(pretended_ngspice: Callable[[str], None]) -> None:
    pretended_ngspice("echo hello")
    assert ngspice_version() == "ngspice of unknown version"
