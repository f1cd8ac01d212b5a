"""One crossbar per output position: which columns are built, what hangs on each line, and how devices are drawn."""

import dataclasses
from itertools import product

import numpy as np
import pytest
import torch

from analogdeq.circuits.mapping import map_weights
from analogdeq.circuits.replicas import ReplicatedPairs
from analogdeq.circuits.tiling import Tiling, Window
from analogdeq.devices.preset import IDEAL, DevicePreset
from helpers import circuit, tensor

NOISY = DevicePreset(**{**dataclasses.asdict(IDEAL), "name": "noisy", "sigma_S": (0.001,)})


def tiling(
    image: tuple[int, int] = (4, 4),
    state: tuple[int, int] = (3, 3),
    inputs: tuple[int, int] = (1, 1),
    channels: int = 1,
) -> Tiling:
    return Tiling(*image, Window(channels, state), Window(1, inputs))


def pairs(wiring: Tiling, *, seed: int = 0, each: bool = False) -> ReplicatedPairs:
    shape = (wiring.n_rows, sum(wiring.column_groups))
    weights = tensor(np.random.default_rng(seed).normal(size=(wiring.n_crossbars, *shape) if each else shape))
    found = map_weights(weights, circuit())
    return ReplicatedPairs(found.plus_S, found.minus_S, found.feedback_ohm, wiring)


def test_a_3_by_3_kernel_on_a_4_by_4_image_has_100_columns_that_read_a_pixel() -> None:
    """Corners see 4 pixels, the other 8 border positions 6, the 4 inner ones 9: 4 * 4 + 8 * 6 + 4 * 9 = 100."""
    built = tiling().built()
    assert built.shape == (16, 9 + 1 + 1)
    assert int(built[:, :9].sum()) == 4 * 4 + 8 * 6 + 4 * 9 == 100
    assert built[0, :9].tolist() == [0, 0, 0, 0, 1, 1, 0, 1, 1]
    assert built[5, :9].tolist() == [1] * 9
    assert built[11, :9].tolist() == [1, 1, 0, 1, 1, 0, 1, 1, 0]
    assert bool((built[:, 9:] == 1).all())


def test_devices_are_counted_by_hand() -> None:
    """100 state columns, 16 of the input and 16 of the bias; two devices where a row crosses a column."""
    assert pairs(tiling()).n_devices == 2 * 1 * (100 + 16 + 16)
    assert pairs(tiling(channels=3)).n_devices == 2 * 3 * (3 * 100 + 16 + 16)
    assert pairs(tiling(inputs=(3, 3))).n_devices == 2 * 1 * (100 + 100 + 16)
    assert pairs(tiling((1, 1), (1, 1))).n_devices == 2 * 3
    drawn = pairs(tiling()).programmed(NOISY, 25e-6, torch.Generator())
    assert drawn.n_devices == 2 * (100 + 16 + 16)


def test_every_line_drives_the_crossbars_that_read_its_pixel() -> None:
    """With one siemens in every built column, a pixel's line drives as many as have it in their window."""
    lines = tiling().sum_by_line(tiling().built())
    row = torch.tensor([2.0, 3.0, 3.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(lines[:16].view(4, 4), torch.outer(row, row))
    assert lines[16:32].tolist() == [1.0] * 16
    assert lines[32:].tolist() == [16.0]


@pytest.mark.parametrize("each", [False, True])
def test_sums_are_those_of_the_devices_one_by_one(each: bool) -> None:
    wiring = tiling((3, 2), (3, 3), (1, 3), channels=2)
    devices = pairs(wiring, each=each)
    total = np.broadcast_to((devices.plus_S + devices.minus_S).numpy(), (6, 2, 2 * 9 + 3 + 1))
    rows, lines = np.zeros((2, 3, 2)), np.zeros(2 * 6 + 6 + 1)
    for y, x, o in product(range(3), range(2), range(2)):
        crossbar = total[2 * y + x, o]
        for column, (i, k, m) in enumerate(product(range(2), range(3), range(3))):
            at_y, at_x = y + k - 1, x + m - 1
            if 0 <= at_y < 3 and 0 <= at_x < 2:
                rows[o, y, x] += crossbar[column]
                lines[6 * i + 2 * at_y + at_x] += crossbar[column]
        for m in range(3):
            if 0 <= x + m - 1 < 2:
                rows[o, y, x] += crossbar[18 + m]
                lines[12 + 2 * y + x + m - 1] += crossbar[18 + m]
        rows[o, y, x] += crossbar[21]
        lines[18] += crossbar[21]
    np.testing.assert_allclose(devices.row_sum_S().numpy(), rows.flatten(), rtol=1e-13)
    np.testing.assert_allclose(devices.column_sum_S().numpy(), lines, rtol=1e-13)
    expected_gain = 1 + devices.feedback_ohm * rows.flatten()
    np.testing.assert_allclose(devices.noise_gain().numpy(), expected_gain, rtol=1e-13)


def test_all_conductance_is_on_a_row_and_on_a_line() -> None:
    devices = pairs(tiling((5, 3), channels=2)).programmed(NOISY, 25e-6, torch.Generator())
    assert float(devices.row_sum_S().sum()) == pytest.approx(float(devices.column_sum_S().sum()), rel=1e-13)


def test_exact_devices_leave_the_crossbars_equal_and_written_once() -> None:
    asked = pairs(tiling())
    exact = asked.programmed(IDEAL, 25e-6, torch.Generator())
    assert torch.equal(exact.plus_S, asked.plus_S)
    assert torch.equal(exact.weights(), asked.weights())


def test_other_devices_err_in_every_crossbar_for_themselves() -> None:
    asked = pairs(tiling((20, 20), channels=2))
    drawn = asked.programmed(NOISY, 25e-6, torch.Generator().manual_seed(1))
    for mine, target in ((drawn.plus_S, asked.plus_S), (drawn.minus_S, asked.minus_S)):
        assert mine.shape == (400, *target.shape)
        assert float((mine - target).std()) == pytest.approx(0.001 * 25e-6, rel=0.02)
    between = torch.corrcoef((drawn.plus_S - asked.plus_S).flatten(1))
    off_diagonal = between - torch.diag(between.diag())
    assert abs(float(off_diagonal.mean())) < 0.01


def test_the_same_generator_state_draws_the_same_devices() -> None:
    asked = pairs(tiling())
    first, again, other = (asked.programmed(NOISY, 25e-6, torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    assert torch.equal(first.plus_S, again.plus_S)
    assert torch.equal(first.minus_S, again.minus_S)
    assert not torch.equal(first.plus_S, other.plus_S)


def test_crossbars_that_were_different_to_begin_with_stay_so() -> None:
    asked = pairs(tiling(), each=True)
    exact = asked.programmed(IDEAL, 25e-6, torch.Generator())
    torch.testing.assert_close(exact.weights(), asked.weights(), rtol=0, atol=0)
    assert exact.plus_S.shape == asked.plus_S.shape
