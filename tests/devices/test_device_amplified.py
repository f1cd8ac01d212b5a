"""A preset that errs more than was measured, by a factor and in nothing else."""

from dataclasses import replace

import pytest
import torch

from analogdeq.chip import Chip
from analogdeq.devices.amplified import amplified
from analogdeq.devices.preset import IDEAL
from analogdeq.errors import RangeError
from analogdeq.library import device_preset
from helpers import circuit, random_core

PCM = device_preset("pcm-generic")


def held(device, seed: int = 3):
    return Chip(random_core(6, seed=0), circuit(), device, seed=seed).pairs.plus_S


@pytest.mark.parametrize("name", ["pcm-generic", "reram-cmo-2", "weight-mismatch"])
def test_every_device_lands_so_many_times_as_far_from_its_target(name: str) -> None:
    preset = device_preset(name)
    low, high = (preset.g_min_S + 1e-6, preset.g_max_S) if preset.is_measured else (0.25e-6, 25e-6)
    target = torch.linspace(0.6 * high, 0.9 * high, 50, dtype=torch.float64)
    extra = {"partner_S": torch.full_like(target, low), "feedback_ohm": 4e4}

    def off(factor: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(5)
        device = amplified(preset, programming=factor)
        return device.program(target, 25e-6, generator, allow=("conductance",), **extra) - target

    one = off(1.0)
    assert float(one.abs().max()) > 0
    torch.testing.assert_close(off(0.5), 0.5 * one, rtol=1e-9, atol=1e-18)
    torch.testing.assert_close(off(0.0), torch.zeros_like(one), rtol=0, atol=0)


def test_a_read_errs_so_many_times_as_much() -> None:
    def read(factor: float) -> torch.Tensor:
        chip = Chip(random_core(6, seed=0), circuit(), amplified(PCM, read=factor), seed=3).age(86400.0)
        quiet = chip.pairs.plus_S.clone()
        return chip.begin_inference(7).pairs.plus_S - quiet

    one, three = read(1.0), read(3.0)
    inside = three + held_after_a_day() > 0  # the others were clipped: no conductance reads negative
    assert int(inside.sum()) > 20
    torch.testing.assert_close(three[inside], 3 * one[inside], rtol=1e-6, atol=1e-15)
    assert float(read(0.0).abs().max()) == 0


def held_after_a_day() -> torch.Tensor:
    return Chip(random_core(6, seed=0), circuit(), PCM, seed=3).age(86400.0).pairs.plus_S


def test_a_factor_of_one_changes_nothing_and_drift_stays() -> None:
    assert amplified(PCM) == PCM
    assert torch.equal(held(amplified(PCM)), held(PCM))
    more = amplified(PCM, programming=2.0, read=3.0)
    assert (more.drift, more.temperature, more.validity) == (PCM.drift, PCM.temperature, PCM.validity)
    assert amplified(IDEAL, programming=9.0, read=9.0) == replace(IDEAL)


@pytest.mark.parametrize("factor", [-1.0, float("nan"), float("inf")])
def test_a_factor_that_is_none_is_refused(factor: float) -> None:
    with pytest.raises(RangeError, match="programming noise cannot be multiplied"):
        amplified(PCM, programming=factor)
    with pytest.raises(RangeError, match="read noise cannot be multiplied"):
        amplified(PCM, read=factor)


def test_an_error_that_is_simulated_pulse_by_pulse_has_no_factor() -> None:
    with pytest.raises(RangeError, match=r"vary device\.write_tolerance"):
        amplified(device_preset("ecram-li"), programming=2.0)
