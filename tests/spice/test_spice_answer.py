"""Settling time and energies read off a waveform, against closed forms."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from analogdeq.chip import Chip
from analogdeq.errors import SpiceError
from analogdeq.spice.answer import SpiceAnswer, answer_of
from analogdeq.spice.meters import METERS
from analogdeq.spice.raw import RawPlot
from helpers import chip, plain_core

Array = npt.NDArray[np.float64]
TAU_S, UNIT_V, BAND = 1e-8, 0.1, 1e-3


@dataclass
class Waves:
    """Two nodes that decay to their rests with their own signs, and meters that run at constant power."""

    s: Array
    z: Array
    meters_pJ: Array

    def answer(self, band: float = BAND) -> SpiceAnswer:
        names = ("time", "v(z0)", "v(z1)", *(f"v(e_{term})" for term in METERS))
        values = np.column_stack((self.s * TAU_S, UNIT_V * self.z, self.meters_pJ))
        return answer_of(RawPlot("t", "Transient Analysis", names, values), two_nodes(), band, "ngspice-0")


def two_nodes() -> Chip:
    return chip(plain_core([[0.5, 0.0], [0.0, 0.5]]))


def decaying() -> Waves:
    """ngspice's grid: no point at zero, steps that grow from 1e-4 tau to 1e-2 tau."""
    s = np.cumsum(np.minimum(1e-4 * 1.1 ** np.arange(2600), 1e-2))
    z = np.stack((0.8 * (1 - np.exp(-s)), -0.5 * (1 - np.exp(-2 * s))), 1)
    watts = np.array([10.0, 2.0, 0.5, 40.0, 13.0])
    return Waves(s, z, s[:, None] * watts)


def test_the_settling_time_is_where_the_slowest_node_enters_the_band_for_good() -> None:
    assert decaying().answer().t_settle_s == pytest.approx(TAU_S * np.log(0.8 / BAND), rel=1e-6, abs=0)
    assert decaying().answer(band=0.7).t_settle_s == pytest.approx(TAU_S * np.log(0.8 / 0.7), rel=1e-6, abs=0)


def test_an_overshoot_that_leaves_the_band_again_counts() -> None:
    waves = decaying()
    waves.z[:, 0] = 1 - np.exp(-waves.s) * np.cos(4 * waves.s)
    waves.z[:, 1] = 0
    crossings = np.pi / 8 + np.arange(9) * np.pi / 4
    found = waves.answer(band=0.05).t_settle_s / TAU_S
    assert 2 < found < 3
    assert crossings[np.abs(crossings - found).argmin()] != pytest.approx(found, abs=1e-3)
    assert np.exp(-found) * abs(np.cos(4 * found)) == pytest.approx(0.05, rel=1e-5)


def test_a_waveform_that_never_leaves_the_band_has_settled_at_zero() -> None:
    answer = decaying().answer(band=0.9)
    assert answer.t_settle_s == 0
    assert answer.energy_J["drivers"] == 0


def test_energies_are_read_at_the_settling_time() -> None:
    answer = decaying().answer()
    for term, watts in zip(METERS, (10.0, 2.0, 0.5, 40.0, 13.0), strict=True):
        assert answer.energy_J[term] == pytest.approx(watts * 1e-12 * np.log(0.8 / BAND), rel=1e-6, abs=0)
    s = np.log(0.8 / BAND)
    volts = UNIT_V * np.array([0.8 * (1 - np.exp(-s)), 0.5 * (1 - np.exp(-2 * s))])
    assert answer.energy_J["stored"] == pytest.approx(0.5 * 1e-13 * (volts**2).sum(), rel=1e-6, abs=0)
    assert answer.dissipated_J == pytest.approx(12.5e-12 * s + answer.energy_J["stored"], rel=1e-6, abs=0)


def test_the_state_between_steps_is_smooth() -> None:
    answer = decaying().answer()
    s = np.linspace(0, 10, 301)
    np.testing.assert_allclose(answer.state(s * TAU_S)[:, 0], 0.8 * (1 - np.exp(-s)), atol=1e-8)
    assert answer.time_s[0] == 0
    assert answer.z[0].tolist() == [0, 0]


@pytest.mark.parametrize("fault", ["nan", "standing still", "backwards"])
def test_a_waveform_no_circuit_has_is_an_error(fault: str) -> None:
    waves = decaying()
    if fault == "nan":
        waves.z[7, 1] = np.nan
    else:
        waves.s[7] = waves.s[6] if fault == "standing still" else waves.s[5]
    with pytest.raises(SpiceError, match="stand still in time, or are not finite"):
        waves.answer()
