"""Leaks counted in mini-batches, and mean shifts by day, against their closed forms."""

import math

import pytest
import torch

from analogdeq.build import build_chip
from analogdeq.chip import Chip
from analogdeq.devices.curve import Polynomial
from analogdeq.devices.drift import TimedDeviation
from analogdeq.devices.leak import StepLeak, clocked
from analogdeq.errors import RangeError
from analogdeq.library import device_preset
from analogdeq.scenario import load_scenario
from helpers import circuit, random_core, tensor

CAPACITOR = device_preset("capacitor")


def test_what_is_left_of_a_leaking_state_is_its_exponential() -> None:
    leak = StepLeak(lifetime_steps=1e6, spread=0.3, rest=0.5, step_s=1e-3)
    G, normal = tensor([0.0, 2e-6, 10e-6]), tensor([0.0, 1.0, -1.0])
    left = leak.apply(G, 2e-6, 10e-6, 500.0, normal)
    expected = [6e-6 + (g - 6e-6) * math.exp(-500 / (1e3 * life)) for g, life in ((0, 1), (2e-6, 1.3), (10e-6, 0.7))]
    assert left.tolist() == pytest.approx(expected, rel=1e-12, abs=0)


def test_it_is_so_many_mini_batches_that_each_leave_all_but_one_part_in_a_lifetime() -> None:
    leak = StepLeak(lifetime_steps=1e4, spread=0.0, rest=0.0, step_s=2.0)
    left = leak.apply(tensor([1.0]), 0.0, 1.0, 2.0 * 5000, tensor([0.0]))
    assert float(left) == pytest.approx((1 - 1e-4) ** 5000, rel=1e-4)


def test_capacitors_of_a_chip_leak_towards_the_middle_by_a_lifetime_of_their_own() -> None:
    """ln((G(t) - rest)/(G(0) - rest)) = -t/life: its inverse has mean 1 and spread 0.3 over devices."""
    chip = Chip(random_core(60, seed=0), circuit(), clocked(CAPACITOR, 1e-3), seed=3)
    before = chip.pairs.plus_S.clone()
    rest = 12.5e-6  # of a window from 0 to the circuit's 25 uS
    after = chip.age(100.0).pairs.plus_S
    lives = (-0.1 / torch.log((after - rest) / (before - rest)))[(before - rest).abs() > 1e-7]
    assert lives.numel() > 3000
    n = lives.numel()
    assert float(lives.mean()) == pytest.approx(1.0, abs=5 * 0.3 / math.sqrt(n))
    assert float(lives.std()) == pytest.approx(0.3, rel=5 / math.sqrt(2 * n))
    later = chip.age(200.0).pairs.plus_S
    torch.testing.assert_close((later - rest) * (before - rest), (after - rest).square(), rtol=1e-9, atol=1e-25)


def test_nobody_says_how_long_a_mini_batch_lasts_until_the_scenario_does() -> None:
    chip = Chip(random_core(4, seed=0), circuit(), CAPACITOR)
    with pytest.raises(RangeError, match="the leak is counted in mini-batches; say how long one lasts"):
        chip.age(1.0)
    sets = ["device.preset=capacitor", "device.step_s=1e-3", "ageing.age_s=100"]
    aged = build_chip(load_scenario("digits-crossbar", sets))
    fresh = build_chip(load_scenario("digits-crossbar", sets[:2]))
    assert float(aged.pairs.plus_S.std()) < float(fresh.pairs.plus_S.std())
    with pytest.raises(RangeError, match=r"time 2000 s lies outside 0 to 1000 s.*one mean lifetime"):
        build_chip(load_scenario("digits-crossbar", [*sets[:2], "ageing.age_s=2000"]))
    with pytest.raises(RangeError, match="device 'ideal' has no leak that is counted in steps"):
        build_chip(load_scenario("digits-crossbar", ["device.preset=ideal", "device.step_s=1"]))


def test_a_mean_shift_is_interpolated_between_days_and_moves_the_spread_with_it() -> None:
    law = TimedDeviation(
        times_s=(0.0, 10.0), sigmas_S=(Polynomial((0.0, 0.1)),) * 2, is_logarithmic=False,
        shifts_S=(Polynomial((0.0,)), Polynomial((1.0, 0.0, 2.0))),
    )  # fmt: skip
    assert float(law.shift_S(tensor([3.0]), 5.0)) == pytest.approx(0.5 * 19.0)
    assert float(law.shift_S(tensor([3.0]), 99.0)) == pytest.approx(19.0)
    with pytest.raises(RangeError, match="2 times need as many mean shifts or none, got 1"):
        TimedDeviation(
            times_s=(0.0, 1.0), sigmas_S=(Polynomial((0.1,)),) * 2, is_logarithmic=False, shifts_S=(Polynomial((0.1,)),)
        )


@pytest.mark.parametrize("changes", [{"lifetime_steps": 0.0}, {"spread": -0.1}, {"rest": 1.1}, {"step_s": 0.0}])
def test_impossible_leaks_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(RangeError, match="a leak needs a positive lifetime and step"):
        StepLeak(**{"lifetime_steps": 1.0, "spread": 0.0, "rest": 0.5, **changes})
