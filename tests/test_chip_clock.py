"""A chip's one clock: programmed, aged, read; what maintenance restores, and what it costs."""

import dataclasses
import math

import pytest
import torch

from analogdeq.ageing.amplifier import AmplifierAgeing, mobility_factor
from analogdeq.ageing.life import Care
from analogdeq.ageing.maintenance import GlobalCompensation, PeriodicRefresh, occasions
from analogdeq.chip import Chip
from analogdeq.circuits.converters import Converter
from analogdeq.cores.rc import RCCore
from analogdeq.devices.clock import Age, arrhenius
from analogdeq.devices.curve import Polynomial
from analogdeq.devices.drift import PowerLawDrift
from analogdeq.devices.faults import Faults
from analogdeq.devices.preset import IDEAL, DevicePreset
from analogdeq.devices.pulses import WriteVerify
from analogdeq.errors import InputError, RangeError
from analogdeq.library import device_names, device_preset
from analogdeq.solve.settle import settle
from helpers import circuit, random_core, random_inputs
from unrolling import conv_core

PCM = device_preset("pcm-generic")
DAY = 86400.0
SHARED = dataclasses.replace(
    IDEAL, name="shared", drift=PowerLawDrift(t0_s=1.0, mean=Polynomial((0.05,)), std=Polynomial((0.0,)))
)
"""Every device loses the same share."""


def made(
    device: DevicePreset = PCM, *, seed: int = 3, nodes: int = 8, is_programmed: bool = True, **care: object
) -> Chip:
    low, high = (50e-6, 225e-6) if device.name == "reram-milo" else (0.25e-6, 25e-6)
    if device.is_measured:
        low, high = max(low, device.g_min_S), min(high, device.g_max_S)
    return Chip(
        random_core(nodes, seed=0),
        circuit(g_min_S=low, g_max_S=high),
        device,
        seed=seed,
        care=Care(**care),  # type: ignore[arg-type]
        is_programmed=is_programmed,
    )


def test_a_chip_that_was_not_programmed_cannot_be_read() -> None:
    chip = made(is_programmed=False)
    for use in (lambda: settle(chip, random_inputs(1, 3, seed=1)), lambda: chip.pairs, lambda: chip.age(10.0)):
        with pytest.raises(InputError, match=r"not been programmed; call chip\.program\(\) first"):
            use()
    assert bool(settle(chip.program(), random_inputs(1, 3, seed=1)).is_settled.all())


def test_a_chip_made_without_a_word_is_programmed_and_read_at_once() -> None:
    once, later = made(), made(is_programmed=False).program(0.0)
    assert torch.equal(once.pairs.plus_S, later.pairs.plus_S)
    assert (once.now_s, once.temperature_K) == (0.0, 300.0)
    # The first programming draws plus and then minus devices from the chip seed itself.
    generator = torch.Generator().manual_seed(3)
    for G, target in ((once.pairs.plus_S, once.target.plus_S), (once.pairs.minus_S, once.target.minus_S)):
        assert torch.equal(G, PCM.program(target, 25e-6, generator))


def test_the_clock_only_runs_forward() -> None:
    chip = made().age(DAY)
    for back in (DAY - 1, math.nan, math.inf):
        with pytest.raises(InputError, match="only runs forward"):
            chip.age(back)
    with pytest.raises(InputError, match="only runs forward"):
        chip.program(0.0)
    with pytest.raises(RangeError, match="temperature"):
        chip.age(2 * DAY, -5.0)


@pytest.mark.parametrize("name", ["pcm-generic", "reram-neurram", "reram-cmo-2", "sonos"])
def test_the_same_seed_gives_the_same_bits_at_every_age_however_it_was_reached(name: str) -> None:
    device = device_preset(name)
    straight, halting = made(device).age(DAY), made(device).age(3600.0).age(DAY / 2).age(DAY)
    assert torch.equal(straight.pairs.plus_S, halting.pairs.plus_S)
    assert torch.equal(straight.core.W, halting.core.W)
    assert not torch.equal(straight.pairs.plus_S, made(device, seed=4).age(DAY).pairs.plus_S)
    assert not torch.equal(straight.pairs.plus_S, made(device).pairs.plus_S)


def test_a_loss_that_all_devices_share_scales_every_weight() -> None:
    fresh, old = made(SHARED), made(SHARED).age(1e4)
    f = 1e4**-0.05
    for name in ("W", "U", "b"):
        torch.testing.assert_close(getattr(old.core, name), f * getattr(fresh.core, name), rtol=1e-12, atol=1e-15)
    u = random_inputs(3, 3, seed=1)
    scaled = RCCore(f * fresh.core.W, f * fresh.core.U, f * fresh.core.b, tau_s=fresh.tau_s)
    torch.testing.assert_close(settle(old, u).z, settle(scaled, u).z, rtol=0, atol=2e-4)


def test_compensation_removes_a_shared_loss_exactly_and_a_spread_one_on_average() -> None:
    care = {"compensation": GlobalCompensation(every_s=1e4)}
    fresh, old = made(SHARED), made(SHARED, **care).age(1e4)
    torch.testing.assert_close(old.core.W, fresh.core.W, rtol=1e-12, atol=1e-15)
    plain, kept = made().age(DAY), made(**care).age(DAY)
    ideal = made(IDEAL).core.W
    assert float((kept.core.W - ideal).abs().mean()) < 0.5 * float((plain.core.W - ideal).abs().mean())
    assert not torch.equal(kept.core.W, made().core.W)


def test_between_two_calibrations_the_chip_drifts_on() -> None:
    chip = made(SHARED, compensation=GlobalCompensation(every_s=1e4)).age(1.5e4)
    fresh = made(SHARED).core.W
    torch.testing.assert_close(chip.core.W, fresh * 1.5**-0.05, rtol=1e-12, atol=1e-15)
    assert [(done.what, done.times, done.last_s) for done in chip.life.maintenance] == [("compensation", 1, 1e4)]


def test_compensation_costs_a_read_of_the_array_and_a_conversion_per_row() -> None:
    care = Care(compensation=GlobalCompensation(every_s=1e3, read_s=2e-6))
    adc = Converter(bits=8, energy_J=1e-12)
    chip = Chip(random_core(8, seed=0), circuit(adc=adc), SHARED, care=care).age(5.5e3)
    (done,) = chip.life.maintenance
    assert done.times == 5
    total_S = float((chip.target.plus_S + chip.target.minus_S).sum()) * 5e3**-0.05
    assert done.energy_J == pytest.approx(5 * (0.9 * 0.1 * total_S * 2e-6 + 8 * 1e-12), rel=1e-9, abs=0)
    assert chip.maintenance_J == done.energy_J


def test_refresh_makes_the_chip_young_again_with_new_errors_and_the_same_exponents() -> None:
    chip = made(refresh=PeriodicRefresh(every_s=DAY, device_energy_J=1e-10)).age(2.25 * DAY)
    (done,) = chip.life.maintenance
    assert (done.what, done.times, done.last_s) == ("refresh", 2, 2 * DAY)
    assert done.energy_J == pytest.approx(2 * chip.n_devices * 1e-10, rel=1e-6, abs=0)
    assert chip.life.age.elapsed_s == pytest.approx(0.25 * DAY)
    by_hand = made().program(DAY).program(2 * DAY).age(2.25 * DAY)
    assert torch.equal(chip.pairs.plus_S, by_hand.pairs.plus_S), "refreshing is programming anew, counted twice"
    assert not torch.equal(chip.pairs.plus_S, made().age(0.25 * DAY).pairs.plus_S)


def test_calibrations_before_a_refresh_are_paid_for_too() -> None:
    care = {
        "refresh": PeriodicRefresh(every_s=1e4, device_energy_J=0.0),
        "compensation": GlobalCompensation(every_s=1e3),
    }
    chip = made(SHARED, **care).age(2.35e4)
    assert sum(done.times for done in chip.life.maintenance if done.what == "compensation") == 10 + 10 + 3


def test_refresh_needs_to_know_what_programming_costs() -> None:
    with pytest.raises(InputError, match="does not say what programming costs; give PeriodicRefresh"):
        made(refresh=PeriodicRefresh(every_s=DAY)).age(DAY)
    pulsed = device_preset("capacitor")
    pulsed = dataclasses.replace(pulsed, pulses=dataclasses.replace(pulsed.pulses, pulse_V=1.0, pulse_s=1e-6))  # type: ignore[type-var]
    chip = made(pulsed, refresh=PeriodicRefresh(every_s=DAY), allow=("time",)).age(DAY)
    by_hand = sum(part.energy_J for part in made(pulsed).life.memory.written)
    assert chip.maintenance_J == pytest.approx(by_hand, rel=1e-6, abs=0)


def test_occasions_are_counted_to_the_end_of_the_interval() -> None:
    policy = PeriodicRefresh(every_s=0.1, device_energy_J=0.0)
    assert occasions(policy, 0.0, 0.3) == (3, pytest.approx(0.3))
    assert occasions(policy, 0.0, 0.29)[0] == 2
    assert occasions(None, 1.0, 5.0) == (0, 1.0)


def test_write_verify_with_a_narrower_band_takes_more_pulses_and_errs_less() -> None:
    device = device_preset("ecram-li")
    wide, narrow = (made(device, write=WriteVerify(tolerance=t)) for t in (0.05, 0.01))
    pulses = [sum(int(part.pulses.sum()) for part in chip.life.memory.written) for chip in (wide, narrow)]
    assert pulses[1] > pulses[0]
    errors = [float((chip.pairs.plus_S - chip.target.plus_S).abs().max()) / 1.35e-6 for chip in (wide, narrow)]
    assert errors[1] <= 0.0112
    assert errors[1] < errors[0]
    with pytest.raises(InputError, match="no pulse response to write with"):
        made(PCM, write=WriteVerify())


def test_levels_are_what_is_asked_for() -> None:
    chip = made(dataclasses.replace(IDEAL, levels=5))
    steps = (chip.pairs.plus_S - 0.25e-6) / (24.75e-6 / 4)
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-9)
    assert steps.unique().numel() > 2


@pytest.mark.parametrize("name", device_names())
def test_every_shipped_preset_makes_a_chip_that_settles(name: str) -> None:
    chip = made(device_preset(name), nodes=5)
    out = settle(chip, random_inputs(2, 3, seed=1))
    assert bool(out.is_settled.all())
    assert bool((out.energy_J > 0).all())


def test_ages_and_temperatures_outside_the_measured_range_are_refused_by_name() -> None:
    with pytest.raises(RangeError, match=r"time 10 s lies outside 20 to .* allow 'time'"):
        made().age(10.0)
    with pytest.raises(RangeError, match=r"temperature 350 K lies outside 290 to 310 K, .*allow 'temperature'"):
        made().age(DAY, 350.0)
    hot = made(allow=("temperature",)).age(DAY, 350.0)
    assert hot.temperature_K == 350.0
    cold = made().age(DAY)
    torch.testing.assert_close(hot.pairs.plus_S, cold.pairs.plus_S * arrhenius(0.15, 350.0), rtol=1e-9, atol=0)


def test_read_noise_is_frozen_for_one_inference_and_belongs_to_the_noise_seed() -> None:
    chip = made().age(DAY)
    quiet = chip.core.W.clone()
    first = chip.begin_inference(1).core.W.clone()
    assert not torch.equal(first, quiet)
    assert not torch.equal(chip.begin_inference(2).core.W, first)
    assert torch.equal(chip.begin_inference(1).core.W, first)
    assert not torch.equal(made(seed=4).age(DAY).begin_inference(1).core.W, first)
    assert torch.equal(chip.age(DAY).core.W, quiet)


def test_the_power_follows_the_devices() -> None:
    chip = made(SHARED)
    u = random_inputs(2, 3, seed=1)
    before = settle(chip, u).ledger
    after = settle(chip.age(1e6), u).ledger
    assert before is not None
    assert after is not None
    assert bool((after.crossbar_J / after.bias_J < 0.7 * before.crossbar_J / before.bias_J).all())


def test_a_dead_row_has_no_weights_left() -> None:
    chip = made(dataclasses.replace(IDEAL, faults=Faults(dead_rows=1.0)))
    assert float(chip.core.W.abs().max()) == 0.0
    assert float(settle(chip, random_inputs(1, 3, seed=1)).z.abs().max()) == 0.0


NBTI = AmplifierAgeing(shift_V=0.03, reference_s=1e8, reference_K=388.0, exponent=0.2, activation_eV=0.08)


def test_the_threshold_shift_is_the_power_law_with_its_arrhenius_factor() -> None:
    def shift(*stays: tuple[float, float]) -> float:
        return NBTI.threshold_shift_V(Age(stays=stays))

    assert shift((1e8, 388.0)) == pytest.approx(0.03)
    assert shift((1e6, 388.0)) == pytest.approx(0.03 * 0.01**0.2)
    k_eV = 8.617333262e-5
    assert shift((1e8, 300.0)) == pytest.approx(0.03 * math.exp(-0.08 / k_eV * (1 / 300 - 1 / 388)), rel=1e-6)
    assert shift((5e7, 388.0), (5e7, 388.0)) == pytest.approx(0.03)
    assert NBTI.bandwidth_factor(Age(stays=((1e8, 388.0),))) == pytest.approx(1 - 0.03 / 0.2)
    with pytest.raises(RangeError, match="used up the overdrive"):
        NBTI.bandwidth_factor(Age(stays=((1e14, 388.0),)))


def test_ageing_amplifiers_offset_their_nodes_by_the_noise_gain_times_the_offset() -> None:
    chip = made(IDEAL, nodes=400, amplifiers=NBTI)
    fresh_b = made(IDEAL, nodes=400).core.b
    assert torch.equal(chip.core.b, fresh_b), "no shift before any time has passed"
    chip.age(1e8, 388.0)
    offset_V = (chip.core.b - fresh_b) * 0.1 / chip.noise_gain()
    assert float(offset_V.std()) == pytest.approx(0.1 * 0.03, rel=5 / math.sqrt(2 * 400))
    assert chip.bandwidth_factor == pytest.approx((388 / 300) ** -1.5 * 0.85)
    assert chip.amplifier_pole_s() == pytest.approx(
        made(IDEAL, nodes=400).amplifier_pole_s() / chip.bandwidth_factor, rel=1e-6, abs=0
    )
    again = made(IDEAL, nodes=400, amplifiers=NBTI).age(1e8, 388.0)
    assert torch.equal(again.core.b, chip.core.b)


def test_amplifiers_go_on_ageing_through_a_refresh() -> None:
    chip = made(IDEAL, amplifiers=NBTI, refresh=PeriodicRefresh(every_s=1e7, device_energy_J=0.0)).age(1e8)
    assert torch.equal(chip.core.b, made(IDEAL, amplifiers=NBTI).age(1e8).core.b)


def test_heat_slows_amplifiers() -> None:
    assert mobility_factor(300.0) == 1.0
    assert made(IDEAL).age(1.0, 400.0).bandwidth_factor == pytest.approx((4 / 3) ** -1.5)


def test_convolutional_chips_age_too_but_their_amplifiers_do_not() -> None:
    chip = Chip(conv_core(), circuit(), PCM, seed=1)
    before = chip.core.W.clone()
    assert not torch.equal(chip.age(DAY).core.W, before)
    assert bool(settle(chip, random_inputs(1, chip.n_inputs, seed=1)).is_settled.all())
    with pytest.raises(InputError, match="known for an RCCore only"):
        Chip(conv_core(), circuit(), PCM, care=Care(amplifiers=NBTI))
