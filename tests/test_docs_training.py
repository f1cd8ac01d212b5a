"""The pages on models and training: their Python runs, their tables are what the program counts."""

import re
from pathlib import Path

import pytest

from analogdeq.runs.workflow import model_cost
from analogdeq.scenario import load_scenario
from analogdeq.scenario.train import Penalty
from analogdeq.stability.parametrise import WEIGHTS

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ["models.md", "training.md", "hardware-aware.md"])
def test_the_python_of_a_page_runs_and_its_promises_hold(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = BLOCK.findall((DOCS / name).read_text())
    exec(compile(block, name, "exec"), {"__name__": "__main__"})
    said = capsys.readouterr().out
    assert "True" in said
    assert "False" not in said
    assert "nan" not in said


@pytest.mark.parametrize(
    "name", ["digits-crossbar", "digits-feedforward", "cifar10-small", "cifar10-small-feedforward"]
)
def test_the_table_of_counts_is_right(name: str) -> None:
    cost = model_cost(load_scenario(name, ["model.weights=free", "model.spectral_bound=none"]))  # quicker to build
    row = next(line for line in (DOCS / "models.md").read_text().splitlines() if line.startswith(f"| `{name}`"))
    assert f"{cost.parameters:,}" in row
    macs = cost.macs(1)
    assert (f"{macs:,.0f}" if macs < 1e6 else f"{macs / 1e6:.1f} M") in row
    if cost.parameters_equilibrium:
        assert f"{100 * cost.equilibrium_share_parameters:.0f} %" in row
        assert f"{100 * cost.equilibrium_share_macs:.0f} %" in row


def test_every_constraint_and_penalty_has_its_row() -> None:
    models, training = ((DOCS / name).read_text() for name in ("models.md", "training.md"))
    assert all(f"| `{kind}` |" in models for kind in WEIGHTS)
    assert all(f"`{key}`" in training for key in Penalty.model_fields)
