"""The chips of hardware-aware training: those of `Chip`, a new one each time, the same ones again for the same seed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from analogdeq import library
from analogdeq.ageing.life import Care
from analogdeq.ageing.maintenance import GlobalCompensation, PeriodicRefresh
from analogdeq.chip import Chip
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.converters import Converter
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError, RangeError
from analogdeq.train.fresh_chips import FreshChips

FREE = Converter(bits=8, energy_J=0.0)
CIRCUIT = CrossbarCircuit(g_min_S=0.25e-6, g_max_S=25e-6, dac=FREE, adc=FREE)
PCM = library.device_preset("pcm-generic")


def fab(**changes: Any) -> FreshChips:
    return FreshChips(**{"circuit": CIRCUIT, "device": PCM, "seed": 5, **changes})


def core(n: int = 8) -> RCCore:
    draw = torch.Generator().manual_seed(0)
    return RCCore(*(0.2 * torch.randn(shape, generator=draw) for shape in ((n, n), (n, 3), (n,))))


def weights_of(one: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in one.trainable()])


@pytest.mark.parametrize("age_s", [0.0, 86400.0])
@pytest.mark.parametrize("is_compensated", [True, False])
def test_a_fresh_chip_is_the_chip_of_its_seed_bit_for_bit(age_s: float, is_compensated: bool) -> None:
    made = fab(is_read_noisy=False, is_compensated=is_compensated).make(core(), (3, 1), age_s)
    care = Care(compensation=GlobalCompensation(every_s=86400.0) if is_compensated else None)
    by_hand = Chip(core(), CIRCUIT, PCM, seed=made.seed, care=care).age(age_s)
    assert torch.equal(weights_of(made.core), weights_of(by_hand.core))
    assert made.now_s == age_s


def test_the_network_that_trains_is_the_one_the_chip_holds() -> None:
    one = fab(youngest_s=20.0, oldest_s=1e5)
    draw = one.draw(2, 9)
    chip = one.make(core(), (2, 9, 0), draw.age_s)
    torch.testing.assert_close(weights_of(draw(core(), 0)), weights_of(chip.core), rtol=0, atol=1e-7)


def test_the_same_names_give_the_same_chip_and_any_other_another() -> None:
    one = fab(youngest_s=20.0, oldest_s=1e5)
    first = weights_of(one.draw(2, 9)(core(), 0))
    assert torch.equal(first, weights_of(fab(youngest_s=20.0, oldest_s=1e5).draw(2, 9)(core(), 0)))
    others = [
        one.draw(2, 10)(core(), 0),
        one.draw(3, 9)(core(), 0),
        one.draw(2, 9)(core(), 1),
        replace(one, seed=6).draw(2, 9)(core(), 0),
    ]
    assert not any(torch.equal(first, weights_of(other)) for other in others)


def test_drawing_chips_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    fab(youngest_s=20.0, oldest_s=1e5).draw(0, 0)(core(), 0)
    assert torch.equal(torch.rand(4), expected)


def test_ages_are_log_uniform_and_shared_by_the_cores_of_a_model() -> None:
    ages = np.array([fab(youngest_s=20.0, oldest_s=864000.0).draw(0, step).age_s for step in range(400)])
    assert stats.kstest(ages, stats.loguniform(20.0, 864000.0).cdf).pvalue > 0.01
    assert fab().draw(0, 0).age_s == 0.0
    assert fab(youngest_s=60.0, oldest_s=60.0).draw(0, 0).age_s == 60.0


def test_fresh_weights_scatter_as_the_preset_says_times_the_amplification() -> None:
    # W_held - W = R_f (E+ - E-), each E normal with sigma(G), far from the clip at zero.
    W = torch.full((30, 30), 0.02, dtype=torch.float64)
    circuit = replace(CIRCUIT, g_min_S=20e-6)
    one = fab(circuit=circuit, amplification=2.0, is_read_noisy=False)
    held = torch.stack([one.draw(0, step)(RCCore(W, W[:, :1], W[0]), 0).W for step in range(6)])
    x = np.array([1.0, 0.8])
    expected = 0.02 / 5e-6 * 2 * np.hypot(*(1e-6 * (0.26348 + 1.9650 * x - 1.1731 * x**2)))
    assert float((held - W).std()) == pytest.approx(expected, rel=4 / np.sqrt(2 * held.numel()))
    assert float((held - W).mean()) == pytest.approx(0, abs=4 * expected / np.sqrt(held.numel()))


def test_reading_adds_noise_of_its_own() -> None:
    quiet, noisy = (weights_of(fab(is_read_noisy=on).draw(0, 0)(core(), 0)) for on in (False, True))
    assert 0 < float((quiet - noisy).abs().max()) < 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"youngest_s": 20.0}, "give both or neither, got 20.0 and None"),
        ({"youngest_s": 100.0, "oldest_s": 50.0}, "must be above 0 and not above oldest_s = 50"),
        ({"youngest_s": 20.0, "oldest_s": 1e9}, r"time 20 to 1e\+09 s lies outside"),
        ({"temperature_K": 400.0}, "temperature 400 K lies outside"),
        ({"amplification": -1.0}, "want a finite factor, not negative"),
        ({"care": Care(refresh=PeriodicRefresh(every_s=5.0))}, "take no care that lasts"),
    ],
)
def test_chips_that_cannot_be_made_are_refused_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((InputError, RangeError), match=message):
        fab(**changes)


def test_oscillators_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"not a PhaseCore; train oscillators with train\.hardware\.draws = 'none'"):
        fab().draw(0, 0)(PhaseCore(torch.zeros(3, 3), torch.zeros(3, 1), torch.ones(6)), 0)
