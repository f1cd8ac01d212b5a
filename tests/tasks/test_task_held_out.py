"""Recipes are chosen on training images that are held out, never on test images."""

import pytest
import torch

from analogdeq.build import build_data
from analogdeq.errors import InputError
from analogdeq.scenario import load_scenario
from analogdeq.tasks.dataset import Dataset


def numbered() -> Dataset:
    train, test = torch.arange(10), torch.arange(100, 103)
    return Dataset(train_x=train[:, None], train_y=train, test_x=test[:, None], test_y=test, n_classes=103)


def test_held_out_images_are_the_last_training_images_and_no_test_image_is_left() -> None:
    data = numbered().hold_out(3)
    assert data.train_y.tolist() == list(range(7))
    assert data.test_y.tolist() == [7, 8, 9]
    assert torch.equal(data.train_x.squeeze(1), data.train_y)
    assert torch.equal(data.test_x.squeeze(1), data.test_y)


def test_nothing_is_held_out_unless_it_is_asked_for() -> None:
    assert numbered().hold_out(None).test_y.tolist() == [100, 101, 102]


def test_holding_out_every_image_is_refused_with_how_many_there_are() -> None:
    with pytest.raises(InputError, match="10 images cannot be held out of 10 training images; hold out fewer"):
        numbered().hold_out(10)


def test_a_scenario_holds_out_before_it_limits() -> None:
    whole = build_data(load_scenario("digits-crossbar"))
    part = build_data(load_scenario("digits-crossbar", ["task.held_out=100", "task.train_limit=50"]))
    assert torch.equal(part.test_x, whole.train_x[-100:])
    assert torch.equal(part.train_y, whole.train_y[:50])
