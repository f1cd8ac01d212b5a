"""An operational amplifier's figures follow from its bias current."""

import math

import pytest

from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.opamp import OpAmp
from analogdeq.errors import RangeError
from analogdeq.units import BOLTZMANN_J_PER_K

AMPLIFIER = Amplifier(gbw_Hz=1e9, gm_over_id_per_V=15.0, load_C_F=1e-13)


def test_slew_rate_and_noise_follow_from_the_transconductance() -> None:
    g_m = 2 * math.pi * 1e9 * 1e-13
    branch_A = g_m / 15.0
    assert OpAmp().slew_rate_V_per_s(AMPLIFIER, 1e9) == pytest.approx(2 * branch_A / 1e-13, rel=1e-12)
    density = OpAmp(noise_gamma=1.5).noise_density_V2_per_Hz(AMPLIFIER, 1e9, 300.0)
    assert density == pytest.approx(4 * BOLTZMANN_J_PER_K * 300 * 1.5 / g_m, rel=1e-12, abs=0)


def test_what_is_given_is_taken() -> None:
    given = OpAmp(slew_V_per_s=3e6, input_noise_V_per_rtHz=5e-9)
    assert given.slew_rate_V_per_s(AMPLIFIER, 1e9) == 3e6
    assert given.noise_density_V2_per_Hz(AMPLIFIER, 1e9, 300.0) == pytest.approx(25e-18, rel=1e-6, abs=0)


def test_bias_pays_for_bandwidth_or_slew_rate_whichever_is_dearer() -> None:
    for_bandwidth = AMPLIFIER.quiescent_W(2.0, 1e-8, 0.9)
    assert OpAmp().quiescent_W(AMPLIFIER, 2.0, 1e-8, 0.9) == for_bandwidth
    assert OpAmp(slew_V_per_s=1e6).quiescent_W(AMPLIFIER, 2.0, 1e-8, 0.9) == for_bandwidth
    # A slew rate k times the derived one takes k times the current.
    twice = OpAmp(slew_V_per_s=2 * OpAmp().slew_rate_V_per_s(AMPLIFIER, 1e9))
    assert twice.quiescent_W(AMPLIFIER, 2.0, 1e-8, 0.9) == pytest.approx(2 * for_bandwidth, rel=1e-12, abs=0)
    measured = Amplifier(gbw_Hz=1e9, bias_W=1e-6)
    assert twice.quiescent_W(measured, 2.0, 1e-8, 0.9) == 1e-6


def test_a_line_lags_by_its_drivers_closed_loop_and_its_capacitance() -> None:
    opamp = OpAmp(driver_R_ohm=2e3, cell_C_F=1e-15)
    closed_loop_s = 2 / (2 * math.pi * 1e9)
    assert opamp.line_tau_s(AMPLIFIER, 1e-8, 50, 1.0) == pytest.approx(closed_loop_s + 2e3 * 50e-15, rel=1e-12, abs=0)
    assert opamp.line_tau_s(AMPLIFIER, 1e-8, 50, 0.5) == pytest.approx(
        2 * closed_loop_s + 2e3 * 50e-15, rel=1e-12, abs=0
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("dc_gain", 0.0), ("slew_V_per_s", -1.0), ("swing_V", 0.0), ("summing_C_F", 0.0), ("summing_C_F", math.inf),
     ("offset_sigma_V", -1e-3), ("driver_R_ohm", math.nan), ("cell_C_F", math.inf), ("noise_gamma", -1.0)],
)  # fmt: skip
def test_what_no_amplifier_has_is_refused(name: str, value: float) -> None:
    with pytest.raises(RangeError, match=rf"opamp {name} = {value}"):
        OpAmp(**{name: value})
