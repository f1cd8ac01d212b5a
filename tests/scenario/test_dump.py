import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from analogdeq.scenario import Scenario, dump_scenario, load_scenario
from analogdeq.scenario.fields import bounds, choices, kind, takes_none, text
from analogdeq.scenario.files import shipped_names
from analogdeq.scenario.section import Section
from analogdeq.scenario.tree import table_class


def values_of(field: FieldInfo) -> st.SearchStrategy[Any]:
    """Any valid value of a field, drawn from its own bounds, so that a new field is tested from its first day."""
    table = table_class(field)
    if table:
        return tables_of(table)
    return st.none() | some_value(field) if takes_none(field) else some_value(field)


def some_value(field: FieldInfo) -> st.SearchStrategy[Any]:
    limits = bounds(field)
    low, high = first(limits.gt, limits.ge), first(limits.lt, limits.le)
    if choices(field):
        return st.sampled_from(choices(field))
    if kind(field) is float:
        return st.floats(low, high, exclude_min=limits.gt is not None, exclude_max=limits.lt is not None)
    if kind(field) is int:
        return st.integers(low, high)
    return st.from_regex(text(field).pattern, fullmatch=True)


def first(*limits):
    return next((limit for limit in limits if limit is not None), None)


def tables_of(table: type[Section]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({key: values_of(field) for key, field in table.model_fields.items()})


def obeying_the_rules(data: dict[str, Any]) -> Scenario:
    """Move the keys that a rule joins to where it holds."""
    circuit, settle = data["circuit"], data["settle"]
    circuit["g_min_S"], circuit["g_max_S"] = sorted([circuit["g_min_S"] / 4, circuit["g_max_S"] / 2 + 0.5])
    circuit["unit_voltage_V"], circuit["supply_V"] = sorted([circuit["unit_voltage_V"], circuit["supply_V"]])
    settle["band"] = max(settle["band"], 1e-6)
    settle["atol"] = max(settle["band"] * settle["atol"] / 2, 1e-15)
    settle["dwell_tau"] = min(settle["dwell_tau"], settle["max_time_tau"] / 2)
    if data["model"]["weights"] == "spectral":
        data["model"]["spectral_bound"] = data["model"]["spectral_bound"] or 0.9
    if data["model"]["core"] == "conv":
        data["model"]["spectral_bound"] = None if data["model"]["weights"] == "free" else 0.9
    hardware = data["train"]["hardware"]
    youngest_s, oldest_s = hardware["youngest_s"], hardware["oldest_s"]
    if youngest_s is None or oldest_s is None:
        hardware["youngest_s"] = hardware["oldest_s"] = None
    else:
        hardware["youngest_s"], hardware["oldest_s"] = sorted([youngest_s, oldest_s])
    data["device"]["preset"] = "pcm-generic"  # a path would be made absolute when it is read
    return Scenario.model_validate(data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(data=tables_of(Scenario))
def test_what_is_written_reads_back_equal(tmp_path, data):
    scenario = obeying_the_rules(data)
    path = tmp_path / "resolved.toml"
    path.write_text(dump_scenario(scenario), encoding="utf-8")
    assert load_scenario(path) == scenario


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_scenario_reads_back_equal(name, tmp_path):
    path = tmp_path / "resolved.toml"
    path.write_text(dump_scenario(load_scenario(name)), encoding="utf-8")
    assert load_scenario(path) == load_scenario(name)


def test_every_key_is_written_except_those_that_hold_no_value_anyway():
    data = tomllib.loads(dump_scenario(load_scenario("digits-crossbar")))
    assert data["circuit"]["adc"] == {
        "bits": 8, "speed": "above-500MSps", "quantile": "median", "conversion_s": 2e-9,
        "full_scale": 1.0, "inl_lsb": 0.0, "dnl_lsb": 0.0, "noise_lsb": 0.0,
    }  # fmt: skip
    assert set(data["settle"]) == {
        "method", "rtol", "atol", "dtype", "band", "dwell_tau", "max_time_tau", "max_steps",
    }  # fmt: skip


def test_a_value_that_was_switched_off_stays_off(tmp_path):
    scenario = load_scenario("digits-crossbar", ["model.spectral_bound=none", "train.grad_clip=none"])
    text = dump_scenario(scenario)
    assert 'spectral_bound = "none"' in text
    path = tmp_path / "resolved.toml"
    path.write_text(text, encoding="utf-8")
    assert load_scenario(path).model.spectral_bound is None


def test_quantities_carry_a_readable_comment():
    assert "node_C_F = 1e-13  # 100 fF" in dump_scenario(load_scenario("digits-crossbar"))


@pytest.mark.parametrize("title", ['"', "\\", "# no comment", "[table]", "\u00b5 \u2028 \U0001f600", "a = 1", "'''"])
def test_difficult_text_survives(title, tmp_path):
    scenario = load_scenario("digits-crossbar").model_copy(update={"title": title})
    path = tmp_path / "resolved.toml"
    path.write_text(dump_scenario(scenario), encoding="utf-8")
    assert load_scenario(path).title == title
