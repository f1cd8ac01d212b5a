"""What programming does to a conductance."""

import dataclasses
import math

import pytest
import torch

from analogdeq.devices.preset import IDEAL, DevicePreset
from analogdeq.errors import RangeError

PCM = DevicePreset(
    name="pcm",
    title="PCM",
    g_min_S=0.0,
    g_max_S=25e-6,
    sigma_S=(0.26348e-6, 1.9650e-6, -1.1731e-6),
    source="Nandakumar et al., ICECS 2019",
)
GAUSSIAN = dataclasses.replace(IDEAL, name="gaussian", sigma_S=(0.02,))


def siemens(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_programming_error_follows_the_measured_polynomial() -> None:
    sigma = PCM.programming_sigma_S(siemens(0.0, 12.5e-6, 25e-6), 25e-6)
    by_hand = siemens(0.26348e-6, (0.26348 + 1.9650 / 2 - 1.1731 / 4) * 1e-6, (0.26348 + 1.9650 - 1.1731) * 1e-6)
    torch.testing.assert_close(sigma, by_hand, rtol=1e-12, atol=0)


def test_a_measured_device_ignores_the_circuits_window_for_its_error() -> None:
    target = siemens(5e-6)
    assert torch.equal(PCM.programming_sigma_S(target, 10e-6), PCM.programming_sigma_S(target, 25e-6))


def test_an_unmeasured_device_errs_in_units_of_the_circuits_g_max() -> None:
    sigma = GAUSSIAN.programming_sigma_S(siemens(0.0, 1e-6, 40e-6), 40e-6)
    torch.testing.assert_close(sigma, siemens(0.8e-6, 0.8e-6, 0.8e-6), rtol=1e-12, atol=0)


def test_an_unmeasured_polynomial_is_evaluated_at_the_fraction_of_the_circuits_g_max() -> None:
    device = dataclasses.replace(IDEAL, sigma_S=(0.01, 0.03))
    sigma = device.programming_sigma_S(siemens(0.0, 10e-6, 40e-6), 40e-6)
    torch.testing.assert_close(sigma, siemens(0.4e-6, 0.7e-6, 1.6e-6), rtol=1e-12, atol=0)


def test_an_ideal_device_lands_exactly_where_it_is_sent() -> None:
    target = torch.rand(7, 5, dtype=torch.float64) * 1e-5
    assert torch.equal(IDEAL.program(target, 1e-5, torch.Generator().manual_seed(3)), target)


def test_many_draws_have_the_mean_and_spread_of_the_polynomial() -> None:
    draws = 200_000
    for x in (0.3, 0.7, 1.0):
        target = torch.full((draws,), x * 25e-6, dtype=torch.float64)
        sigma = (0.26348 + 1.9650 * x - 1.1731 * x * x) * 1e-6
        landed = PCM.program(target, 25e-6, torch.Generator().manual_seed(1))
        assert float(landed.mean()) == pytest.approx(x * 25e-6, abs=5 * sigma / math.sqrt(draws))
        assert float(landed.std()) == pytest.approx(sigma, rel=5 / math.sqrt(2 * draws))
        skewness = float((((landed - landed.mean()) / landed.std()) ** 3).mean())
        assert abs(skewness) < 5 * math.sqrt(6 / draws)


def test_each_device_has_its_own_error() -> None:
    landed = PCM.program(torch.full((200, 200), 1e-5, dtype=torch.float64), 25e-6, torch.Generator().manual_seed(1))
    errors = (landed - 1e-5) / landed.std()
    assert landed.unique().numel() == landed.numel()
    for other in (errors.roll(1, 0), errors.roll(1, 1), errors.T):
        assert abs(float((errors * other).mean())) < 5 / 200


def test_no_conductance_is_negative_and_half_of_the_devices_at_zero_stay_there() -> None:
    landed = PCM.program(torch.zeros(100_000, dtype=torch.float64), 25e-6, torch.Generator().manual_seed(1))
    assert float(landed.min()) == 0.0
    assert float((landed == 0).double().mean()) == pytest.approx(0.5, abs=0.01)
    # Of a clipped normal distribution the mean is sigma / sqrt(2 pi).
    assert float(landed.mean()) == pytest.approx(0.26348e-6 / math.sqrt(2 * math.pi), rel=0.02)


def test_the_same_seed_programs_the_same_chip_bit_for_bit_and_another_does_not() -> None:
    target = torch.rand(9, 9, dtype=torch.float64) * 25e-6
    first = PCM.program(target, 25e-6, torch.Generator().manual_seed(7))
    torch.rand(5)  # the global generator has no say
    assert torch.equal(first, PCM.program(target, 25e-6, torch.Generator().manual_seed(7)))
    assert not torch.equal(first, PCM.program(target, 25e-6, torch.Generator().manual_seed(8)))


def test_programming_does_not_touch_the_targets() -> None:
    target = torch.rand(9, dtype=torch.float64) * 25e-6
    before = target.clone()
    PCM.program(target, 25e-6, torch.Generator())
    assert torch.equal(target, before)


@pytest.mark.parametrize("outside", [25.1e-6, -0.1e-6])
def test_a_conductance_outside_the_measured_range_is_refused_with_both_ranges(outside: float) -> None:
    with pytest.raises(RangeError, match=r"device 'pcm' was measured from 0 to 2\.5e-05 S, but the circuit asks for"):
        PCM.program(siemens(1e-6, outside), 25e-6, torch.Generator())


def test_a_lower_end_of_the_measured_range_is_respected_too() -> None:
    device = dataclasses.replace(PCM, g_min_S=1e-6)
    with pytest.raises(RangeError, match="measured from 1e-06"):
        device.program(siemens(0.5e-6, 2e-6), 25e-6, torch.Generator())


def test_rounding_at_the_ends_of_the_range_is_forgiven() -> None:
    PCM.program(siemens(25e-6 * (1 + 1e-12), -1e-20), 25e-6, torch.Generator())
