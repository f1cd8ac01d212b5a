"""The README and the quickstart: their Python runs, their commands exist, their links lead somewhere."""

import re
from pathlib import Path

import pytest
import typer

from analogdeq.cli.app import app

ROOT = Path(__file__).parent.parent
FILES = ("README.md", "docs/quickstart.md", "docs/oscillators.md", "docs/gradients.md")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^ {4}(analogdeq .*?)(?:  +#.*)?$", re.MULTILINE)


def blocks(name: str) -> list[str]:
    return BLOCK.findall((ROOT / name).read_text())


@pytest.mark.parametrize("name", FILES)
def test_the_python_of_a_page_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(name)
    assert found, f"{name} has no example"
    space: dict[str, object] = {"__name__": "__main__"}
    for block in found:  # in one space: a later block may go on with what an earlier one made
        exec(compile(block, name, "exec"), space)
    said = capsys.readouterr().out
    assert re.search(r"\d (ns|pJ)\b", said), "it prints numbers with units"
    assert "nan" not in said.lower()


@pytest.mark.parametrize("name", FILES)
def test_the_commands_of_a_page_exist(name: str) -> None:
    program = typer.main.get_command(app)
    lines = COMMAND.findall((ROOT / name).read_text())
    for line in lines:
        command = program
        for word in line.split()[1:]:
            below = getattr(command, "commands", {})
            if word not in below:
                break
            command = below[word]
        assert command is not program, line
        assert not getattr(command, "commands", {}), f"{line}: this is a group"
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", line)) <= known, line


@pytest.mark.parametrize("name", FILES)
def test_the_links_of_a_page_lead_to_files(name: str) -> None:
    page = ROOT / name
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not link.startswith(("http", "mailto")):
            assert (page.parent / link).exists(), f"{name}: {link}"
