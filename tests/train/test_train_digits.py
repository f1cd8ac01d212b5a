"""The shipped scenario, trained for a quarter of its epochs."""

from pathlib import Path

from analogdeq.build import build_data, build_fit_options, build_model
from analogdeq.scenario import load_scenario
from analogdeq.train.fit import Trainer


def test_sixteen_epochs_of_the_digits_reach_95_percent(tmp_path: Path) -> None:
    scenario = load_scenario("digits-crossbar", ["train.epochs=16"])
    trainer, table = Trainer(build_model(scenario), build_data(scenario), build_fit_options(scenario)), []
    trainer.fit(tmp_path / "checkpoint.pt", tmp_path / "metrics.jsonl", "", table.append)
    assert table[-1]["test_accuracy"] >= 0.95
    assert all(row["unsettled"] == 0 for row in table)
    assert all(row["backward_residual_max"] <= 4 * scenario.train.gradient_tol for row in table)
    assert table[-1]["loss"] < min(0.25, 0.2 * table[0]["loss"])
