"""The shipped tables as physics objects."""

import math
from pathlib import Path

import pytest

from analogdeq.errors import DataError, RangeError
from analogdeq.library import adc_energy_J, device_names, device_preset

GOOD = """
title = "A device"
source = "a test"

[valid]
conductance = {low = 1e-6, high = 50e-6}

[programming]
law = "polynomial"
unit_S = 1.0
coefficients = [1e-6, 2e-6]
distribution = "normal"
source = "a test"
status = "model"
"""


def test_every_shipped_preset_loads_under_its_own_name_and_says_where_its_figures_come_from() -> None:
    names = device_names()
    assert names == sorted(names)
    assert {"ideal", "gaussian-2pct", "pcm-generic"} <= set(names)
    for name in names:
        preset = device_preset(name)
        assert preset.name == name
        assert preset.title
        assert len(preset.source) > 20


def test_the_generic_pcm_preset_holds_the_published_polynomial() -> None:
    pcm = device_preset("pcm-generic")
    assert pcm.sigma_S == pytest.approx((0.26348e-6, 1.9650e-6, -1.1731e-6), rel=1e-15, abs=0)
    assert (pcm.g_min_S, pcm.g_max_S) == (0.0, 25e-6)
    assert pcm.is_measured
    assert {fact.part for fact in pcm.facts} == {"programming", "drift", "read_noise", "temperature"}


def test_a_preset_in_units_of_g_max_covers_any_conductance() -> None:
    gaussian = device_preset("gaussian-2pct")
    assert gaussian.sigma_S == (0.02,)
    assert (gaussian.g_min_S, gaussian.g_max_S) == (0.0, math.inf)
    assert not gaussian.is_measured


@pytest.mark.parametrize(
    ("name", "meant"), [("pcm-genric", "pcm-generic"), ("Ideal", "ideal"), ("gaussian-2-pct", "gaussian-2pct")]
)
def test_a_misspelt_preset_is_answered_with_the_nearest_name(name: str, meant: str) -> None:
    with pytest.raises(DataError, match=f"no device preset '{name}'; did you mean '{meant}'\\?"):
        device_preset(name)


def test_a_preset_like_no_other_is_answered_with_all_names() -> None:
    with pytest.raises(DataError, match=r"no device preset 'xyzzy'; known: .*ideal.*pcm-generic"):
        device_preset("xyzzy")


def test_a_preset_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.toml"):
        device_preset(str(tmp_path / "nowhere.toml"))


def test_a_preset_can_be_read_from_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    preset = device_preset(str(path))
    assert (preset.name, preset.g_min_S, preset.g_max_S, preset.sigma_S) == ("mine", 1e-6, 50e-6, (1e-6, 2e-6))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('title = "A device"', "", "'title' is missing"),
        ('title = "A device"', "title = 3", "'title' must be a text, got 3"),
        ('source = "a test"\nstatus', "status", "[programming]: 'source' is missing"),
        ('distribution = "normal"', "", "'distribution' is missing"),
        (
            'status = "model"',
            'status = "guess"',
            "'status' = 'guess' is unknown; known: fit, measured, model, estimate",
        ),
        ('law = "polynomial"', 'law = "polynomal"', "did you mean 'polynomial'?"),
        ("coefficients = [1e-6, 2e-6]", "", "'coefficients' is missing"),
        ("coefficients = [1e-6, 2e-6]", "coefficients = 1e-6", "'coefficients' must be a list of numbers"),
        ("coefficients = [1e-6, 2e-6]", 'coefficients = ["much"]', "must hold finite numbers"),
        ("coefficients = [1e-6, 2e-6]", "coefficients = [nan]", "must hold finite numbers"),
        ("coefficients = [1e-6, 2e-6]", "coefficients = [true]", "must hold finite numbers"),
        ("coefficients = [1e-6, 2e-6]", "coefficients = [-1e-6]", "sigma becomes negative"),
        ("coefficients = [1e-6, 2e-6]", "coefficients = [1e-6, -2e-6]", "sigma becomes negative"),
        ("unit_S = 1.0", "", "'unit_S' is missing"),
        ("low = 1e-6, ", "", "[valid.conductance]: 'low' is missing"),
        ("high = 50e-6", "high = 1e-6", "want 0 <= low < high"),
        ("high = 50e-6", "high = 1e-7", "a range needs low <= high"),
        ("high = 50e-6", "high = inf", "'high' must be a finite number"),
        ("low = 1e-6", "low = -1e-6", "want 0 <= low < high"),
        ("[valid]", "g_mx_S = 3\n[valid]", "unknown key 'g_mx_S'; known: "),
        ("low = 1e-6", "lo = 1, low = 1e-6", "[valid.conductance]: unknown key 'lo'"),
        ("[programming]", "fluctuation = 3\n[programming]", "[valid]: unknown key 'fluctuation'"),
        ("coefficients = [1e-6, 2e-6]", "coefficients = [1e-6", "cannot be read as TOML"),
    ],
)
def test_a_damaged_preset_file_is_refused_by_its_path_and_what_is_wrong(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    path = tmp_path / "damaged.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(DataError) as caught:
        device_preset(str(path))
    assert str(path) in str(caught.value)
    assert complaint in str(caught.value)


def test_a_preset_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b'title = "\xff\xfe"')
    with pytest.raises(DataError, match="cannot be read as TOML"):
        device_preset(str(path))


@pytest.mark.parametrize(
    ("bits", "speed", "quantile", "energy_pJ"),
    [
        (8, "above-500MSps", "median", 13.0),
        (8, "above-500MSps", "p10", 5.2),
        (8, "above-500MSps", "best", 4.6),
        (6, "above-500MSps", "median", 4.0),
        (7, "above-500MSps", "median", 3.2),
        (8, "below-2MSps", "median", 6.0),
        (9, "below-2MSps", "p10", 0.32),
        (10, "2-500MSps", "best", 2.2),
        (12, "2-500MSps", "median", 148.0),
    ],
)
def test_a_converter_costs_what_the_survey_says(bits: int, speed: str, quantile: str, energy_pJ: float) -> None:
    energy_J, words = adc_energy_J(bits, speed, quantile)
    assert energy_J == pytest.approx(energy_pJ * 1e-12, rel=1e-12, abs=0)
    assert quantile in words
    assert speed in words
    assert "Murmann" in words


@pytest.mark.parametrize(
    ("bits", "speed"), [(11, "2-500MSps"), (14, "2-500MSps"), (8, "2-500MSps"), (10, "above-500MSps"), (8, "fast")]
)
def test_a_converter_the_survey_does_not_have_is_refused_with_what_it_has(bits: int, speed: str) -> None:
    with pytest.raises(RangeError, match=rf"no class for {bits} bits {speed}; it has .*8 bits above-500MSps"):
        adc_energy_J(bits, speed, "median")


def test_an_unknown_quantile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RangeError, match=r"p50.*median"):
        adc_energy_J(8, "above-500MSps", "p50")
