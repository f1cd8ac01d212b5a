"""Oscillators grow old: their frequencies leave the reference's, and Adler says when they lose it."""

import dataclasses
import math

import pytest
import torch

from analogdeq.ageing.amplifier import AmplifierAgeing
from analogdeq.ageing.life import Care
from analogdeq.ageing.maintenance import PeriodicRefresh
from analogdeq.build import build_chip, build_model
from analogdeq.circuits.frequency_drift import FrequencyDrift
from analogdeq.circuits.oscillator import OscillatorKind
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.devices.clock import Age, arrhenius
from analogdeq.devices.curve import Polynomial
from analogdeq.devices.drift import PowerLawDrift
from analogdeq.devices.preset import IDEAL
from analogdeq.errors import InputError, RangeError
from analogdeq.library import device_preset
from analogdeq.oscillator_chip import OscillatorChip
from analogdeq.oscillator_presets import oscillator_kind, oscillator_names
from analogdeq.scenario import load_scenario
from analogdeq.solve.settle import settle
from analogdeq.solve.verdict import Verdict
from helpers import circuit
from oscillator_oracles import D, nothing, random_phase_core

YEAR = 365.25 * 86400.0
LOCK_RATIO = 0.1
SLOWS = FrequencyDrift(per_decade=-0.02, from_s=1e4)
SHARED = dataclasses.replace(
    IDEAL, name="shared", drift=PowerLawDrift(t0_s=1.0, mean=Polynomial((0.05,)), std=Polynomial((0.0,)))
)
"""Every coupling loses the same share."""


def kind(drift: FrequencyDrift = SLOWS, **changes: float) -> OscillatorKind:
    values = {"frequency_Hz": 1e9, "power_W": 2e-5, "lock_ratio": LOCK_RATIO, **changes}
    return OscillatorKind(name="test", title="test", source="a test", drift=drift, **values)


def injected(n: int = 2) -> PhaseCore:
    """Oscillators held by a unit injection each and by nothing else: Adler's equation n times."""
    return PhaseCore(0.01 * torch.eye(n, dtype=D), b=torch.tensor([1.0, 0.0], dtype=D).repeat(n))


def detuning_after(t_s: float) -> float:
    """[rad per tau]. Written down once more: a relative shift over the lock ratio."""
    return -0.02 * math.log10(1 + t_s / 1e4) / LOCK_RATIO


@pytest.mark.parametrize("t_s", [0.0, 1e4, 30 * 86400.0, YEAR])
def test_drift_moves_the_lock_phase_to_the_arcsine_of_the_detuning(t_s: float) -> None:
    out = settle(OscillatorChip(injected(), circuit(), kind()).age(t_s), nothing(), throw=True)
    assert out.z[0].tolist() == pytest.approx([math.asin(detuning_after(t_s))] * 2, abs=1e-6)
    assert abs(detuning_after(YEAR)) > 0.5


def test_lock_is_lost_when_the_drift_has_used_up_adlers_range() -> None:
    """|d| log10(1 + t/t_0) = lock_ratio: five decades of t_0 here."""
    lost_s = 1e4 * (10 ** (LOCK_RATIO / 0.02) - 1)
    before, after = (OscillatorChip(injected(), circuit(), kind()).age(share * lost_s) for share in (0.9, 1.1))
    assert settle(before, nothing(), max_time_tau=2000.0).verdict[0] is Verdict.SETTLED
    beaten = settle(after, nothing())
    assert beaten.verdict[0] is Verdict.OSCILLATING
    beat = 2 * math.pi / math.sqrt(detuning_after(1.1 * lost_s) ** 2 - 1)
    assert float(beaten.period_s) / after.tau_s == pytest.approx(beat, rel=2e-3)


def test_oscillators_of_one_chip_drift_apart_by_their_spread() -> None:
    drift = FrequencyDrift(per_decade=1e-4, sd_per_decade=3e-5, from_s=1.0)
    chip = OscillatorChip(injected(1500), circuit(), kind(drift)).age(1e3 - 1)  # three decades
    assert float(chip.relative_shift().mean()) == pytest.approx(3e-4, rel=0.03)
    assert float(chip.relative_shift().std()) == pytest.approx(9e-5, rel=0.06)
    torch.testing.assert_close(chip.core.detuning, chip.relative_shift() / LOCK_RATIO)


def test_a_chip_is_the_same_at_every_age_however_it_was_reached() -> None:
    """Devices and frequencies that drift, each by its own draw: all from the chip seed, none from the stops."""
    drifting = kind(FrequencyDrift(per_decade=1e-3, sd_per_decade=1e-3, activation_eV=0.2), frequency_sd=0.01)

    def made(seed: int) -> OscillatorChip:
        return OscillatorChip(
            random_phase_core(6, seed=0), circuit(), drifting, device_preset("pcm-generic"), seed=seed
        )

    straight, halting = made(1).age(YEAR), made(1).age(3600.0).age(YEAR / 2).age(YEAR)
    for name in ("W", "U"):
        assert torch.equal(getattr(straight.core, name), getattr(halting.core, name))
    torch.testing.assert_close(straight.core.detuning, halting.core.detuning, rtol=1e-12, atol=0)
    assert not torch.equal(straight.core.detuning, made(2).age(YEAR).core.detuning)
    assert not torch.equal(straight.core.W, made(1).core.W)


def test_couplings_age_as_their_devices_do_and_the_trimmed_injection_stays() -> None:
    core = random_phase_core(6, seed=0)
    fresh, old = (OscillatorChip(core, circuit(), kind(FrequencyDrift()), SHARED).age(t_s) for t_s in (0.0, 1e4))
    for name in ("W", "U"):
        torch.testing.assert_close(
            getattr(old.core, name), 1e4**-0.05 * getattr(fresh.core, name), rtol=1e-9, atol=1e-12
        )
    assert torch.equal(old.core.b, fresh.core.b)
    assert torch.equal(old.core.detuning, fresh.core.detuning)


def test_a_refresh_restores_the_couplings_and_not_the_frequencies() -> None:
    care = Care(refresh=PeriodicRefresh(every_s=1e6, device_energy_J=1e-12))
    core = random_phase_core(6, seed=0)
    kept, left = (OscillatorChip(core, circuit(), kind(), SHARED, care=one).age(1e6 + 1) for one in (care, Care()))
    torch.testing.assert_close(kept.core.W, core.W, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(left.core.W, (1e6 + 1) ** -0.05 * core.W, rtol=1e-9, atol=1e-12)
    assert kept.maintenance_J == pytest.approx(kept.n_devices * 1e-12, rel=1e-6, abs=0)
    torch.testing.assert_close(kept.core.detuning, left.core.detuning, rtol=1e-12, atol=0)


def test_heat_ages_faster_by_arrhenius_and_shifts_besides() -> None:
    hot = kind(FrequencyDrift(per_decade=1e-3, from_s=1e4, activation_eV=0.3), temperature_per_K=-1e-5)
    chip = OscillatorChip(injected(), circuit(), hot).age(1e5, 350.0)
    expected = 1e-3 * math.log10(1 + 1e5 * arrhenius(0.3, 350.0) / 1e4) - 1e-5 * 50
    assert chip.relative_shift().tolist() == pytest.approx([expected] * 2, rel=1e-9)
    cooled = chip.age(1e5, 300.0)
    assert cooled.relative_shift().tolist() == pytest.approx([expected + 1e-5 * 50] * 2, rel=1e-9)


def test_the_clock_is_that_of_any_chip() -> None:
    chip = OscillatorChip(injected(), circuit(), kind(), is_programmed=False)
    for use in (lambda: settle(chip, nothing()), lambda: chip.pairs, lambda: chip.age(10.0)):
        with pytest.raises(InputError, match=r"not been programmed; call chip\.program\(\) first"):
            use()
    aged = chip.program().age(YEAR, 310.0)
    assert (aged.now_s, aged.temperature_K) == (YEAR, 310.0)
    with pytest.raises(InputError, match="only runs forward"):
        aged.age(YEAR - 1)
    with pytest.raises(InputError, match="no amplifiers"):
        OscillatorChip(injected(), circuit(), kind(), care=Care(amplifiers=AmplifierAgeing()))


def test_read_noise_of_the_couplings_lasts_one_inference() -> None:
    chip = OscillatorChip(random_phase_core(6, seed=0), circuit(), kind(), device_preset("pcm-generic"))
    quiet = chip.core.W
    first, again, other = (chip.begin_inference(seed).core.W for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, quiet)
    assert torch.equal(chip.age(0.0).core.W, quiet)


def test_couplings_have_as_many_levels_as_their_devices() -> None:
    coarse = dataclasses.replace(IDEAL, name="coarse", levels=5)
    chip = OscillatorChip(random_phase_core(6, seed=0), circuit(), kind(), coarse)
    assert len(chip.pairs.plus_S.unique()) <= 5
    with pytest.raises(InputError, match="bends with voltage"):
        OscillatorChip(random_phase_core(6, seed=0), circuit(), kind(), device_preset("reram-milo"))


AGED = ["ageing.age_s=1e6", "oscillator.drift_per_decade=2e-3", "oscillator.drift_from_s=1e3"]


def test_the_scenarios_ageing_table_acts_on_oscillators() -> None:
    aged = load_scenario("digits-oscillator", [*AGED, "ageing.temperature_K=310"])
    core = build_model(aged).core
    young, old = (build_chip(chosen, core) for chosen in (load_scenario("digits-oscillator"), aged))
    assert isinstance(old, OscillatorChip)
    assert isinstance(young, OscillatorChip)
    moved = old.relative_shift() - young.relative_shift()
    expected = 2e-3 * math.log10(1 + 1e6 / 1e3) + oscillator_kind("ring-65nm").temperature_per_K * 10
    torch.testing.assert_close(moved, torch.full_like(moved, expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", oscillator_names())
def test_no_shipped_kind_drifts_because_no_source_says_by_how_much(name: str) -> None:
    drift = oscillator_kind(name).drift
    assert (drift.per_decade, drift.sd_per_decade) == (0.0, 0.0)


def test_decades_are_counted_from_t0() -> None:
    assert FrequencyDrift(from_s=10.0).decades(Age().longer(990.0, 300.0)) == pytest.approx(2.0)
    assert FrequencyDrift().decades(Age()) == 0.0


@pytest.mark.parametrize(
    "change", [{"from_s": 0.0}, {"sd_per_decade": -1e-3}, {"activation_eV": -0.1}, {"per_decade": math.nan}]
)
def test_a_drift_that_means_nothing_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(RangeError, match=next(iter(change))):
        FrequencyDrift(**change)
