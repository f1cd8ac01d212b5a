"""Every shipped preset against the published formula, by drawing devices."""

import math

import pytest
import torch
from published_statistics import CASES, DAY, LAWS, Published

from analogdeq.devices.array import DeviceArray, Surroundings
from analogdeq.devices.clock import Age
from analogdeq.devices.preset import DevicePreset
from analogdeq.devices.streams import Streams
from analogdeq.library import device_names, device_preset

DRAWS = 20_000
AROUND = Surroundings(g_min_S=0.0, g_max_S=25e-6, feedback_ohm=1e4, read_V=0.1)


def array_of(preset: DevicePreset, target_S: float, *, seed: int = 11, draws: int = DRAWS) -> DeviceArray:
    target = torch.full((draws // 100, 100), target_S, dtype=torch.float64)
    return DeviceArray(
        preset, target, torch.zeros_like(target), AROUND, streams=Streams(seed), array="plus", cycle=0,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip


def age(t_s: float) -> Age:
    return Age(stays=((t_s, 300.0),))


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.preset}-{c.target_uS:g}uS-{c.t_s:g}s")
def test_the_devices_of_a_preset_have_the_published_mean_and_spread(case: Published) -> None:
    held_uS = array_of(device_preset(case.preset), case.target_uS * 1e-6).conductance_S(age(case.t_s)) * 1e6
    assert float(held_uS.mean()) == pytest.approx(case.mean_uS, abs=5 * case.sigma_uS / math.sqrt(DRAWS))
    # A drifted product is not quite normal, so its spread scatters a little more than 1/sqrt(2n).
    assert float(held_uS.std()) == pytest.approx(case.sigma_uS, rel=6 / math.sqrt(2 * DRAWS))


def test_every_measured_preset_with_a_formula_is_among_them() -> None:
    shipped = {name for name in device_names() if device_preset(name).is_measured}
    assert shipped - set(LAWS) == {"ecram-li", "ecram-mo"}, "these two are programmed by pulses"


@pytest.mark.parametrize(
    ("name", "x", "t_s", "sigma_of_G"),
    [
        ("pcm-generic", 1.0, DAY, 0.0088 * math.sqrt(math.log((DAY + 250e-9) / 500e-9))),
        ("pcm-generic", 0.25, DAY, 0.0088 / 0.25**0.65 * math.sqrt(math.log((DAY + 250e-9) / 500e-9))),
        ("pcm-generic", 0.005, DAY, 0.2 * math.sqrt(math.log((DAY + 250e-9) / 500e-9))),
        ("pcm-hermes-2", 0.5, DAY, (0.0069 / 8 - 0.0280 / 4 + 0.0211 / 2 + 0.0123) * math.sqrt(
            math.log((DAY + 512e-9) / 1024e-9))),
        ("pcm-hermes-1", 0.1, DAY, (0.0078 * math.log(10) + 0.0038) * math.sqrt(math.log((DAY + 512e-9) / 1024e-9))),
        ("reram-neurram", 0.7, DAY, 0.01),
    ],
)  # fmt: skip
def test_read_noise_is_that_share_of_the_conductance(name: str, x: float, t_s: float, sigma_of_G: float) -> None:
    preset = device_preset(name)
    assert preset.read_noise is not None
    G_S = torch.tensor([x * preset.g_max_S], dtype=torch.float64)
    assert float(preset.read_noise.sigma_S(0.6 * G_S, G_S, t_s)) == pytest.approx(
        0.6 * sigma_of_G * float(G_S), rel=1e-9, abs=0
    )


def test_read_noise_of_cmo_follows_log10_of_the_state_and_is_no_number_nowhere() -> None:
    noise = device_preset("reram-cmo-2").read_noise
    assert noise is not None
    G_S = torch.tensor([-1e-6, 0.0, 0.5e-6, 50e-6], dtype=torch.float64)
    sigma_uS = noise.sigma_S(G_S, G_S, DAY) * 1e6
    by_hand = 0.0277316483 * math.log10(50) * math.sqrt(math.log((DAY + 1e-6) / 2e-6))
    assert sigma_uS.tolist() == pytest.approx([0.0, 0.0, 0.0, by_hand], rel=1e-12)


def test_read_noise_of_sonos_saturates_with_the_current() -> None:
    noise = device_preset("sonos").read_noise
    assert noise is not None
    G_S = torch.tensor([8e-6], dtype=torch.float64)
    by_hand_nA = 12.58037 * (1 - math.exp(-1600 / 215.36557))
    assert float(noise.sigma_S(G_S, G_S, 0.0)) * 0.2 == pytest.approx(by_hand_nA * 1e-9, rel=1e-12, abs=0)


def test_reads_scatter_with_the_sigma_of_the_read_noise_and_differ_between_inferences() -> None:
    preset = device_preset("pcm-generic")
    array = array_of(preset, 12.5e-6)
    now = age(DAY)
    held = array.conductance_S(now)
    first, again, other = (array.read_S(held, now, Streams(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    target = torch.full_like(held, 12.5e-6)
    assert preset.read_noise is not None
    unit = (first - held) / preset.read_noise.sigma_S(held, target, DAY)
    assert float(unit.mean()) == pytest.approx(0, abs=5 / math.sqrt(DRAWS))
    assert float(unit.std()) == pytest.approx(1, rel=5 / math.sqrt(2 * DRAWS))


def test_between_two_measured_times_the_spread_lies_between_theirs() -> None:
    deviation = device_preset("reram-neurram").deviation
    assert deviation is not None
    G_S = torch.tensor([20e-6], dtype=torch.float64)
    early, middle, late = (float(deviation.sigma_S(G_S, t)) for t in (1.0, math.sqrt(DAY), DAY))
    assert middle == pytest.approx((early + late) / 2, rel=1e-12, abs=0), "half-way in ln t"
    daily = device_preset("sonos").deviation
    assert daily is not None
    at = [float(daily.sigma_S(G_S, t)) for t in (DAY, 1.25 * DAY, 2 * DAY)]
    assert at[1] == pytest.approx(0.75 * at[0] + 0.25 * at[2], rel=1e-12, abs=0), "linear in t"


def test_the_current_of_a_curved_device_is_the_published_cubic() -> None:
    conduction = device_preset("reram-milo").conduction
    assert conduction is not None
    G, V = 80e-6, 0.4
    log = math.log10(G)
    NL2 = 1.388e-4 * log**3 + 1.541e-3 * log**2 + 5.711e-3 * log + 7.063e-3
    NL3 = 8.8710e-5 * log**2 + 6.7919e-4 * log + 1.2968e-3
    current = conduction.current_A(torch.tensor([G], dtype=torch.float64), torch.tensor([V], dtype=torch.float64))
    assert float(current) == pytest.approx(G * V + NL2 * V**2 + NL3 * V**3, rel=1e-12, abs=0)
    linear = conduction.current_A(torch.tensor([225e-6], dtype=torch.float64), torch.tensor([V], dtype=torch.float64))
    assert float(linear) == pytest.approx(225e-6 * V, rel=5e-3), "the source's fifth point"


@pytest.mark.parametrize(("name", "share"), [("oxram-optimised", 0.1348), ("oxram-hfo2", 0.0977)])
def test_so_many_devices_of_an_array_are_stuck_and_stay_stuck(name: str, share: float) -> None:
    preset = device_preset(name)
    low, high = (array_of(preset, target, seed=3) for target in (5e-6, 20e-6))
    G_low, G_high = low.conductance_S(Age()), high.conductance_S(Age())
    stuck = G_low == G_high
    assert float(stuck.double().mean()) == pytest.approx(share, abs=5 * math.sqrt(share / DRAWS))
    where = G_low[stuck] / 25e-6
    assert float(where.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(where.std()) == pytest.approx(1 / math.sqrt(12), rel=0.05)


@pytest.mark.parametrize(("name", "within"), [("ecram-li", 0.02), ("ecram-mo", 0.02), ("capacitor", 0.02)])
def test_write_verify_brings_a_trainable_device_into_its_band(name: str, within: float) -> None:
    preset = device_preset(name)
    low, high = preset.window_S(25e-6)
    array = array_of(preset, low + 0.6 * (high - low), draws=2_000)
    written = array.written
    assert written is not None
    assert float(written.is_in_band.double().mean()) > 0.999
    error = (array.conductance_S(Age()) - (low + 0.6 * (high - low))).abs() / (high - low)
    assert float(error[written.is_in_band].max()) <= within
    assert math.isnan(written.energy_J), "no source gives these pulses' voltage and duration"
