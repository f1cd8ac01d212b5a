"""A network of oscillators on a chip: what its devices and frequencies are, what it draws, what is read."""

import math

import pytest
import torch

from analogdeq.build import build_chip, build_model, build_oscillators
from analogdeq.circuits.converters import Converter
from analogdeq.circuits.oscillator import OscillatorKind
from analogdeq.circuits.oscillator_ledger import OscillatorLedger
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
from analogdeq.devices.preset import DevicePreset
from analogdeq.errors import DataError, InputError, RangeError
from analogdeq.oscillator_chip import OscillatorChip
from analogdeq.oscillator_presets import oscillator_kind, oscillator_names, published_range
from analogdeq.scenario import load_scenario
from analogdeq.solve.record import Record
from analogdeq.solve.settle import settle
from helpers import circuit
from oscillator_oracles import D, nothing, random_phase_core

ROUGH = DevicePreset(name="rough", title="rough", g_min_S=0.0, g_max_S=math.inf, sigma_S=(0.02,), source="a test")


def kind(**changes: object) -> OscillatorKind:
    values = {"frequency_Hz": 1e9, "power_W": 2e-5, "lock_ratio": 0.1, "temperature_per_K": -1e-3}
    return OscillatorKind(name="test", title="test", source="a test", **{**values, **changes})


def amplitude_core() -> StuartLandauCore:
    b = torch.tensor([1.5, 0.0], dtype=D).repeat(3)
    U = torch.tensor([[0.2], [0.1], [-0.3], [0.2], [0.1], [0.4]], dtype=D)
    return StuartLandauCore(0.2 * torch.ones(3, 3, dtype=D), U, b, mu=torch.tensor([0.4, 0.5, 1.0]), shear=0.3)


@pytest.mark.parametrize("core", [random_phase_core(6, seed=0), amplitude_core()], ids=["phase", "amplitude"])
def test_an_ideal_chip_is_the_core_it_was_made_from(core: PhaseCore | StuartLandauCore) -> None:
    chip = OscillatorChip(core, circuit(), kind())
    u = torch.rand(3, core.n_inputs, dtype=D)
    ideal, made = settle(core, u, throw=True), settle(chip, u, throw=True)
    torch.testing.assert_close(ideal.z, made.z, rtol=0, atol=2e-6)  # 24 bits of DAC
    assert chip.tau_s == pytest.approx(1 / (2 * math.pi * 1e9 * 0.1), rel=1e-6, abs=0)
    torch.testing.assert_close(made.t_settle_s / chip.tau_s, ideal.t_settle_s / core.tau_s, rtol=1e-4, atol=0)
    assert chip.n_devices == 2 * core.W.numel() + 2 * core.U.numel()


def test_the_joules_of_phase_oscillators_are_power_times_time() -> None:
    """Element by element from the conductances: nothing here is summed the way the chip sums it."""
    core = random_phase_core(6, seed=0)
    adc, dac = Converter(bits=8, energy_J=3e-12, conversion_s=2e-9), Converter(bits=8, energy_J=1e-12)
    c = circuit(adc=adc, dac=dac)
    chip = OscillatorChip(core, c, kind())
    u = torch.tensor([[0.4, -1.0, 0.0]], dtype=D)
    out = settle(chip, u, throw=True)
    assert isinstance(out.ledger, OscillatorLedger)
    held_s = float(out.t_settle_s) + 2e-9
    peak_A = 0.0
    level = dac.quantise(u)[0]
    for i in range(6):
        for column in range(6 + 6):
            volts = c.unit_voltage_V * (1.0 if column < 6 else abs(float(level[(column - 6) % 3])))
            amperes = volts * float(chip.pairs.plus_S[i, column] + chip.pairs.minus_S[i, column])
            peak_A += amperes if column >= 6 else 0.0
    coupling_A = c.unit_voltage_V * float((chip.pairs.plus_S + chip.pairs.minus_S)[:, :6].sum())
    reference_A = c.unit_voltage_V * float(core.b.abs().sum()) / chip.pairs.feedback_ohm
    class_b_W = c.supply_V * 2 / math.pi
    assert float(out.ledger.oscillators_J) == pytest.approx(6 * 2e-5 * held_s, rel=1e-6, abs=0)
    assert float(out.ledger.coupling_J) == pytest.approx(class_b_W * coupling_A * held_s, rel=1e-6, abs=0)
    assert float(out.ledger.injection_J) == pytest.approx(class_b_W * (peak_A + reference_A) * held_s, rel=1e-6, abs=0)
    assert (float(out.ledger.dac_J), float(out.ledger.adc_J)) == (
        pytest.approx(3e-12, rel=1e-6, abs=0),
        pytest.approx(18e-12, rel=1e-6, abs=0),
    )
    assert float(out.energy_J) == pytest.approx(sum(float(v) for v in out.ledger.terms_J().values()), rel=1e-6, abs=0)


def test_larger_amplitudes_draw_more() -> None:
    """The power of Stuart-Landau oscillators follows the trace: an independent trapezoid over it gives the joules."""
    core = amplitude_core()
    chip = OscillatorChip(core, circuit(), kind())
    record = Record(samples=(0,), interval_tau=0.02)
    out = settle(chip, torch.tensor([[0.7]], dtype=D), throw=True, record=record, band=1e-4)
    assert out.trace is not None
    assert isinstance(out.ledger, OscillatorLedger)
    z = torch.tensor(out.trace.state[:, 0], dtype=D)
    squared = z[:, ::2] ** 2 + z[:, 1::2] ** 2
    power_W = 2e-5 * (squared / torch.tensor([0.4, 0.5, 1.0], dtype=D)).sum(1)
    time_s = torch.tensor(out.trace.time_s)
    before = time_s <= float(out.t_settle_s)
    expected = float(torch.trapezoid(power_W[before], time_s[before]))
    assert float(out.ledger.oscillators_J) == pytest.approx(expected, rel=3e-3, abs=0)  # the last interval is cut short
    assert float(power_W[-1]) > float(power_W[0])


def test_a_chip_seed_draws_devices_and_frequencies() -> None:
    core = random_phase_core(6, seed=0)

    def made(seed: int) -> OscillatorChip:
        return OscillatorChip(core, circuit(), kind(frequency_sd=0.01), ROUGH, seed=seed)

    first, again, other = made(1), made(1), made(2)
    assert torch.equal(first.core.W, again.core.W)
    assert torch.equal(first.core.detuning, again.core.detuning)
    assert not torch.equal(first.core.W, other.core.W)
    assert not torch.equal(first.core.detuning, other.core.detuning)


def test_frequencies_are_off_by_their_spread_and_by_the_temperature() -> None:
    n = 1500
    core = PhaseCore(torch.eye(n), b=torch.tensor([1.0, 0.0]).repeat(n))
    chip = OscillatorChip(core, circuit(), kind(frequency_sd=0.01)).age(0.0, 310.0)
    # A relative shift is 1 / lock_ratio of it in rad per tau; -0.1 %/K for 10 K is -1 %.
    assert float(chip.core.detuning.mean()) == pytest.approx(-0.1, abs=0.01)
    assert float(chip.core.detuning.std()) == pytest.approx(0.1, rel=0.06)


def test_heat_beyond_the_locking_range_unlocks_the_chip() -> None:
    core = PhaseCore(0.01 * torch.eye(2, dtype=D), b=torch.tensor([1.0, 0.0], dtype=D).repeat(2))
    for warm_K, locks in ((90.0, True), (110.0, False)):  # detuning -0.1 % per K / 0.1: 1 rad per tau at 100 K
        out = settle(OscillatorChip(core, circuit(), kind()).age(0.0, 300.0 + warm_K), nothing())
        assert bool(out.is_settled) is locks


def test_phases_are_read_to_their_bits_on_the_circle() -> None:
    core = random_phase_core(4, seed=0)
    chip = OscillatorChip(core, circuit(adc=Converter(bits=4, energy_J=0.0)), kind())
    z = torch.randn(5, 4, dtype=D) * 3
    read = chip.read(z)
    assert float(read.abs().max()) <= math.pi + 1e-12
    error = (read - z) / (2 * math.pi)
    assert float((error - error.round()).abs().max()) <= 0.5 / 15 + 1e-9
    torch.testing.assert_close(chip.read(z + 2 * math.pi), read)


@pytest.mark.parametrize(
    ("core", "message"),
    [
        (PhaseCore(torch.eye(2).to_sparse()), "dense crossbar of real weights"),
        (PhaseCore(torch.eye(2, dtype=torch.complex64)), "dense crossbar of real weights"),
        (StuartLandauCore(torch.eye(2), mu=-1.0), "mu must be positive"),
    ],
)
def test_what_no_crossbar_couples_is_refused(core: PhaseCore, message: str) -> None:
    with pytest.raises(InputError, match=message):
        OscillatorChip(core, circuit(), kind())


@pytest.mark.parametrize(
    "change", [{"frequency_Hz": 0.0}, {"lock_ratio": 0.6}, {"power_W": -1.0}, {"frequency_sd": math.nan}]
)
def test_an_oscillator_nobody_can_build_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(RangeError, match=next(iter(change))):
        kind(**change)


@pytest.mark.parametrize("name", oscillator_names())
def test_every_shipped_kind_has_a_source_and_a_published_range(name: str) -> None:
    read, published = oscillator_kind(name), published_range(name)
    assert read.source
    assert read.not_modelled
    assert published.cycles[1] <= 50
    assert read.temperature_per_K <= 0


def test_the_ring_array_draws_what_was_published() -> None:
    assert 1968 * oscillator_kind("ring-65nm").power_W == pytest.approx(0.042, rel=2e-3)


def test_a_kind_nobody_knows_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'ring-65nm'"):
        oscillator_kind("ring-65nn")


def test_the_scenario_decides_the_kind_and_what_it_says_itself_wins() -> None:
    chosen = load_scenario("digits-oscillator", ["oscillator.frequency_Hz=2 GHz", "oscillator.lock_ratio=0.05"])
    built = build_oscillators(chosen)
    assert (built.frequency_Hz, built.lock_ratio, built.frequency_sd) == (2e9, 0.05, 0.005)
    assert built.power_W == oscillator_kind("ring-65nm").power_W
    chip = build_chip(chosen)
    assert isinstance(chip, OscillatorChip)
    assert chip.tau_s == built.tau_s
    assert isinstance(build_model(chosen).core, PhaseCore)


def test_stuart_landau_is_one_word_in_the_scenario() -> None:
    chosen = load_scenario("digits-oscillator", ["oscillator.core=stuart-landau", "oscillator.shear=0.4"])
    model = build_model(chosen)
    assert isinstance(model.core, StuartLandauCore)
    assert model.core.shear == 0.4
    chip = build_chip(chosen, model.core)
    with torch.no_grad():
        out = settle(chip, model.encoder(torch.rand(4, 64)))
    assert bool(out.is_settled.all())
    assert model.readout(chip.read(out.z)).shape == (4, 10)


def test_a_core_of_the_other_kind_is_refused() -> None:
    crossbar, oscillators = load_scenario("digits-crossbar"), load_scenario("digits-oscillator")
    with pytest.raises(InputError, match="does not fit"):
        build_chip(crossbar, build_model(oscillators).core)
    with pytest.raises(InputError, match="does not fit"):
        build_chip(oscillators, build_model(crossbar).core)
