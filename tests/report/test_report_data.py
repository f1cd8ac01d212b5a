from dataclasses import replace

import numpy as np
import pytest

from analogdeq.errors import InputError
from analogdeq.report.scale import AxisScale


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("t_settle_s", np.zeros(0), "at least one sample"),
        ("verdict_code", np.zeros(3, dtype=np.uint8), r"verdict_code has shape \(3,\); expected \(240,\)"),
        ("evaluations", np.zeros((240, 1)), "evaluations has shape"),
        ("energy_total_J", np.zeros(1), "energy_total_J has shape"),
        ("energy_terms_J", {"ADC": np.zeros(1)}, r"energy_terms_J\['ADC'\] has shape"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changed, field, value, message):
    with pytest.raises(InputError, match=message):
        changed(**{field: value})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("names", ("a",), "names has shape"),
        ("equilibrium", np.zeros((6, 3)), r"equilibrium has shape \(6, 3\); expected \(6, 32\)"),
        ("t_settle_s", np.zeros(5), "t_settle_s has shape"),
        ("band", 0.0, "band is 0"),
        ("supply_terms", ("bias",), r"\['bias'\] are not among the power terms"),
    ],
)
def test_waveforms_that_do_not_fit_together_are_refused(data, field, value, message):
    with pytest.raises(InputError, match=message):
        replace(data.waveforms, **{field: value})


@pytest.mark.parametrize(
    ("values", "unit", "shown"),
    [
        ([1e-9, 3.2e-7], "s", "ns"),
        ([2e-12], "J", "pJ"),
        ([-5e-5], "W", "µW"),
        ([0.0, np.nan], "s", "s"),
        ([], "s", "s"),
        ([1e-30], "J", "aJ"),
        ([4.0], "s", "s"),
        ([1e3], "W", "kW"),
    ],
)
def test_an_axis_gets_the_prefix_of_its_largest_value(values, unit, shown):
    assert AxisScale(values, unit).unit == shown


def test_an_axis_shows_the_value_in_its_unit():
    assert 1.5e-8 * AxisScale([1.5e-8], "s").factor == pytest.approx(15)
