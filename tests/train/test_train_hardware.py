"""Hardware-aware training: a new chip per minibatch, in every gradient mode, the same chips after a kill."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from training import fit, options, rows, same_bits, small_model, some_digits, trainer, untimed

from analogdeq import library
from analogdeq.build import build_data, build_fit_options, build_model
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.converters import Converter
from analogdeq.errors import InputError, ScenarioError
from analogdeq.models.build_dense import dense_feedforward
from analogdeq.runs.workflow import check_buildable
from analogdeq.scenario import load_scenario
from analogdeq.scenario.gradient import Gradient
from analogdeq.stability.parametrise import parametrise
from analogdeq.train.accuracy import accuracy
from analogdeq.train.clip import clip_outliers_
from analogdeq.train.fit import Trainer
from analogdeq.train.fresh_chips import FreshChips

FREE = Converter(bits=8, energy_J=0.0)
FAB = FreshChips(
    circuit=CrossbarCircuit(g_min_S=0.25e-6, g_max_S=25e-6, dac=FREE, adc=FREE),
    device=library.device_preset("pcm-generic"),
    youngest_s=20.0,
    oldest_s=864000.0,
    seed=3,
)
METHODS = get_args(Gradient.model_fields["method"].annotation)
CHOICES = (
    *((f"gradient.method={method}",) for method in METHODS if method != "transient"),
    ("gradient.method=transient", "gradient.transient_horizon_tau=20"),
    ("gradient.method=physical-adjoint", "gradient.adjoint_array=second"),
    ("train.gradient_solver=cg",),
    ("model.weights=spectral",),
    ("model.weights=monotone", "model.spectral_bound=none"),
    (
        "device.preset=reram-milo", "circuit.g_min_S=60 uS", "circuit.g_max_S=110 uS", "train.hardware.youngest_s=none",
        "train.hardware.oldest_s=none",
    ),
    ("device.levels=17",),
)  # fmt: skip
SMALL = (
    "model.nodes=12", "model.inputs=8", "task.train_limit=60", "task.test_limit=40", "train.epochs=8",
    "train.batch_size=20", "train.lr_digital=0.02", "train.lr_analog=0.02", "train.input_noise=0",
)  # fmt: skip
ON = (
    "train.hardware.draws=minibatch", "train.hardware.youngest_s=20", "train.hardware.oldest_s=864000",
)  # fmt: skip
DIES_IN_EPOCH_THREE = """
import os, signal, sys, torch
from pathlib import Path
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from training import fit, trainer
from test_train_hardware import FAB

training, steps = trainer(epochs=4, hardware=FAB), [0]

def count(module, args):
    steps[0] += module.training
    if steps[0] == 2 * 5 + 3:  # five steps an epoch
        os.kill(os.getpid(), signal.SIGKILL)

training.model.register_forward_pre_hook(count)
fit(training, Path(sys.argv[2]))
"""


@pytest.mark.parametrize("changes", CHOICES, ids=" ".join)
def test_every_gradient_and_constraint_trains_on_fresh_chips(changes: tuple[str, ...], tmp_path: Path) -> None:
    scenario = load_scenario("digits-crossbar", [*SMALL, *ON, *changes])
    check_buildable(scenario)
    model = build_model(scenario)
    before = [p.detach().clone() for p in model.core.parameters()]
    table = fit(Trainer(model, build_data(scenario), build_fit_options(scenario)), tmp_path)
    assert table[-1]["loss"] < 0.7 * table[0]["loss"]
    assert table[-1]["unsettled"] == 0
    assert all(not torch.equal(old, new) for old, new in zip(before, model.core.parameters(), strict=True))


@pytest.mark.parametrize("choice", ["gradient.method=equilibrium-propagation", "train.gradient_solver=cg"])
def test_gradients_that_need_symmetry_get_chips_whose_couplings_share_their_devices(choice: str) -> None:
    for change, expected in ((choice, True), ("gradient.method=phantom", False)):
        scenario = load_scenario("digits-crossbar", [*SMALL, *ON, change])
        hardware = build_fit_options(scenario).hardware
        assert hardware is not None
        assert hardware.is_symmetric == expected


def test_every_minibatch_settles_on_another_chip_and_tests_on_the_ideal_core(tmp_path: Path) -> None:
    training, seen = trainer(epochs=1, hardware=FAB, lr_analog=0.0, weight_decay=0.0, spectral_bound=None), []
    own = training.model.core.W.detach().clone()
    training.model.readout.register_forward_hook(
        lambda *_: seen.append((training.model.training, training.model.realise, None))
    )
    held = []
    step = training._optimizer.step
    training._optimizer.step = lambda: (held.append(training.model.reached[0].core.W.detach().clone()), step())[1]  # type: ignore[method-assign]
    (row,) = fit(training, tmp_path)
    assert len(held) == 5
    assert torch.equal(training.model.core.W.detach(), own)  # a learning rate of 0: only the chips differ
    for k, W in enumerate(held):
        assert 0.005 < float((W - own).abs().max()) < 0.3
        assert not any(torch.equal(W, other) for other in held[:k])
    assert training.model.realise is None
    data = some_digits()
    assert row["test_accuracy"] == accuracy(training.model, data.test_x, data.test_y)
    assert [realise is not None for is_training, realise, _ in seen if is_training] == [True] * 5


def test_the_accuracy_on_a_draw_is_that_of_a_chip(tmp_path: Path) -> None:
    hopeless = replace(FAB, amplification=100.0)
    training = trainer(epochs=15, lr_digital=0.02, lr_analog=0.02)
    fit(training, tmp_path)
    ideal = training._test_accuracy()
    training._options = options(epochs=15, hardware=hopeless)
    found = training._on_a_new_chip()["test_accuracy_on_a_draw"]
    assert ideal > 0.5
    assert found < ideal - 0.2


def test_without_chips_a_row_has_the_columns_it_had(tmp_path: Path) -> None:
    (row,) = fit(trainer(epochs=1), tmp_path)
    assert not {"test_accuracy_on_a_draw", "uncertified_draws_fraction"} & row.keys()


@pytest.mark.parametrize(("amplification", "expected"), [(0.0, 0.2), (20.0, 1.0)])
def test_chips_that_are_no_contraction_are_counted(tmp_path: Path, amplification: float, expected: float) -> None:
    fab = replace(FAB, amplification=amplification, youngest_s=None, oldest_s=None)
    training, norms = trainer(epochs=1, hardware=fab), []
    step = training._optimizer.step

    def noting() -> None:
        W = training.model.reached[0].core.W.detach()
        norms.append(np.linalg.norm(W, 2))
        step()

    training._optimizer.step = noting  # type: ignore[method-assign]
    (row,) = fit(training, tmp_path)
    # Without errors only the first of five chips: it holds the initial W, which no bound has scaled back yet.
    assert row["uncertified_draws_fraction"] == expected == np.mean(np.array(norms) >= 1)
    assert "unsettled_fraction" in row


def test_a_killed_process_resumes_to_the_same_bits_and_chips(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    fit(trainer(epochs=4, hardware=FAB), whole)
    command = [sys.executable, "-c", DIES_IN_EPOCH_THREE, str(Path(__file__).parent), str(cut)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [row["epoch"] for row in rows(cut)] == [1, 2]
    training = trainer(seed=77, epochs=4, hardware=FAB)
    training.resume(cut / "checkpoint.pt", cut / "metrics.jsonl")
    fit(training, cut)
    ours, expected = (torch.load(f / "checkpoint.pt", weights_only=True) for f in (cut, whole))
    assert same_bits(ours, expected)
    assert untimed(rows(cut)) == untimed(rows(whole))


def test_a_network_without_cores_has_nothing_a_chip_could_hold() -> None:
    plain = dense_feedforward(pixels=64, inputs=4, nodes=4, classes=10, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="this network has none"):
        Trainer(plain, some_digits(), options(hardware=FAB))


def test_clipping_keeps_each_tensor_below_a_multiple_of_its_root_mean_square() -> None:
    core = small_model().core
    before = {name: getattr(core, name).detach().numpy().copy() for name in "WUb"}
    clip_outliers_([core], 1.5)
    for name, x in before.items():
        bound = 1.5 * np.sqrt(np.mean(x.astype(np.float64) ** 2))
        np.testing.assert_allclose(getattr(core, name).detach(), np.clip(x, -bound, bound), rtol=1e-5)
    assert float(core.W.detach().abs().max()) < np.abs(before["W"]).max()


def test_clipping_leaves_a_parametrised_weight_to_its_parametrisation() -> None:
    core = small_model().core
    parametrise(core, "monotone")
    before = core.W.detach().clone()
    clip_outliers_([core], 1.1)
    assert torch.equal(core.W.detach(), before)


def test_a_scenario_hands_its_numbers_to_the_chips() -> None:
    def built(*changes: str) -> Any:
        return build_fit_options(load_scenario("digits-crossbar", list(changes)))

    assert built().hardware is None
    assert built("train.hardware.clip_rms=2").clip_rms == 2
    found = built(
        *ON, "train.hardware.amplification=3", "train.hardware.compensation=off", "train.hardware.read_noise=off",
        "train.hardware.preset=pcm-hermes-2", "circuit.g_max_S=20 uS", "seeds.train=8",
        "train.hardware.youngest_s=300", "ageing.temperature_K=305",
    ).hardware  # fmt: skip
    assert (found.device.name, found.amplification, found.seed) == ("pcm-hermes-2", 3.0, 8)
    assert (found.youngest_s, found.oldest_s, found.temperature_K) == (300.0, 864000.0, 305.0)
    assert (found.is_compensated, found.is_read_noisy) == (False, False)
    assert found.circuit.g_max_S == 20e-6


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        ("digits-crossbar", ["train.hardware.oldest_s=1e9"], r"\[train.hardware\].*lies outside 20 to 3.156e\+07 s"),
        (
            "digits-crossbar",
            ["train.hardware.preset=pcm-hermes-1"],
            r"\[train.hardware\].*measured from 0 to 1.035e-05",
        ),
        ("digits-crossbar", ["train.hardware.preset=pcm-generik"], r"\[train.hardware\].*pcm-generic"),
        ("digits-digital", [], r"\[train.hardware\].*not model.kind = 'digital'"),
        ("digits-feedforward", [], r"\[train.hardware\].*not model.kind = 'feedforward'"),
        ("digits-oscillator", [], r"\[train.hardware\].*not oscillator.core = 'phase'"),
    ],
)
def test_what_cannot_be_trained_on_chips_is_refused_before_training(
    source: str, changes: list[str], message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        check_buildable(load_scenario(source, [*ON, *changes]))
