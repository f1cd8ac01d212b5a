"""The training loop: it learns, keeps its promises about every option, and repeats itself to the bit."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from training import fit, options, same_bits, small_model, some_digits, trainer, untimed

from analogdeq.errors import InputError
from analogdeq.train.accuracy import accuracy
from analogdeq.train.fit import Trainer


def loss_of(training: Trainer) -> float:
    data = some_digits()
    with torch.no_grad():
        return float(nn.functional.cross_entropy(training.model(data.train_x), data.train_y))


def test_an_epoch_lowers_the_loss(tmp_path: Path) -> None:
    training = trainer(epochs=1)
    before = loss_of(training)
    fit(training, tmp_path)
    assert loss_of(training) < before - 0.05


def test_a_row_tells_of_learning_and_of_both_solves(tmp_path: Path) -> None:
    first, second = fit(trainer(epochs=2), tmp_path)
    assert [first["epoch"], second["epoch"]] == [1, 2]
    assert second["loss"] < first["loss"]
    for row in (first, second):
        assert 0 <= row["test_accuracy"] <= 1
        assert row["unsettled"] == 0
        assert row["forward_residual_max"] < 1e-5
        assert row["backward_residual_max"] < 1e-5
        assert row["forward_evaluations_mean"] > 1
        assert row["backward_iterations_mean"] >= 1
        assert row["seconds"] > 0


def test_the_test_accuracy_is_that_of_the_network_after_the_epoch(tmp_path: Path) -> None:
    training = trainer(epochs=1)
    (row,) = fit(training, tmp_path)
    data = some_digits()
    right = (training.model(data.test_x).argmax(1) == data.test_y).double().mean()
    assert row["test_accuracy"] == float(right) == accuracy(training.model, data.test_x, data.test_y)


def test_no_epochs_leave_an_untrained_network_and_no_metrics(tmp_path: Path) -> None:
    assert fit(trainer(epochs=0), tmp_path) == []
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert content["epoch"] == 0
    assert same_bits(content["model"], dict(small_model().state_dict()))


def test_each_epoch_is_reported_once_its_files_are_written(tmp_path: Path) -> None:
    seen = []

    def look(row: dict) -> None:
        epoch = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["epoch"]
        seen.append((row["epoch"], epoch, len((tmp_path / "metrics.jsonl").read_text().splitlines())))

    trainer(epochs=2).fit(tmp_path / "checkpoint.pt", tmp_path / "metrics.jsonl", "", look)
    assert seen == [(1, 1, 1), (2, 2, 2)]


def test_the_same_seeds_give_the_same_bits(tmp_path: Path) -> None:
    tables, checkpoints = [], []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        tables.append(untimed(fit(trainer(epochs=2), tmp_path / name)))
        checkpoints.append(torch.load(tmp_path / name / "checkpoint.pt", weights_only=True))
    assert tables[0] == tables[1]
    assert same_bits(*checkpoints)


@pytest.mark.parametrize("changes", [{"seed": 1}, {"input_noise": 0.2}])
def test_another_seed_or_noise_goes_another_way(tmp_path: Path, changes: dict) -> None:
    (tmp_path / "other").mkdir()
    plain, other = fit(trainer(epochs=1), tmp_path), fit(trainer(epochs=1, **changes), tmp_path / "other")
    assert plain[0]["loss"] != other[0]["loss"]


def test_the_cosine_schedule_falls_from_the_full_rate_towards_zero(tmp_path: Path) -> None:
    table = fit(trainer(epochs=4, lr_digital=1e-3, lr_analog=2e-3), tmp_path)
    expected = [0.5 * (1 + math.cos(math.pi * k / 4)) for k in range(4)]
    np.testing.assert_allclose([row["lr_digital"] for row in table], 1e-3 * np.array(expected))
    np.testing.assert_allclose([row["lr_analog"] for row in table], 2e-3 * np.array(expected))


def test_a_constant_schedule_is_constant(tmp_path: Path) -> None:
    table = fit(trainer(epochs=2, schedule="constant"), tmp_path)
    assert [row["lr_digital"] for row in table] == [3e-3, 3e-3]


@pytest.mark.parametrize("frozen", ["analog", "digital"])
def test_a_learning_rate_of_zero_freezes_its_group_and_no_other(tmp_path: Path, frozen: str) -> None:
    training = trainer(epochs=1, spectral_bound=None, **{f"lr_{frozen}": 0.0})
    fit(training, tmp_path)
    before = small_model().state_dict()
    changed = {name for name, value in training.model.state_dict().items() if not torch.equal(value, before[name])}
    analog = {name for name in before if name.startswith("core.")}
    assert changed == (set(before) - analog if frozen == "analog" else analog)


def test_the_norm_of_W_stays_below_its_bound(tmp_path: Path) -> None:
    training = trainer(epochs=1, spectral_bound=0.2)
    fit(training, tmp_path)
    assert np.linalg.norm(training.model.core.W.detach().numpy(), 2) <= 0.2 * (1 + 1e-5)


def test_gradients_are_clipped_to_their_longest_length(tmp_path: Path) -> None:
    clipped, free = trainer(epochs=1, grad_clip=1e-3), trainer(epochs=1, grad_clip=None)
    (tmp_path / "free").mkdir()
    fit(clipped, tmp_path)
    fit(free, tmp_path / "free")

    def length(training: Trainer) -> float:
        return float(torch.cat([p.grad.flatten() for p in training.model.parameters()]).norm())

    assert length(clipped) <= 1e-3 * (1 + 1e-4)
    assert length(free) > 1e-2


def test_every_image_is_seen_once_an_epoch_in_an_order_of_its_own(tmp_path: Path) -> None:
    training = trainer(epochs=2, input_noise=0.0)
    seen: list[torch.Tensor] = []
    training.model.encoder.register_forward_pre_hook(
        lambda module, args: seen.append(args[0]) if training.model.training else None
    )
    fit(training, tmp_path)
    images = torch.cat(seen)
    assert images.shape[0] == 2 * 150
    first, second = images[:150], images[150:]
    assert not torch.equal(first, second)
    for epoch in (first, second):
        assert sorted(map(bytes, epoch.numpy())) == sorted(map(bytes, some_digits().train_x.numpy()))


def test_a_batch_larger_than_the_data_is_one_step(tmp_path: Path) -> None:
    (row,) = fit(trainer(epochs=1, batch_size=10_000), tmp_path)
    assert math.isfinite(row["loss"])


def test_a_float64_network_trains(tmp_path: Path) -> None:
    training = Trainer(small_model().double(), some_digits(), options(epochs=1))
    (row,) = fit(training, tmp_path)
    assert row["backward_residual_max"] < 1e-5
    assert training.model.core.W.dtype == torch.float64


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_what_was_learnt(tmp_path: Path) -> None:
    training = trainer(epochs=3)

    def ruin(row: dict) -> None:
        if row["epoch"] == 1:
            with torch.no_grad():
                training.model.readout.weight[0, 0] = torch.nan

    with pytest.raises(InputError, match=r"loss is nan in epoch 2: lower lr_digital and lr_analog"):
        training.fit(tmp_path / "checkpoint.pt", tmp_path / "metrics.jsonl", "", ruin)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert content["epoch"] == 1
    assert torch.isfinite(content["model"]["readout.weight"]).all()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1
