"""The figures of one point, against the evaluation that `analogdeq evaluate` makes and the physics they stand for."""

from pathlib import Path

import numpy as np
import pytest
from small_runs import SILENT

from analogdeq.runs import workflow
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.study.conduct import Source, begin_study
from analogdeq.runs.study.measure import FIGURES, Bench
from analogdeq.runs.study.point import Content, Figures
from analogdeq.runs.study.sweep import Sweep


@pytest.fixture(scope="module")
def bench(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    study = Sweep(chips=1, axes=(("circuit.adc.bits", ("8",)),))
    with begin_study(Source.named(str(finished), None), study, tmp_path_factory.mktemp("study") / "s") as folder:
        return Bench(folder.path)


def figures(bench: Bench, *overrides: str, chip: int = 0, **factors: float) -> Figures:
    return bench.figures(Content(overrides=overrides, chip=chip, **factors))


def test_a_point_without_noise_is_the_evaluation_of_that_chip(bench: Bench, copy: Path) -> None:
    found = figures(bench, "circuit.node_C_F=50 fF", chip=4)
    with RunDirectory.open(copy) as run:
        scenario = workflow.scenario_of_trained(run, ["circuit.node_C_F=50 fF"], 4)
        other = workflow.evaluate_run(run, scenario, SILENT)
    assert tuple(found) == FIGURES
    assert (found["accuracy"], found["accuracy_ideal"]) == (other.accuracy_chip, other.accuracy_ideal)
    assert (found["images"], found["settled"]) == (40, 1.0)
    assert found["t_settle_p50_s"] == np.quantile(other.t_settle_s, 0.5)
    assert found["t_settle_max_s"] == other.t_settle_s.max()
    assert found["energy_mean_J"] == pytest.approx(other.energy_J.mean(), rel=1e-12, abs=0)
    assert (found["noise_rms"], found["refused"], found["extrapolated"]) == (0.0, None, "")


def test_noise_grows_with_its_factor_and_repeats(bench: Bench) -> None:
    one, ten = (figures(bench, noise=k) for k in (1.0, 10.0))
    assert one["noise_rms"] > 0
    assert ten["noise_rms"] == pytest.approx(10 * one["noise_rms"], rel=0.3)  # the read noise moves the weights too
    assert figures(bench, noise=10.0) == ten


def test_programming_exactly_leaves_no_error_but_the_converters(bench: Bench) -> None:
    exact, ideal = figures(bench, programming=0.0), figures(bench, "device.preset=ideal")
    assert exact["t_settle_p50_s"] == pytest.approx(ideal["t_settle_p50_s"], rel=1e-6, abs=0)
    assert figures(bench, programming=1.0)["t_settle_p50_s"] != pytest.approx(ideal["t_settle_p50_s"], rel=1e-4)


def test_a_point_outside_the_measured_range_is_refused_or_marked(bench: Bench) -> None:
    found = figures(bench, "ageing.age_s=3.2e8")
    assert "time 3.2e+08 s lies outside" in found["refused"]
    assert (found["accuracy"], found["extrapolated"]) == (None, "time")
    allowed = figures(bench, "ageing.age_s=3.2e8", "device.allow=time")
    assert (allowed["refused"], allowed["extrapolated"]) == (None, "time")
    assert allowed["images"] == 40


def test_compensation_brings_back_what_drift_took_and_is_charged(bench: Bench) -> None:
    year = "ageing.age_s=3.1e7"
    fresh, bare, kept = (figures(bench, *extra) for extra in ((), (year,), (year, "ageing.compensation_s=60")))
    assert bare["maintenance_J"] == 0 < kept["maintenance_J"]
    off = [abs(one["t_settle_p50_s"] / fresh["t_settle_p50_s"] - 1) for one in (bare, kept)]
    assert off[1] < 0.5 * off[0]
