"""A fit gives back what made-up devices were drawn from."""

import math
from pathlib import Path

import numpy as np
import pytest

from analogdeq.errors import DataError
from analogdeq.library import device_preset
from analogdeq.library.fit import Measured, fit_preset, preset_text, read_measurement

SIGMA = (0.26e-6, 1.9e-6, -1.1e-6)
NU, SPREAD = 0.06, 0.012


def measured(times: tuple[float, ...] = (20.0, 2e3, 2e5), devices: int = 3_000) -> Measured:
    rng = np.random.default_rng(1)
    target = np.repeat(np.linspace(5e-6, 25e-6, 5), devices)
    x = target / 25e-6
    first = target + (SIGMA[0] + SIGMA[1] * x + SIGMA[2] * x * x) * rng.standard_normal(target.size)
    nu = NU + SPREAD * rng.standard_normal(target.size)
    reads = [first * (t / times[0]) ** -nu for t in times]
    return Measured(np.tile(target, len(times)), np.concatenate(reads), np.repeat(times, target.size))


def test_the_fit_finds_the_error_and_the_drift_again() -> None:
    fit = fit_preset(measured())
    for x in (0.2, 0.6, 1.0):
        found, true = (sum(c * x**k for k, c in enumerate(cs)) for cs in (fit.sigma_S, SIGMA))
        assert found == pytest.approx(true, rel=0.05)
    assert fit.nu_mean == pytest.approx(NU, rel=0.02)
    assert fit.nu_std == pytest.approx(SPREAD, rel=0.05)
    assert (fit.g_min_S, fit.g_max_S, fit.t0_s, fit.end_s) == (5e-6, 25e-6, 20.0, 2e5)
    assert len(fit.residuals) == 15
    for row in fit.residuals:
        assert row.sigma_ratio == pytest.approx(1.0, abs=0.1)
        assert abs(row.mean_S) < 0.1e-6


def test_the_fitted_preset_is_a_preset(tmp_path: Path) -> None:
    fit = fit_preset(measured())
    path = tmp_path / "mine.toml"
    path.write_text(preset_text(fit, 'A "device"', "me"))
    preset = device_preset(str(path))
    assert preset.title == 'A "device"'
    assert preset.sigma_S == pytest.approx(fit.sigma_S, rel=1e-6, abs=0)
    assert preset.drift is not None
    assert preset.first_read_s == 20.0
    assert preset.validity.time.high == 2e5


def test_one_time_gives_no_drift() -> None:
    fit = fit_preset(measured((20.0,)))
    assert fit.nu_mean is None
    assert "[drift]" not in preset_text(fit, "t", "s")


def test_a_fit_that_does_not_describe_the_devices_shows_in_its_residuals() -> None:
    data = measured((20.0,))
    shifted = Measured(data.target_S, data.read_S + 2e-6, data.t_s)
    assert min(row.mean_S for row in fit_preset(shifted).residuals) == pytest.approx(2e-6, rel=0.1)
    flat = fit_preset(data, degree=0)
    ratios = [row.sigma_ratio for row in flat.residuals]
    assert max(ratios) / min(ratios) > 1.5, "one sigma for all states is too large below and too small above"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a,b\n1,2\n", "no column 'G_target_S'"),
        ("G_target_S,G_read_S,t_s\n1e-6,x,1\n", "line 2: G_read_S = 'x' must be a finite number"),
        ("G_target_S,G_read_S,t_s\n-1e-6,1e-6,1\n", "line 2: G_target_S = '-1e-6'"),
        ("G_target_S,G_read_S,t_s\n1e-6,1e-6,1\n", "1 rows are too few"),
    ],
)
def test_a_measurement_that_is_none_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "measured.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_measurement(path)


def test_a_measurement_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "measured.csv"
    rows = "\n".join(f"{t},{k}e-6,x,{k}.5e-6" for k in range(1, 9) for t in (1, 2))
    path.write_text(f"t_s,G_target_S,who,G_read_S\n{rows}\n")
    data = read_measurement(path)
    assert data.t_s.tolist()[:2] == [1.0, 2.0]
    assert math.isclose(data.read_S[0], 1.5e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_drift_that_comes_out_as_no_number_is_refused_and_not_zero() -> None:
    data = measured((20.0, 2e3))
    later = data.t_s > 20.0
    data.read_S[later] = np.where(np.arange(later.sum()) % 2, 1e200, 1e-200)  # the square of their spread overflows
    with pytest.raises(DataError, match="too large or too small to fit a drift"):
        fit_preset(data)
