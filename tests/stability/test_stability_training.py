"""Constrained weights in training: chosen in a scenario, kept through every step, trained as the free one would be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import root
from torch import nn

from analogdeq.build import build_chip, build_fit_options, build_model
from analogdeq.scenario import load_scenario
from analogdeq.stability.parametrise import WEIGHTS, certificates
from analogdeq.tasks.dataset import Dataset
from analogdeq.tasks.digits import load_digits
from analogdeq.train.fit import Trainer

KINDS = [kind for kind in WEIGHTS if kind != "free"]


def scenario(kind: str, *changes: str):
    small = ("model.nodes=10", "model.inputs=8", "train.epochs=2", "train.batch_size=64", "train.lr_analog=0.05")
    bound = () if kind in ("spectral", "positive") else ("model.spectral_bound=none",)
    return load_scenario("digits-crossbar", [*small, *bound, f"model.weights={kind}", *changes])


def some_digits() -> Dataset:
    d = load_digits()
    return Dataset(
        train_x=d.train_x[:256], train_y=d.train_y[:256], test_x=d.test_x[:64], test_y=d.test_y[:64], n_classes=10
    )


@pytest.mark.parametrize("kind", KINDS)
def test_training_keeps_the_promise_and_learns(tmp_path: Path, kind: str) -> None:
    s, table = scenario(kind), []
    trainer = Trainer(build_model(s), some_digits(), build_fit_options(s))
    start = trainer.model.core.W.detach().clone()
    trainer.fit(tmp_path / "checkpoint.pt", tmp_path / "metrics.jsonl", "", table.append)
    assert table[-1]["loss"] < table[0]["loss"]
    assert not torch.allclose(trainer.model.core.W, start, atol=1e-2)
    assert certificates(trainer.model.core)
    assert all(certificate.holds for certificate in certificates(trainer.model.core))


@pytest.mark.parametrize("kind", KINDS)
def test_a_constrained_network_resumes_to_the_same_bits(tmp_path: Path, kind: str) -> None:
    weights = []
    for stops in ((2,), (1, 2)):
        folder = tmp_path / str(len(stops))
        folder.mkdir()
        for stop in stops:
            s = scenario(kind, f"train.epochs={stop}", "train.schedule=constant")
            trainer = Trainer(build_model(s), some_digits(), build_fit_options(s))
            if (folder / "checkpoint.pt").exists():
                trainer.resume(folder / "checkpoint.pt", folder / "metrics.jsonl")
            trainer.fit(folder / "checkpoint.pt", folder / "metrics.jsonl", "", lambda row: None)
        weights.append(trainer.model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("kind", ["monotone", "spectral"])
def test_the_gradient_through_equilibrium_and_parametrisation_agrees_with_differences(kind: str) -> None:
    s = scenario(kind, "settle.dtype=float64", "train.gradient_tol=1e-12", "model.analog_init_gain=1.5")
    model = build_model(s).eval()
    x, y = (t[:4] for t in (some_digits().train_x.double(), some_digits().train_y))

    def loss() -> torch.Tensor:
        """By scipy's root finder, so that no fixed point of ours decides."""
        W, U, b = (p.detach().numpy() for p in model.core.trainable())
        u = model.encoder(x).detach().numpy()
        z = [root(lambda z, c: z - np.tanh(W @ z + c), np.zeros(10), (U @ row + b,), tol=1e-13).x for row in u]
        return nn.functional.cross_entropy(model.readout(torch.tensor(np.stack(z))), y)

    nn.functional.cross_entropy(model(x), y).backward()
    for parameter in model.core.parametrizations["W"].parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        assert float(gradient.abs().max()) > 1e-4
        k, ends = int(gradient.abs().argmax()), []
        for step in (1e-5, -2e-5, 1e-5):
            ends.append(float(loss().detach()))
            flat[k] += step
        assert gradient[k].item() == pytest.approx((ends[1] - ends[2]) / 2e-5, rel=1e-4)


def test_weights_are_computed_once_per_forward_pass() -> None:
    model, calls = build_model(scenario("monotone")), []
    model.core.parametrizations["W"][0].register_forward_hook(lambda *args: calls.append(1))
    model(some_digits().train_x[:4])
    assert len(calls) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_constrained_network_is_placed_on_a_chip(kind: str) -> None:
    s = scenario(kind, "device.preset=ideal")
    core = build_model(s).core
    chip = build_chip(s, core)
    torch.testing.assert_close(chip.core.W, core.W.detach(), atol=1e-4, rtol=1e-4)
