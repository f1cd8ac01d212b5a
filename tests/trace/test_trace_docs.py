import re
from pathlib import Path

import h5py
import pytest

from analogdeq.trace import write_trace

DOCUMENT = Path(__file__).parents[2] / "docs" / "trace-format.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


@pytest.fixture
def folder(settled, header, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "run").mkdir()
    write_trace(
        tmp_path / "run" / "trace.h5",
        settled,
        title=header.title,
        scenario_toml=header.scenario_toml,
        provenance=header.provenance,
        band=header.band,
        supply_terms=header.supply_terms,
        unit_voltage_V=0.2,
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_on_the_page_runs(folder, example, capsys):
    exec(example, {})
    assert capsys.readouterr().out


def test_the_page_lists_every_dataset(folder):
    names: list[str] = []
    with h5py.File("run/trace.h5") as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    page = DOCUMENT.read_text()
    for name in names:
        leaf = re.sub(r"^(power|energy)_.*", r"\1_<term>", name.rpartition("/")[2])
        assert re.search(rf"`(/run/\w+/|/run/)?{leaf}`", page), name
