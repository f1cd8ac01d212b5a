"""What the noise of a crossbar costs, in the figures of a run."""

import json
from pathlib import Path

import pytest
import torch
from scipy.linalg import solve_continuous_lyapunov
from small_runs import SILENT, make_run

from analogdeq.build import build_chip, build_data, only_core
from analogdeq.chip import Chip
from analogdeq.noise.intensity import white_noise
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.noise import stored_noise
from analogdeq.runs.workflow import trained_model
from analogdeq.solve.settle import settle
from analogdeq.tasks.dataset import pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("noise") / "run"
    make_run(path, SILENT, "task.test_limit=12", "seeds.noise=5")
    return path


def test_white_noise_at_the_readout_is_as_wide_as_lyapunovs_equation_says(folder: Path) -> None:
    run = RunDirectory(folder)
    scenario = run.scenario()
    model = trained_model(run, scenario)
    chip = build_chip(scenario, only_core(scenario, model))
    assert isinstance(chip, Chip)
    chip.begin_inference(5)
    with torch.no_grad():
        u = model.encoder(pixels(build_data(scenario).test_x, chip.dtype))
        z, drive = settle(chip, u).z, chip.drive(u)
        jacobians = chip.linearise(z, drive).dense().double()
        intensities = white_noise(chip).at(chip.core.slope(z, drive)).double()
    eye = torch.eye(chip.n_nodes, dtype=torch.float64)
    variances = [
        solve_continuous_lyapunov((J - eye).numpy(), -torch.diag(q).numpy()).diagonal().mean()
        for J, q in zip(jacobians, intensities, strict=True)
    ]
    expected = (sum(variances) / len(variances)) ** 0.5
    assert stored_noise(run)["noisy"]["noise_rms"] == pytest.approx(expected, rel=0.1)


def test_the_summary_names_the_noise_seed_and_the_report_shows_the_accuracy(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["seeds"]["noise"] == summary["noisy"]["seed"] == 5
    assert 0 <= summary["noisy"]["accuracy"] <= 1
    assert summary["noisy"]["settled"] == 1
    assert "accuracy, chip with its noise" in (folder / "report.html").read_text()


def test_the_figures_without_noise_do_not_depend_on_the_noise_seed(folder: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "run", SILENT, "task.test_limit=12", "seeds.noise=6")
    ours, theirs = (json.loads((path / "summary.json").read_text()) for path in (folder, tmp_path / "run"))
    assert ours["energy_J"] == theirs["energy_J"]
    assert ours["t_settle_s"] == theirs["t_settle_s"]
    assert ours["noisy"]["noise_rms"] != theirs["noisy"]["noise_rms"]


def test_a_barrier_device_whose_shot_noise_needs_voltages_is_evaluated_too(tmp_path: Path) -> None:
    make_run(
        tmp_path / "run",
        SILENT,
        "task.test_limit=5",
        "device.preset=sonos",
        "circuit.g_min_S=0 uS",
        "circuit.g_max_S=9 uS",
    )
    assert stored_noise(RunDirectory(tmp_path / "run"))["noisy"]["noise_rms"] > 0
