"""What the loop was taught for larger data: groups, warm-up, augmentation, precision, TensorBoard."""

import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from training import fit, options, rows, small_model, trainer

from analogdeq.models.build_conv import conv_equilibria
from analogdeq.models.shapes import DigitalLayers, Stage
from analogdeq.tasks.augment import Augmentation
from analogdeq.tasks.dataset import Dataset
from analogdeq.train.board import board
from analogdeq.train.fit import Trainer


def pictures(n: int = 12) -> Dataset:
    """uint8 images as the photographs come."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (n, 3, 8, 8), generator=draw, dtype=torch.uint8)
    y = torch.randint(0, 10, (n,), generator=draw)
    return Dataset(train_x=x, train_y=y, test_x=x[:4], test_y=y[:4], n_classes=10)


def conv_model(dropout: float = 0.0) -> Any:
    return conv_equilibria(
        image=(3, 8, 8), inputs=4, stages=(Stage(4, 8), Stage(4, 4)), classes=10, activation="tanh",
        analog_init_gain=0.4, tau_s=1e-8, gain=1.0, generator=torch.Generator().manual_seed(0),
        digital=DigitalLayers(dropout=dropout),
    )  # fmt: skip


@pytest.mark.parametrize("analog", [0.0, 0.5, None])
def test_each_group_decays_at_its_own_rate(tmp_path: Path, analog: float | None) -> None:
    """A network that learns nothing shrinks by lr x decay a step, and nothing else happens to it."""
    changes = {"lr_digital": 1e-9, "lr_analog": 1e-9, "spectral_bound": None, "schedule": "constant"}
    training = trainer(epochs=1, **changes, weight_decay=1e5, weight_decay_analog=analog and 1e9 * analog)
    decays = [group["weight_decay"] for group in training._optimizer.param_groups]
    assert decays == [1e5, 1e5 if analog is None else 1e9 * analog]
    before = small_model().state_dict()
    fit(training, tmp_path)
    after, steps = training.model.state_dict(), 5
    shrunk = (1 - 1e-9 * decays[1]) ** steps
    torch.testing.assert_close(after["core.W"], before["core.W"] * shrunk, rtol=1e-3, atol=1e-6)


def test_learning_rates_rise_before_they_fall(tmp_path: Path) -> None:
    table = fit(trainer(epochs=4, warmup_epochs=3, schedule="constant", lr_digital=1e-3), tmp_path)
    assert [row["lr_digital"] for row in table] == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3])


def test_training_sees_changed_images_and_testing_the_plain_ones(tmp_path: Path) -> None:
    changes = {"augmentation": Augmentation(pad=2), "input_noise": 0.0, "spectral_bound": None, "batch_size": 12}
    training = Trainer(conv_model(), pictures(), options(epochs=1, **changes))
    seen: list[tuple[bool, torch.Tensor]] = []
    training.model.encoders[0].register_forward_pre_hook(
        lambda module, args: seen.append((module.training, args[0].detach().clone()))
    )
    fit(training, tmp_path)
    plain = pictures().train_x.float() / 255
    (trained,) = [x for is_training, x in seen if is_training]
    tested = [x for is_training, x in seen if not is_training]
    assert all(torch.equal(x, plain[:4]) for x in tested)
    assert 0 <= trained.min() <= trained.max() <= 1
    assert not any(torch.equal(image, one) for image in trained[:3] for one in plain)


def test_mixed_precision_computes_digital_layers_in_bfloat16_and_the_settle_in_full(tmp_path: Path) -> None:
    kinds = {}
    training = Trainer(
        conv_model(), pictures(), options(epochs=1, mixed_precision=True, spectral_bound=None, input_noise=0.0)
    )
    training.model.encoders[1][2].register_forward_hook(
        lambda module, args, out: kinds.setdefault((module.training, out.dtype))
    )
    (row,) = fit(training, tmp_path)
    assert (True, torch.bfloat16) in kinds
    assert all(reached.z.dtype == torch.float32 for reached in training.model.reached)
    assert row["forward_residual_max"] < 1e-5
    assert all(p.dtype == torch.float32 for p in training.model.parameters())


def test_whole_numbers_and_fractions_of_them_train_the_same(tmp_path: Path) -> None:
    whole, states = pictures(), []
    share = replace(whole, train_x=whole.train_x.float() / 255, test_x=whole.test_x.float() / 255)
    for data, name in ((whole, "whole"), (share, "share")):
        (tmp_path / name).mkdir()
        training = Trainer(conv_model(), data, options(epochs=1, spectral_bound=None, batch_size=4))
        fit(training, tmp_path / name)
        states.append(training.model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


class Recorder:
    """Stands for TensorBoard's writer."""

    written: ClassVar[list[tuple[str, float, int]]] = []

    def __init__(self, log_dir: str) -> None:
        self.folder = Path(log_dir)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.written.append((name, value, step))

    def flush(self) -> None:
        return None


def test_tensorboard_gets_every_number_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(Recorder, "written", [])
    assert board(tmp_path / "tensorboard").folder == tmp_path / "tensorboard"
    table = fit(trainer(epochs=2), tmp_path)
    expected = [(name, value, row["epoch"]) for row in table for name, value in row.items() if name != "epoch"]
    assert Recorder.written == expected


def test_tensorboard_reads_back_what_was_written(tmp_path: Path) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard is not installed"
    )
    table = fit(trainer(epochs=2), tmp_path)
    events = reader.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    names = {name for row in table for name in row if name != "epoch"}
    assert set(events.Tags()["scalars"]) == names
    for name in names:
        read = [(event.step, event.value) for event in events.Scalars(name)]
        assert read == [(row["epoch"], pytest.approx(row[name], rel=1e-6)) for row in table]


def test_without_tensorboard_there_are_the_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert board(tmp_path) is None
    fit(trainer(epochs=1), tmp_path)
    assert len(rows(tmp_path)) == 1
    assert not (tmp_path / "tensorboard").exists()


def test_labels_are_smoothed_in_the_loss_of_training(tmp_path: Path) -> None:
    frozen = {"epochs": 1, "lr_digital": 0.0, "lr_analog": 0.0, "input_noise": 0.0, "spectral_bound": None}
    table = fit(trainer(**frozen, label_smoothing=0.2), tmp_path)
    model, data = small_model(), trainer()._data
    with torch.no_grad():
        logs = torch.log_softmax(model(data.train_x), 1)
    right = logs.gather(1, data.train_y[:, None]).mean()
    assert table[0]["loss"] == pytest.approx(-float(0.8 * right + 0.2 * logs.mean()), rel=1e-5)


def test_dropout_follows_from_seed_and_epoch_and_leaves_other_chance_alone(tmp_path: Path) -> None:
    def run(folder: Path, epochs: int, *, resumed: bool = False) -> dict[str, torch.Tensor]:
        training = Trainer(conv_model(dropout=0.5), pictures(), options(epochs=epochs, **changes))
        folder.mkdir(exist_ok=True)
        if resumed:
            training.resume(folder / "checkpoint.pt", folder / "metrics.jsonl")
        before = torch.get_rng_state()
        fit(training, folder)
        assert torch.equal(torch.get_rng_state(), before)
        return training.model.state_dict()

    changes: dict[str, Any] = {"spectral_bound": None, "schedule": "constant", "input_noise": 0.0}
    torch.manual_seed(1)
    whole = run(tmp_path / "whole", 2)
    torch.manual_seed(2)
    run(tmp_path / "cut", 1)
    torch.manual_seed(3)
    cut = run(tmp_path / "cut", 2, resumed=True)
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
