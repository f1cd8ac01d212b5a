"""An evaluation: its figures follow from its arrays, and its arrays from the chip."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import root
from small_runs import SILENT, small_scenario

from analogdeq.build import build_chip, build_data, build_model, build_settle_options
from analogdeq.errors import DataError
from analogdeq.runs import workflow
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.evaluation import Evaluation, evaluate, quantile
from analogdeq.scenario import Scenario, load_scenario
from analogdeq.solve.settle import settle
from analogdeq.solve.verdict import Verdict


@pytest.fixture(scope="module")
def scenario(finished: Path) -> Scenario:
    return load_scenario(finished / "scenario.toml")


@pytest.fixture(scope="module")
def evaluation(finished: Path) -> Evaluation:
    return Evaluation.load(finished / "evaluation.npz")


def evaluated(scenario: Scenario) -> Evaluation:
    model = build_model(scenario)
    options = build_settle_options(scenario)
    return evaluate(model, build_chip(scenario, model.core), build_data(scenario), options, lambda done, total: None)


def test_the_terms_add_up_to_the_energy_of_every_image(evaluation: Evaluation) -> None:
    np.testing.assert_allclose(evaluation.energy_terms_J.sum(1), evaluation.energy_J, rtol=1e-9)
    assert evaluation.energy_terms_J.shape == (40, len(evaluation.terms))
    assert {"crossbar", "feedback", "node", "amplifier bias", "DAC", "ADC"} <= set(evaluation.terms.tolist())
    assert (evaluation.energy_J > 0).all()


def test_waiting_for_the_slowest_image_costs_energy_and_never_saves_any(evaluation: Evaluation) -> None:
    slowest = evaluation.t_settle_s.argmax()
    assert (evaluation.clocked_energy_J >= evaluation.energy_J).all()
    assert evaluation.clocked_energy_J[slowest] == evaluation.energy_J[slowest]
    assert (np.delete(evaluation.clocked_energy_J - evaluation.energy_J, slowest) > 0).all()


def test_waiting_is_charged_at_no_less_than_the_bias_of_the_amplifiers(
    evaluation: Evaluation, finished: Path, scenario: Scenario
) -> None:
    chip = build_chip(scenario, workflow.trained_model(RunDirectory(finished), scenario).core)
    wait_s = evaluation.t_settle_s.max() - evaluation.t_settle_s
    extra_J = evaluation.clocked_energy_J - evaluation.energy_J
    assert (extra_J >= chip.bias_W() * wait_s * (1 - 1e-9)).all()
    assert (extra_J <= 3 * chip.bias_W() * wait_s + 1e-18).all()


def test_the_summary_follows_from_the_arrays(evaluation: Evaluation, finished: Path) -> None:
    summary = evaluation.summary()
    times = evaluation.t_settle_s
    assert summary["images"] == 40
    assert summary["accuracy_chip"] == np.mean(evaluation.chip_class == evaluation.label)
    assert summary["accuracy_ideal"] == np.mean(evaluation.ideal_class == evaluation.label)
    assert summary["fraction_not_settled"] == 0
    assert summary["verdicts"] == {"settled": 40, "timed out": 0, "oscillating": 0, "diverged": 0}
    assert summary["t_settle_s"]["p50"] == pytest.approx(np.median(times), rel=1e-6, abs=0)
    assert summary["t_settle_s"]["max"] == times.max()
    assert times.min() < summary["t_settle_s"]["p50"] <= summary["t_settle_s"]["p95"] <= times.max()
    assert summary["energy_J"]["mean"] == pytest.approx(evaluation.energy_J.mean(), rel=1e-6, abs=0)
    assert sum(summary["energy_terms_mean_J"].values()) == pytest.approx(evaluation.energy_J.mean(), rel=1e-6, abs=0)
    assert summary["energy_clocked_J"]["mean"] == pytest.approx(evaluation.clocked_energy_J.mean(), rel=1e-6, abs=0)
    assert summary["evaluations_mean"] == evaluation.evaluations.mean()


def test_the_ideal_classes_are_those_of_the_equilibrium_found_by_another_solver(
    evaluation: Evaluation, finished: Path, scenario: Scenario
) -> None:
    model = workflow.trained_model(RunDirectory(finished), scenario)
    W, U, b = (p.detach().double().numpy() for p in model.core.parameters())
    with torch.no_grad():
        u = model.encoder(build_data(scenario).test_x).double().numpy()
    z = np.stack([root(lambda z, c: z - np.tanh(W @ z + c), np.zeros(8), (U @ row + b,)).x for row in u])
    logits = z @ model.readout.weight.detach().double().numpy().T + model.readout.bias.detach().double().numpy()
    assert (logits.argmax(1) == evaluation.ideal_class).all()


def test_the_figures_are_those_of_one_settle_of_all_images(
    evaluation: Evaluation, finished: Path, scenario: Scenario
) -> None:
    model = workflow.trained_model(RunDirectory(finished), scenario)
    chip = build_chip(scenario, model.core)
    with torch.no_grad():
        out = settle(chip, model.encoder(build_data(scenario).test_x))
        classes = model.readout(chip.read(out.z)).argmax(1)
    np.testing.assert_allclose(evaluation.t_settle_s, out.t_settle_s.numpy(), rtol=1e-3)
    np.testing.assert_allclose(evaluation.energy_J, out.energy_J.numpy(), rtol=1e-3)
    assert (evaluation.chip_class == classes.numpy()).all()
    assert (evaluation.label == build_data(scenario).test_y.numpy()).all()


def test_chunks_do_not_show_in_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = small_scenario("task.test_limit=20")
    whole = evaluated(scenario)
    monkeypatch.setattr("analogdeq.runs.evaluation.CHUNK", 9)
    parts = evaluated(scenario)
    assert (whole.chip_class == parts.chip_class).all()
    np.testing.assert_allclose(whole.t_settle_s, parts.t_settle_s, rtol=1e-3)
    np.testing.assert_allclose(whole.clocked_energy_J, parts.clocked_energy_J, rtol=1e-3)


def test_progress_counts_every_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analogdeq.runs.evaluation.CHUNK", 9)
    scenario, seen = small_scenario("task.test_limit=20"), []
    model = build_model(scenario)
    evaluate(
        model, build_chip(scenario, model.core), build_data(scenario), build_settle_options(scenario),
        lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(9, 20), (18, 20), (20, 20)]


def test_the_eigenvalues_are_those_of_the_chips_jacobian_at_rest(
    evaluation: Evaluation, finished: Path, scenario: Scenario
) -> None:
    model = workflow.trained_model(RunDirectory(finished), scenario)
    chip = build_chip(scenario, model.core)
    with torch.no_grad():
        z = settle(chip, model.encoder(build_data(scenario).test_x[:8])).z.double().numpy()
    W = chip.core.W.double().numpy()
    expected = np.concatenate([np.linalg.eigvals((1 - row**2)[:, None] * W) for row in z])

    def sorted_parts(values: np.ndarray) -> np.ndarray:
        return np.sort_complex(np.round(values, 6))

    np.testing.assert_allclose(sorted_parts(evaluation.eigenvalues), sorted_parts(expected), atol=1e-3)


def test_nothing_settled_is_a_result_without_times() -> None:
    result = evaluated(small_scenario("settle.max_time_tau=3", "task.test_limit=10"))
    summary = result.summary()
    assert np.isnan(result.t_settle_s).all()
    assert result.n_unsettled == 10
    assert summary["fraction_not_settled"] == 1
    assert summary["verdicts"]["timed out"] == 10
    assert summary["t_settle_s"] == {"p50": None, "p95": None, "max": None}
    assert np.isfinite(result.energy_J).all()
    assert (result.clocked_energy_J == result.energy_J).all()


def test_images_that_did_not_settle_set_the_clock_for_those_that_did() -> None:
    everything = evaluated(small_scenario())
    budget = float(np.median(everything.t_settle_s) / everything.tau_s) + 0.5
    result = evaluated(small_scenario(f"settle.max_time_tau={budget}"))
    settled = result.verdict_code == Verdict.SETTLED
    assert 0 < settled.sum() < 40, "the budget was meant to divide the images"
    assert result.summary()["fraction_not_settled"] == pytest.approx(1 - settled.mean())
    assert np.isnan(result.t_settle_s).tolist() == (~settled).tolist()
    bias_W = build_chip(small_scenario()).bias_W()
    wait_s = budget * float(result.tau_s) - result.t_settle_s[settled]
    assert (result.clocked_energy_J[settled] - result.energy_J[settled] >= bias_W * wait_s * (1 - 1e-6)).all()


def test_an_ideal_device_reads_as_the_ideal_core_but_for_the_converters() -> None:
    fine = ("circuit.adc.bits=14", "circuit.adc.energy_J=1 pJ", "circuit.dac.bits=14")
    result = evaluated(small_scenario("device.preset=ideal", *fine))
    assert (result.chip_class == result.ideal_class).all()


def test_classes_are_read_through_the_converters() -> None:
    coarse = ("circuit.adc.bits=1", "circuit.adc.energy_J=1 pJ", "circuit.dac.bits=1", "device.preset=ideal")
    scenario = small_scenario(*coarse)
    result, model = evaluated(scenario), build_model(scenario)
    with torch.no_grad():
        levels = model.encoder(build_data(scenario).test_x).sign()  # one bit: -1 or +1
        z = settle(model.core, levels).z
        expected = model.readout(z.sign()).argmax(1)
    assert (result.chip_class == expected.numpy()).mean() > 0.9  # all but those with a node at 0
    assert (result.chip_class != result.ideal_class).any()


def test_what_is_saved_comes_back(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.save(tmp_path / "again.npz")
    again = Evaluation.load(tmp_path / "again.npz")
    for name in Evaluation.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(evaluation, name))
    assert again.summary() == evaluation.summary()


def test_a_missing_evaluation_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not evaluated yet; run 'analogdeq evaluate .*' first"):
        Evaluation.load(tmp_path / "evaluation.npz")


def test_a_damaged_evaluation_is_refused_wherever_the_damage_is(copy: Path) -> None:
    file = copy / "evaluation.npz"
    whole = file.read_bytes()
    for length in range(0, len(whole), 97):
        file.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"evaluation\.npz: damaged"):
            Evaluation.load(file)
    expected = Evaluation.load
    noticed = 0
    for position in range(0, len(whole), 41):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        try:
            expected(file)
        except DataError:
            noticed += 1
    assert noticed > 0.5 * len(whole) / 41


@pytest.mark.parametrize("content", ["array", "other names", "objects", "text"])
def test_another_file_in_its_place_is_refused(tmp_path: Path, content: str) -> None:
    file, buffer = tmp_path / "evaluation.npz", io.BytesIO()
    if content == "array":
        np.save(buffer, np.zeros(3))
    elif content == "other names":
        np.savez(buffer, label=np.zeros(3))
    elif content == "objects":
        np.savez(buffer, label=np.array([print], dtype=object))
    else:
        buffer.write(b"label 1 2 3")
    file.write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="damaged"):
        Evaluation.load(file)


def test_a_quantile_of_nothing_is_nothing() -> None:
    assert quantile(np.array([]), 0.5) is None
    assert quantile(np.array([1.0, 3.0]), 0.5) == 2.0


def test_progress_objects_of_the_tests_have_the_shape_the_workflow_wants() -> None:
    SILENT.update("stage", 1, 2)
    assert SILENT.calls[-1] == ("stage", 1, 2, "")
