"""A chain of circuits says what the chain of equations says."""

from pathlib import Path

import pytest
import torch

from analogdeq.build import build_data, build_fit_options, build_model
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.settled_chain import measure_run, settle_chain
from analogdeq.scenario import load_scenario
from analogdeq.solve.options import SettleOptions
from analogdeq.train.fit import Trainer

CHANGES = [
    "model.core=conv", "model.encoder=pooled", "model.norm=batch", "model.stages=6@8, 4@4", "model.inputs=4",
    "model.weights=spectral", "train.forward=iterate", "train.forward_tol=1e-6", "train.epochs=2",
    "task.train_limit=256", "task.test_limit=40",
]  # fmt: skip


def test_each_core_settles_on_what_the_one_before_it_came_to_rest_at() -> None:
    model = build_model(load_scenario("digits-crossbar", CHANGES)).eval()
    x = torch.rand(5, 64, generator=torch.Generator().manual_seed(0))
    chain = settle_chain(model, x, SettleOptions(band=1e-5, atol=1e-7))
    with torch.no_grad():
        torch.testing.assert_close(chain.logits, model(x), atol=1e-4, rtol=1e-4)
    for out, reached in zip(chain.settled, model.reached, strict=True):
        assert bool(out.is_settled.all())
        torch.testing.assert_close(out.z, reached.z, atol=1e-4, rtol=0)


def test_a_run_is_measured_on_its_own_test_images_and_its_times_are_in_tau(tmp_path: Path) -> None:
    scenario = load_scenario("digits-crossbar", CHANGES)
    with RunDirectory.create(scenario, tmp_path / "run") as run:
        trainer = Trainer(build_model(scenario), build_data(scenario), build_fit_options(scenario))
        rows: list[dict] = []
        trainer.fit(run.checkpoint, run.metrics, "", rows.append)
    found = measure_run(tmp_path / "run", tol=1e-6, images=30)
    assert found["accuracy"] == pytest.approx(rows[-1]["test_accuracy"])
    assert found["images"] == found["classes_that_agree"] == 30
    assert found["accuracy_settled"] == found["accuracy_solved"]
    assert found["settled_fraction"] == 1
    assert len(found["settling_tau"]) == 2
    for times in found["settling_tau"]:
        assert 1 < times["median"] <= times["95 %"] <= times["largest"] < 100
