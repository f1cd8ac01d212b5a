"""Help comes at once, shows an example, and lies about nothing."""

import json
import re
import subprocess
import sys

import pytest
import typer
from command_line import Command

from analogdeq.cli.app import app

ASK_ALL = """
import contextlib, io, json, sys
from analogdeq.cli.app import main

said = {}
for words in json.loads(sys.argv[1]):
    sys.argv = ["analogdeq", *words, "--help"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    said[" ".join(words)] = [code, out.getvalue()]
loaded = [name for name in ("torch", "numpy", "scipy", "h5py", "matplotlib", "plotly") if name in sys.modules]
print(json.dumps({"said": said, "loaded": loaded}))
"""


def all_commands() -> list[list[str]]:
    """Every command and group, by its words."""
    found: list[list[str]] = []

    def walk(command: object, words: list[str]) -> None:
        found.append(words)
        for name, below in getattr(command, "commands", {}).items():
            walk(below, [*words, name])

    walk(typer.main.get_command(app), [])
    return found


COMMANDS = all_commands()


@pytest.fixture(scope="module")
def asked() -> dict:
    """Every --help, from one fresh process."""
    command = [sys.executable, "-c", ASK_ALL, json.dumps(COMMANDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    answer: dict = json.loads(done.stdout)
    return answer


def test_the_commands_of_the_readme_exist() -> None:
    names = {" ".join(words) for words in COMMANDS}
    assert {
        "run",
        "simulate",
        "train",
        "evaluate",
        "report",
        "devices list",
        "devices show",
        "devices plot",
        "devices fit",
        "bench settle",
    } <= names
    assert {"scenario list", "scenario check", "scenario show", "scenario schema"} <= names


def test_no_help_loads_torch_or_anything_else_that_is_slow(asked: dict) -> None:
    assert asked["loaded"] == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_shows_an_example_that_begins_with_the_command(asked: dict, words: list[str]) -> None:
    code, text = asked["said"][" ".join(words)]
    assert code == 0
    assert "Example" in text
    assert f"    analogdeq {' '.join(words)}".rstrip() in text or f"  analogdeq {' '.join(words)}".rstrip() in text


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_example_names_a_command_and_options_that_exist(asked: dict, words: list[str]) -> None:
    text = asked["said"][" ".join(words)][1]
    for line in re.findall(r"^ {4}analogdeq (.*)$", text, re.MULTILINE):
        example = line.split()
        known = max((c for c in COMMANDS if example[: len(c)] == c), key=len)
        assert known, line
        help_of_it = asked["said"][" ".join(known)][1]
        for option in re.findall(r"(?<!\S)--[a-z-]+", line):
            assert option in help_of_it, line


def test_commands_that_make_figures_speak_json_and_take_seeds(asked: dict) -> None:
    for name in ("run", "simulate", "train", "evaluate"):
        assert "--json" in asked["said"][name][1]
        assert "--seed" in asked["said"][name][1]
    for name in ("report", "devices list", "devices show", "devices fit", "bench settle"):
        assert "--json" in asked["said"][name][1]


def test_the_exit_codes_are_explained(asked: dict) -> None:
    assert "0 done, 1 failed, 2 bad usage or scenario, 3 did not settle" in asked["said"][""][1]


@pytest.mark.parametrize("words", [[], ["devices"], ["scenario"], ["bench"]])
def test_a_group_without_a_command_shows_its_help_and_fails(cli: Command, words: list[str]) -> None:
    answer = cli(*words)
    assert answer.code == 2
    assert "Usage: analogdeq" in answer.out + answer.err


def test_the_version_is_that_of_the_package(cli: Command) -> None:
    import analogdeq

    answer = cli("--version")
    assert (answer.code, answer.out) == (0, f"analogdeq {analogdeq.__version__}\n")
