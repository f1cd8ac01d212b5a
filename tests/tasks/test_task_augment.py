"""Augmentation of a batch: each image by numpy's slices, and the chances by counting."""

import numpy as np
import pytest
import torch

from analogdeq.errors import InputError
from analogdeq.tasks.augment import Augmentation


def batch(n: int = 5, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(n, 3, 8, 6, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("pad", [0, 1, 4])
def test_every_image_is_its_own_crop_of_the_padded_and_flipped_one(pad: int) -> None:
    x, change = batch(40), Augmentation(pad=pad)
    draw = change.draw(40, torch.Generator().manual_seed(1))
    ours = change.apply(x, draw).numpy()
    for k, image in enumerate(x.numpy()):
        padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad)))
        down, right = int(draw.down[k]), int(draw.right[k])
        crop = padded[:, down : down + 8, right : right + 6]
        np.testing.assert_array_equal(ours[k], crop[:, :, ::-1] if draw.flip[k] else crop)


def test_every_place_and_both_sides_are_equally_likely() -> None:
    n = 20_000
    draw = Augmentation(pad=2, flip=0.3).draw(n, torch.Generator().manual_seed(0))
    for places in (draw.down, draw.right):
        counts = torch.bincount(places, minlength=5)
        assert len(counts) == 5
        assert (counts - n / 5).abs().max() < 5 * (n * 0.2 * 0.8) ** 0.5
    assert abs(draw.flip.double().mean().item() - 0.3) < 0.02
    assert abs(np.corrcoef(draw.down, draw.right)[0, 1]) < 0.03


def test_a_part_of_the_batch_is_changed_as_in_the_whole() -> None:
    x, change, rows = batch(), Augmentation(pad=3), torch.tensor([1, 4])
    draw = change.draw(5, torch.Generator().manual_seed(2))
    assert torch.equal(change.apply(x[rows], draw.rows(rows)), change.apply(x, draw)[rows])


def test_doing_nothing_is_possible() -> None:
    x, change = batch(), Augmentation(pad=0, flip=0.0)
    assert torch.equal(change.apply(x, change.draw(5, torch.Generator())), x)


@pytest.mark.parametrize("wrong", [{"pad": -1}, {"flip": 1.5}])
def test_what_cannot_be_done_is_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Augmentation(**wrong)
