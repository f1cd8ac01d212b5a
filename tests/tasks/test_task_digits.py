"""The digits as they are shipped, and what is said of a file that was damaged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from analogdeq.errors import DataError
from analogdeq.resources import resource_path
from analogdeq.tasks.dataset import Dataset
from analogdeq.tasks.digits import load_digits

FILE = resource_path("data", "digits", "digits.csv")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_digits()


def test_there_are_1797_images_of_which_360_are_for_testing(digits: Dataset) -> None:
    assert digits.train_x.shape == (1437, 64)
    assert digits.test_x.shape == (360, 64)
    assert digits.train_y.shape == (1437,)
    assert digits.test_y.shape == (360,)
    assert digits.n_classes == 10


def test_every_class_gives_a_fifth_of_its_images_to_the_test(digits: Dataset) -> None:
    train, test = (torch.bincount(y, minlength=10) for y in (digits.train_y, digits.test_y))
    assert len(train) == len(test) == 10
    assert ((train + test) / 5 - test).abs().max() <= 1


def test_the_classes_have_the_counts_the_source_reports(digits: Dataset) -> None:
    # UCI optical digits, test part: 178 182 177 183 181 182 181 179 174 180.
    counts = torch.bincount(torch.cat((digits.train_y, digits.test_y)))
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_pixels_are_sixteenths_from_0_to_1(digits: Dataset) -> None:
    for x in (digits.train_x, digits.test_x):
        assert x.dtype == torch.float32
        assert x.min() == 0
        assert x.max() == 1
        assert torch.equal(x * 16, (x * 16).round())


def test_no_test_image_is_also_trained_on(digits: Dataset) -> None:
    train = {image.tobytes() for image in digits.train_x.numpy()}
    twins = sum(image.tobytes() in train for image in digits.test_x.numpy())
    assert twins == 0


def test_the_nearest_training_image_tells_the_class(digits: Dataset) -> None:
    # Published for this data: 1-nearest-neighbour is right for about 98 of 100. Mixed-up labels would not be.
    nearest = torch.cdist(digits.test_x, digits.train_x).argmin(1)
    assert (digits.train_y[nearest] == digits.test_y).double().mean() > 0.97


def test_a_limit_keeps_the_first_test_images_and_all_training_images(digits: Dataset) -> None:
    few = digits.limit_test(7)
    assert torch.equal(few.test_x, digits.test_x[:7])
    assert torch.equal(few.test_y, digits.test_y[:7])
    assert few.train_x is digits.train_x
    assert digits.limit_test(None) is digits
    assert digits.limit_test(10_000).test_x.shape[0] == 360


def first_row(lines: list[str], change: Callable[[list[str]], None]) -> list[str]:
    cells = lines[1].split(",")
    change(cells)
    return [lines[0], ",".join(cells), *lines[2:]]


DAMAGE: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "cut short": (lambda lines: lines[:1000], "holds 999 images, not 1797"),
    "cut in a line": (lambda lines: [*lines[:-1], lines[-1][:40]], "64 whole numbers"),
    "one image too many": (lambda lines: [*lines, lines[-1]], "holds 1798 images"),
    "label of no class": (lambda lines: first_row(lines, lambda c: c.__setitem__(1, "10")), "labels must be 0 to 9"),
    "label that is a word": (lambda lines: first_row(lines, lambda c: c.__setitem__(1, "three")), "whole numbers"),
    "pixel too bright": (lambda lines: first_row(lines, lambda c: c.__setitem__(7, "17")), "pixels 0 to 16"),
    "pixel below black": (lambda lines: first_row(lines, lambda c: c.__setitem__(7, "-1")), "pixels 0 to 16"),
    "pixel with a fraction": (lambda lines: first_row(lines, lambda c: c.__setitem__(7, "1.5")), "whole numbers"),
    "pixel beyond 64 bits": (lambda lines: first_row(lines, lambda c: c.__setitem__(7, "9" * 30)), "whole numbers"),
    "pixel missing": (lambda lines: first_row(lines, lambda c: c.pop()), "whole numbers"),
    "split misspelt": (lambda lines: first_row(lines, lambda c: c.__setitem__(0, "tets")), "it says 'tets'"),
    "nothing to test": (lambda lines: [line.replace("test,", "train,") for line in lines], "every row says 'train'"),
    "without header": (lambda lines: lines[1:], "first line"),
    "empty": (lambda lines: [], "first line"),
    "another table": (lambda lines: ["a,b", "1,2"], "is this the digits file"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_refused_with_its_name_and_what_is_wrong(
    tmp_path: Path, damage: Callable[[list[str]], list[str]], message: str
) -> None:
    copy = tmp_path / "digits.csv"
    copy.write_text("\n".join(damage(FILE.read_text().splitlines())))
    with pytest.raises(DataError, match=message) as caught:
        load_digits(copy)
    assert str(copy) in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "digits.csv"
    copy.write_bytes(np.random.default_rng(0).bytes(1000))
    with pytest.raises(DataError, match="cannot be read"):
        load_digits(copy)


@pytest.mark.parametrize("name", ["nowhere.csv", "."])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_digits(tmp_path / name)


def test_an_untouched_copy_reads_as_the_original(tmp_path: Path, digits: Dataset) -> None:
    copy = tmp_path / "digits.csv"
    copy.write_bytes(FILE.read_bytes())
    assert torch.equal(load_digits(copy).train_x, digits.train_x)
