"""Amplifiers, converters and component values."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.converters import Converter, capacitive_dac_energy_J
from analogdeq.errors import InputError, RangeError
from helpers import circuit, tensor

NOT_POSITIVE = (0.0, -1.0, math.nan, math.inf)
NOT_A_COST = (-1e-12, math.nan, math.inf)


def test_the_power_of_an_amplifier_is_that_of_the_worked_example() -> None:
    """GBW 5 GHz, 100 fF, 0.9 V, 15 /V: 0.19 mW per branch (reference figure, two digits)."""
    one_branch = Amplifier(gbw_Hz=5e9, branches=1)
    assert one_branch.quiescent_W(7.0, 1e-8, 0.9) == pytest.approx(
        0.9 * 2 * math.pi * 5e9 * 1e-13 / 15, rel=1e-12, abs=0
    )
    assert one_branch.quiescent_W(7.0, 1e-8, 0.9) == pytest.approx(0.19e-3, rel=0.01)
    assert Amplifier(gbw_Hz=5e9, branches=3).quiescent_W(7.0, 1e-8, 0.9) == pytest.approx(3 * 0.1885e-3, rel=1e-3)


def test_energy_per_settle_does_not_depend_on_speed() -> None:
    """N_br V_DD C_L K_n (t_s/tau_TIA)/(g_m/I_D): 58 pJ for the worked example, at any node time constant."""
    for tau_s in (1e-9, 1e-6):
        amplifier = Amplifier(speed_ratio=20.0)
        settle_s = 100 * tau_s / 20
        energy_J = amplifier.quiescent_W(32.0, tau_s, 0.9) * settle_s
        assert energy_J == pytest.approx(3 * 0.9 * 1e-13 * 32 * 100 / 15, rel=1e-12, abs=0)
        assert energy_J == pytest.approx(58e-12, rel=0.01, abs=0)


def test_the_speed_ratio_places_the_closed_loop_pole() -> None:
    amplifier = Amplifier(speed_ratio=25.0)
    assert amplifier.closed_loop_tau_s(12.0, 1e-8) == pytest.approx(4e-10, rel=1e-12, abs=0)
    assert amplifier.gain_bandwidth_Hz(12.0, 1e-8) == pytest.approx(12.0 / (2 * math.pi * 4e-10), rel=1e-12)


def test_a_given_bandwidth_wins_over_the_speed_ratio() -> None:
    amplifier = Amplifier(gbw_Hz=1e9, speed_ratio=25.0)
    assert amplifier.gain_bandwidth_Hz(12.0, 1e-8) == 1e9
    assert amplifier.closed_loop_tau_s(12.0, 1e-8) == pytest.approx(12.0 / (2 * math.pi * 1e9), rel=1e-12, abs=0)


def test_a_measured_bias_wins_over_the_derived_one() -> None:
    assert Amplifier(bias_W=1e-5, gbw_Hz=1e12).quiescent_W(12.0, 1e-8, 0.9) == 1e-5
    assert Amplifier(bias_W=0.0).quiescent_W(12.0, 1e-8, 0.9) == 0.0


@pytest.mark.parametrize("name", ["gbw_Hz", "speed_ratio", "branches", "gm_over_id_per_V", "load_C_F"])
@pytest.mark.parametrize("value", NOT_POSITIVE)
def test_an_amplifier_value_that_is_not_positive_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(RangeError, match=f"amplifier {name} = "):
        Amplifier(**{name: value})


@pytest.mark.parametrize("value", NOT_A_COST)
def test_an_amplifier_cannot_have_this_bias(value: float) -> None:
    with pytest.raises(RangeError, match="amplifier bias_W = "):
        Amplifier(bias_W=value)


def test_a_slower_amplifier_than_its_node_is_refused() -> None:
    with pytest.raises(RangeError, match=r"speed_ratio = 0\.5"):
        Amplifier(speed_ratio=0.5)


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_a_converter_has_two_to_the_bits_levels_from_minus_one_to_one(bits: int) -> None:
    levels = Converter(bits=bits, energy_J=0.0).quantise(torch.linspace(-1.5, 1.5, 20_001, dtype=torch.float64))
    distinct = levels.unique()
    assert distinct.numel() == 2**bits
    expected = tensor(np.linspace(-1, 1, 2**bits))
    torch.testing.assert_close(distinct, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("bits", [1, 4, 8, 12])
def test_a_converter_picks_the_nearest_level_and_clips(bits: int) -> None:
    x = tensor(np.random.default_rng(0).uniform(-1.3, 1.3, 500))
    levels = np.linspace(-1, 1, 2**bits)
    nearest = levels[np.abs(x.numpy()[:, None] - levels).argmin(1)]
    np.testing.assert_allclose(Converter(bits=bits, energy_J=0.0).quantise(x).numpy(), nearest, atol=1e-14)


@pytest.mark.parametrize(("bits", "dtype"), [(b, torch.float32) for b in (1, 8, 12, 16)] + [(24, torch.float64)])
def test_converting_twice_changes_nothing(bits: int, dtype: torch.dtype) -> None:
    converter = Converter(bits=bits, energy_J=0.0)
    once = converter.quantise(torch.rand(10_000, dtype=dtype) * 2.2 - 1.1)
    assert torch.equal(converter.quantise(once), once)
    assert once.dtype == dtype


def test_a_converter_makes_no_level_of_what_is_no_finite_number() -> None:
    assert bool(Converter(bits=8, energy_J=0.0).quantise(tensor([math.nan, math.inf, -math.inf])).isnan().all())


@pytest.mark.parametrize("bits", [0, -1, 25])
def test_a_converter_of_impossible_resolution_is_refused(bits: int) -> None:
    with pytest.raises(RangeError, match=f"converter bits = {bits} must lie in 1 to 24"):
        Converter(bits=bits, energy_J=0.0)


@pytest.mark.parametrize("name", ["energy_J", "conversion_s"])
@pytest.mark.parametrize("value", NOT_A_COST)
def test_a_converter_cannot_cost_this(name: str, value: float) -> None:
    with pytest.raises(RangeError, match=f"converter {name} = "):
        Converter(**{"bits": 8, "energy_J": 0.0, name: value})


def test_a_capacitive_dac_charges_its_array_once() -> None:
    assert capacitive_dac_energy_J(8, 1e-15, 0.9) == pytest.approx(256 * 1e-15 * 0.81, rel=1e-12, abs=0)


@pytest.mark.parametrize(("leak_S", "gain", "tau_s"), [(0.0, 1.0, 1e-8), (1e-5, 0.5, 0.5e-8), (3e-5, 0.25, 0.25e-8)])
def test_a_leak_shortens_tau_and_takes_its_share_of_the_swing(leak_S: float, gain: float, tau_s: float) -> None:
    leaky = circuit(node_leak_S=leak_S)
    assert leaky.gain == pytest.approx(gain, rel=1e-12)
    assert leaky.tau_s == pytest.approx(tau_s, rel=1e-12, abs=0)


@pytest.mark.parametrize("name", ["unit_voltage_V", "node_R_ohm", "node_C_F", "supply_V", "g_max_S"])
@pytest.mark.parametrize("value", NOT_POSITIVE)
def test_a_component_that_is_not_positive_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(RangeError, match=f"circuit {name} = "):
        circuit(**{name: value})


@pytest.mark.parametrize("name", ["g_min_S", "node_leak_S"])
@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf])
def test_a_component_that_is_negative_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(RangeError, match=f"circuit {name} = "):
        circuit(**{name: value})


@pytest.mark.parametrize("g_max_S", [1e-6, 0.5e-6])
def test_an_on_off_ratio_of_one_or_less_is_refused_with_the_reason(g_max_S: float) -> None:
    with pytest.raises(RangeError, match="with no window between them no weight can be stored"):
        circuit(g_min_S=1e-6, g_max_S=g_max_S)


def test_a_unit_voltage_beyond_the_rails_is_refused() -> None:
    with pytest.raises(RangeError, match=r"unit_voltage_V = 1 V exceeds supply_V = 0\.9 V"):
        circuit(unit_voltage_V=1.0)


def test_an_unknown_mapping_is_refused_when_the_circuit_is_drawn() -> None:
    with pytest.raises(InputError, match="'sideways'"):
        circuit(mapping="sideways")


def test_component_values_cannot_be_changed_behind_a_chips_back() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        circuit().g_max_S = 1.0  # type: ignore[misc]
