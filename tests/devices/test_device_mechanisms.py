"""Curves, clocks, drift, faults, levels and pulses, each against its formula."""

import dataclasses
import math

import pytest
import torch

from analogdeq.devices.array import DeviceArray, Surroundings
from analogdeq.devices.clock import Age, arrhenius
from analogdeq.devices.curve import CappedPower, ClampedLog, Piecewise, Polynomial, Saturating
from analogdeq.devices.drift import LogRelaxation, PowerLawDrift, ReadDisturb, Retention, TimedDeviation
from analogdeq.devices.faults import Faults
from analogdeq.devices.levels import nearest_level
from analogdeq.devices.preset import IDEAL, DevicePreset
from analogdeq.devices.pulses import PulseResponse, WriteVerify, write_and_verify
from analogdeq.devices.streams import Streams
from analogdeq.devices.temperature import LinearInTemperature, ThermallyActivated
from analogdeq.devices.validity import Range, Validity, check_allowed
from analogdeq.errors import InputError, RangeError

AROUND = Surroundings(g_min_S=1e-6, g_max_S=25e-6, feedback_ohm=1e4, read_V=0.1)


def siemens(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def array(device: DevicePreset, target: torch.Tensor, **changes: object) -> DeviceArray:
    options = {
        "streams": Streams(5), "array": "plus", "cycle": 0, "generator": torch.Generator().manual_seed(5), **changes
    }  # fmt: skip
    return DeviceArray(device, target, torch.zeros_like(target), AROUND, **options)  # type: ignore[arg-type]


def stays(*pairs: tuple[float, float], now_K: float = 300.0) -> Age:
    return Age(stays=pairs, temperature_K=now_K)


def test_curves_are_their_formulas() -> None:
    x = siemens(0.0, 0.1, 0.5, 2.0)
    assert Polynomial((1.0, 2.0, 3.0))(x).tolist() == pytest.approx([1.0, 1.23, 2.75, 17.0])
    log = ClampedLog(slope=-1.0, offset=0.5, low=0.2, high=2.0)
    assert log(x).tolist() == pytest.approx([2.0, 2.0, 0.5 + math.log(2), 0.2])
    power = CappedPower(scale=0.1, exponent=-1.0, high=0.5)
    assert power(x).tolist() == pytest.approx([0.5, 0.5, 0.2, 0.05])
    assert Saturating(amplitude=2.0, scale=0.5)(x).tolist() == pytest.approx(
        [2 * (1 - math.exp(-v / 0.5)) for v in x.tolist()]
    )
    split = Piecewise(0.5, Polynomial((7.0,)), Polynomial((8.0,)))
    assert split(x).tolist() == [7.0, 7.0, 8.0, 8.0]


def test_arrhenius_doubles_where_it_should_and_time_adds_up_in_equivalents() -> None:
    k_eV = 8.617333262e-5
    assert arrhenius(1.1, 358.15, 300.0) == pytest.approx(math.exp(1.1 / k_eV * (1 / 300 - 1 / 358.15)), rel=1e-9)
    age = stays((100.0, 300.0), (10.0, 358.15))
    assert age.elapsed_s == 110.0
    assert age.equivalent_s(1.1) == pytest.approx(100 + 10 * arrhenius(1.1, 358.15), rel=1e-12)
    assert age.equivalent_s(0.0) == pytest.approx(110.0)


def test_a_power_law_loses_what_its_exponent_says_and_each_device_has_its_own() -> None:
    drift = PowerLawDrift(t0_s=20.0, mean=Polynomial((0.05,)), std=Polynomial((0.0,)))
    device = dataclasses.replace(IDEAL, drift=drift)
    target = torch.full((50, 50), 1e-5, dtype=torch.float64)
    held = array(device, target).conductance_S(stays((2000.0, 300.0)))
    torch.testing.assert_close(held, target * 100**-0.05, rtol=1e-12, atol=0)
    spread = dataclasses.replace(device, drift=dataclasses.replace(drift, std=Polynomial((0.01,))))
    exponents = -(array(spread, target).conductance_S(stays((2000.0, 300.0))) / target).log() / math.log(100)
    assert exponents.unique().numel() == exponents.numel()
    assert float(exponents.std()) == pytest.approx(0.01, rel=5 / math.sqrt(2 * 2500))


def test_a_device_keeps_its_exponent_when_it_is_programmed_anew_and_not_its_error() -> None:
    drift = PowerLawDrift(t0_s=1.0, mean=Polynomial((0.05,)), std=Polynomial((0.01,)))
    device = DevicePreset(**{**vars(IDEAL), "sigma_S": (0.01,), "drift": drift})
    target = torch.full((20, 20), 1e-5, dtype=torch.float64)
    first, second = (array(device, target, cycle=k, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    loss = [a.conductance_S(stays((1e4, 300.0))) / a.conductance_S(Age()) for a in (first, second)]
    torch.testing.assert_close(loss[0], loss[1], rtol=1e-12, atol=0)
    assert not torch.equal(first.conductance_S(Age()), second.conductance_S(Age()))


def test_drift_and_programming_error_compose() -> None:
    """The error of a drifted device is its programming error times its loss, not one in place of the other."""
    drift = PowerLawDrift(t0_s=1.0, mean=Polynomial((0.1,)), std=Polynomial((0.0,)))
    device = DevicePreset(**{**vars(IDEAL), "sigma_S": (0.02,), "drift": drift})
    a = array(device, torch.full((20, 20), 1e-5, dtype=torch.float64))
    torch.testing.assert_close(
        a.conductance_S(stays((1e3, 300.0))), a.conductance_S(Age()) * 1e3**-0.1, rtol=1e-9, atol=0
    )


def test_ages_do_not_depend_on_how_they_were_reached() -> None:
    device = DevicePreset(**{**vars(IDEAL), "relaxation": LogRelaxation(
        mean_S=-1e-7, std_slope_S=1e-7, std_offset_S=1e-7)})  # fmt: skip
    a = array(device, torch.full((9, 9), 1e-5, dtype=torch.float64))
    at_once = a.conductance_S(stays((3600.0, 300.0)))
    a.conductance_S(stays((60.0, 300.0)))
    assert torch.equal(a.conductance_S(stays((60.0, 300.0), (3540.0, 300.0))), at_once)


def test_relaxation_is_at_its_offset_after_a_second_and_logarithmic_from_there() -> None:
    law = LogRelaxation(mean_S=-0.1e-6, std_slope_S=0.05e-6, std_offset_S=0.4e-6)
    assert (law.shift_S(1.0), law.sigma_S(1.0)) == (0.0, 0.4e-6)
    assert law.shift_S(math.e**3) == pytest.approx(-0.3e-6, rel=1e-6, abs=0)
    assert law.sigma_S(math.e**3) == pytest.approx(0.55e-6, rel=1e-6, abs=0)


def test_retention_decays_by_its_lifetime_and_faster_when_hot() -> None:
    law = Retention(lifetime_s=1e6, reference_K=300.0, activation_eV=1.1, rest_S=1e-6)
    device = dataclasses.replace(IDEAL, retention=law)
    a = array(device, siemens(1e-6, 1e-5).reshape(1, 2))
    cold = a.conductance_S(stays((5e5, 300.0)))
    assert cold[0].tolist() == pytest.approx([1e-6, 1e-6 + 9e-6 * math.exp(-0.5)])
    hot = a.conductance_S(stays((5e5 / arrhenius(1.1, 358.15), 358.15)))
    torch.testing.assert_close(hot, cold, rtol=1e-9, atol=0)


def test_an_activated_clock_runs_drift_faster_when_hot() -> None:
    drift = PowerLawDrift(t0_s=1.0, mean=Polynomial((0.1,)), std=Polynomial((0.0,)))
    device = dataclasses.replace(IDEAL, drift=drift, activation_eV=0.5)
    a = array(device, siemens(1e-5).reshape(1, 1))
    hot, cold = a.conductance_S(stays((100.0, 350.0))), a.conductance_S(stays((100 * arrhenius(0.5, 350.0), 300.0)))
    torch.testing.assert_close(hot, cold, rtol=1e-12, atol=0)


def test_the_temperature_of_the_read_scales_the_conductance() -> None:
    assert ThermallyActivated(0.15).factor(300.0) == 1.0
    assert ThermallyActivated(0.15).factor(350.0) == pytest.approx(arrhenius(0.15, 350.0))
    assert LinearInTemperature(1e-3).factor(400.0) == pytest.approx(1 / 1.1)
    with pytest.raises(RangeError, match="has no meaning"):
        LinearInTemperature(-0.02).factor(400.0)
    device = dataclasses.replace(IDEAL, temperature=LinearInTemperature(1e-3))
    held = array(device, siemens(1e-5).reshape(1, 1)).conductance_S(Age(temperature_K=400.0))
    assert float(held) == pytest.approx(1e-5 / 1.1)


def test_reading_disturbs_only_a_device_that_minds_and_only_above_its_threshold() -> None:
    law = ReadDisturb(threshold_V=0.3, rate_per_s=1e-3, toward_S=2e-5)
    G = siemens(1e-5)
    assert float(law.apply(G, 0.3, 1e3)) == 1e-5
    assert float(law.apply(G, 0.31, 1e3)) == pytest.approx(2e-5 - 1e-5 / math.e)
    a = array(dataclasses.replace(IDEAL, read_disturb=law), siemens(1e-5).reshape(1, 1))
    assert float(a.conductance_S(Age(read_s=1e6))) == 1e-5, "the circuit reads at 0.1 V"


def test_no_shipped_preset_is_disturbed_by_reading() -> None:
    from analogdeq.library import device_names, device_preset

    assert all(device_preset(name).read_disturb is None for name in device_names())


def test_faults_have_their_rates_and_places() -> None:
    faults = Faults(stuck_low=0.1, stuck_high=0.05, dead_rows=0.1, dead_columns=0.2)
    G = torch.full((300, 400), 9e-6, dtype=torch.float64)
    held = faults.apply(G, 1e-6, 25e-6, Streams(1), "plus")
    dead_row, dead_column = (held == 0).all(1), (held == 0).all(0)
    assert float(dead_row.double().mean()) == pytest.approx(0.1, abs=5 * math.sqrt(0.09 / 300))
    assert float(dead_column.double().mean()) == pytest.approx(0.2, abs=5 * math.sqrt(0.16 / 400))
    alive = held[~dead_row][:, ~dead_column]
    for value, share in ((1e-6, 0.1), (25e-6, 0.05), (9e-6, 0.85)):
        assert float((alive == value).double().mean()) == pytest.approx(share, abs=0.01)
    minus = faults.apply(G, 1e-6, 25e-6, Streams(1), "minus")
    assert torch.equal((minus == 0).all(1), dead_row), "both polarities share a summing line"
    assert not torch.equal((minus == 0).all(0), dead_column), "and have drive lines of their own"


def test_impossible_faults_are_refused() -> None:
    with pytest.raises(RangeError, match=r"stuck_low = 1\.5 must be a fraction"):
        Faults(stuck_low=1.5)
    with pytest.raises(RangeError, match="more than all devices"):
        Faults(stuck_low=0.6, stuck_high=0.6)


def test_levels_are_equally_spaced_and_hold_both_ends() -> None:
    asked = torch.linspace(1e-6, 25e-6, 1001, dtype=torch.float64)
    got = nearest_level(asked, 1e-6, 25e-6, 4)
    assert got.unique().tolist() == pytest.approx([1e-6, 9e-6, 17e-6, 25e-6])
    assert float((got - asked).abs().max()) <= 4e-6 * (1 + 1e-9)
    with pytest.raises(RangeError, match="levels = 1"):
        nearest_level(asked, 1e-6, 25e-6, 1)


def test_the_mismatch_of_a_weight_has_the_variance_alpha_squared_times_its_size() -> None:
    device = DevicePreset(**{**vars(IDEAL), "name": "mismatch", "mismatch_alpha": 0.05})
    R_f, draws = 1e4, 40_000
    generator = torch.Generator().manual_seed(1)
    for w in (0.04, 0.15):
        plus = torch.full((draws,), 5e-6 + w / R_f, dtype=torch.float64)
        minus = torch.full((draws,), 5e-6, dtype=torch.float64)
        landed = [
            device.program(mine, 25e-6, generator, partner_S=other, feedback_ohm=R_f)
            for mine, other in ((plus, minus), (minus, plus))
        ]
        error = R_f * (landed[0] - landed[1]) - w
        assert float(error.std()) == pytest.approx(0.05 * math.sqrt(w), rel=5 / math.sqrt(2 * draws))
    with pytest.raises(RangeError, match="needs the other device of each pair"):
        device.programming_sigma_S(siemens(1e-6), 25e-6)


def test_a_preset_cannot_say_its_programming_error_twice() -> None:
    with pytest.raises(RangeError, match="sigma_S and mismatch_alpha"):
        DevicePreset(**{**vars(IDEAL), "sigma_S": (0.1,), "mismatch_alpha": 0.1})


PULSES = PulseResponse(
    step=0.01, cycle_to_cycle=0.0, device_to_device=0.0, slope_up=1.0, slope_down=1.0, pulse_V=2.0, pulse_s=1e-6
)


def write(target_S: torch.Tensor, response: PulseResponse = PULSES, **how: float):
    one, two = (torch.Generator().manual_seed(k) for k in (1, 2))
    return write_and_verify(target_S, 0.0, 25e-6, response, WriteVerify(**how), one, two)  # type: ignore[arg-type]


def test_a_pulse_moves_a_device_by_its_step_less_the_nearer_it_is_to_its_bound() -> None:
    w = siemens(-1.0, 0.0, 0.5)
    steps = torch.full_like(w, 0.01)
    up, down = (PULSES.mean_move(w, torch.full_like(w, way, dtype=torch.bool), steps) for way in (True, False))
    assert up.tolist() == pytest.approx([0.02, 0.01, 0.005])
    assert down.tolist() == pytest.approx([0.0, -0.01, -0.015])


def test_write_verify_without_noise_ends_in_the_band_and_pays_for_every_pulse() -> None:
    done = write(siemens(2e-6, 12.5e-6, 20e-6), tolerance=0.01, read_energy_J=1e-15)
    assert bool(done.is_in_band.all())
    assert float((done.G_S - siemens(2e-6, 12.5e-6, 20e-6)).abs().max()) <= 0.01 * 25e-6
    assert bool((done.pulses.diff() > 0).all()), "farther takes more"
    assert bool((done.reads >= 2).all())
    reads_J = 1e-15 * float(done.reads.sum())
    most_J = 4 * 1e-6 * float((done.pulses * done.G_S).sum())
    assert reads_J < done.energy_J <= most_J + reads_J, "V^2 G t at conductances up to the final one"
    fixed = write(siemens(12.5e-6), pulse_energy_J=1e-12)
    assert fixed.energy_J == pytest.approx(1e-12 * float(fixed.pulses.sum()), rel=1e-6, abs=0)


def test_a_device_that_is_right_from_the_start_is_read_once_and_left_alone() -> None:
    done = write(siemens(0.0))
    assert (int(done.pulses), int(done.reads), float(done.G_S)) == (0, 1, 0.0)


def test_the_budget_of_reads_ends_what_cannot_be_reached() -> None:
    coarse = dataclasses.replace(PULSES, step=0.5, write_noise=2.0)
    done = write(torch.full((200,), 12.5e-6, dtype=torch.float64), coarse, tolerance=0.001, max_reads=5)
    assert not bool(done.is_in_band.all())
    assert int(done.reads.max()) <= 5


@pytest.mark.parametrize("is_log_normal", [False, True])
def test_steps_differ_between_devices_as_stated(is_log_normal: bool) -> None:
    response = dataclasses.replace(PULSES, device_to_device=0.2, is_log_normal=is_log_normal)
    steps = response.device_steps(torch.zeros(40_000, dtype=torch.float64), torch.Generator().manual_seed(1))
    assert float(steps.mean()) == pytest.approx(0.01, rel=5 * 0.2 / 200)
    assert float(steps.std()) == pytest.approx(0.002, rel=0.03)
    assert float(steps.min()) > 0


@pytest.mark.parametrize("quantity", ["conductance", "voltage", "temperature", "time"])
def test_leaving_a_range_is_refused_unless_allowed_by_its_name(quantity: str) -> None:
    device = DevicePreset(
        **{
            **vars(IDEAL),
            "g_min_S": 1e-6,
            "g_max_S": 2e-5,
            "validity": Validity(voltage=Range(0, 0.2), temperature=Range(290, 310), time=Range(1, 100, "a test")),
        }
    )
    around = dataclasses.replace(AROUND, read_V=0.3 if quantity == "voltage" else 0.1)
    G = siemens(3e-5 if quantity == "conductance" else 1e-5).reshape(1, 1)
    age = stays((1e3 if quantity == "time" else 10.0, 350.0 if quantity == "temperature" else 300.0))

    def use(*allow: str) -> torch.Tensor:
        made = DeviceArray(
            device, G, torch.zeros_like(G), around, streams=Streams(1), array="plus", cycle=0,
            generator=torch.Generator(), allow=allow,
        )  # fmt: skip
        return made.conductance_S(age)

    with pytest.raises(RangeError, match=f"allow '{quantity}' to extrapolate"):
        use(*({"conductance", "voltage", "temperature", "time"} - {quantity}))
    assert torch.equal(use(quantity), G)


def test_an_unknown_allowance_is_refused() -> None:
    with pytest.raises(InputError, match="cannot allow 'tempreature'"):
        check_allowed(("tempreature",))


def test_an_allowed_conductance_errs_as_the_nearest_measured_one() -> None:
    device = DevicePreset(**{**vars(IDEAL), "g_min_S": 1e-6, "g_max_S": 2e-5, "sigma_S": (0.0, 1e-6)})
    sigma = device.programming_sigma_S(siemens(0.0, 5e-5), 1.0, allow=("conductance",))
    assert sigma.tolist() == pytest.approx([0.05e-6, 1e-6], rel=1e-6, abs=0)


def test_times_that_do_not_ascend_are_refused() -> None:
    curve = Polynomial((1.0,))
    with pytest.raises(RangeError, match="must ascend"):
        TimedDeviation(times_s=(2.0, 1.0), sigmas_S=(curve, curve), is_logarithmic=False)
    with pytest.raises(RangeError, match="must ascend"):
        TimedDeviation(times_s=(0.0, 1.0), sigmas_S=(curve, curve), is_logarithmic=True)
    with pytest.raises(RangeError, match="need as many curves"):
        TimedDeviation(times_s=(0.0, 1.0), sigmas_S=(curve,), is_logarithmic=False)


def test_streams_of_different_names_or_seeds_have_nothing_in_common() -> None:
    draws = [
        torch.randn(1000, generator=Streams(seed).named(*names))
        for seed, names in ((1, ("a",)), (1, ("b",)), (2, ("a",)), (1, ("a", "b")), (1, ("a", 1)))
    ]
    correlation = torch.corrcoef(torch.stack(draws)) - torch.eye(5)
    assert float(correlation.abs().max()) < 5 / math.sqrt(1000)
    assert torch.equal(draws[0], torch.randn(1000, generator=Streams(1).named("a")))


def test_the_spread_of_a_train_of_pulses_grows_with_the_root_of_their_number() -> None:
    response = PulseResponse(step=0.001, cycle_to_cycle=0.5, device_to_device=0.0)
    done = write(torch.full((20_000,), 12.5e-6, dtype=torch.float64), response, tolerance=0.001, max_reads=1)
    assert done.pulses.unique().tolist() == [500], "half of the way from -1 to 0"
    w = 2 * done.G_S / 25e-6 - 1
    assert float(w.mean()) == pytest.approx(-0.5, abs=5 * 0.0112 / math.sqrt(20_000))
    assert float(w.std()) == pytest.approx(0.5 * math.sqrt(500) * 0.001, rel=0.03)


def test_plus_and_minus_devices_have_exponents_of_their_own() -> None:
    drift = PowerLawDrift(t0_s=1.0, mean=Polynomial((0.05,)), std=Polynomial((0.01,)))
    target = torch.full((40, 40), 1e-5, dtype=torch.float64)
    held = [array(dataclasses.replace(IDEAL, drift=drift), target, array=name) for name in ("plus", "minus")]
    pair = torch.stack([a.conductance_S(stays((1e4, 300.0))).flatten() for a in held])
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 5 / 40
