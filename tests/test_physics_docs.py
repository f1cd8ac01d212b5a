"""The pages on devices, ageing, noise and wires: their Python runs, their tables name what there is."""

import re
from pathlib import Path

import pytest

from analogdeq.library import device_names
from analogdeq.noise.motion import SCHEMES

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ["devices.md", "ageing.md", "noise.md", "studies.md", "wires.md", "amplifiers.md"])
def test_the_example_of_a_page_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = BLOCK.findall((DOCS / name).read_text())
    exec(compile(block, name, "exec"), {"__name__": "__main__"})
    said = capsys.readouterr().out
    assert re.search(r"\d\.\d", said)
    assert "nan" not in said


def test_every_preset_is_in_the_table() -> None:
    table = (DOCS / "devices.md").read_text().split("## What happens")[0]
    written = table.replace("`reram-cmo-02`, `-2`", "`reram-cmo-02` `reram-cmo-2`")
    written = written.replace("`oxram-optimised`, `-hfo2`", "`oxram-optimised` `oxram-hfo2`")
    assert {name for name in device_names() if f"`{name}`" not in written} == set()


def test_every_scheme_is_in_the_table() -> None:
    text = (DOCS / "noise.md").read_text()
    assert {name for name in SCHEMES if f"| `{name}` |" not in text} == set()
