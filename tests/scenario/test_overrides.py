import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analogdeq.errors import ScenarioError
from analogdeq.scenario import load_scenario
from analogdeq.scenario.overrides import read_overrides
from analogdeq.scenario.tree import tables


def value_of(text: str) -> object:
    [layer], problems = read_overrides([f"key={text}"])
    assert not problems
    return layer.data["key"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1e-9", 1e-9),
        (".5", 0.5),
        ("1.", 1.0),
        ("true", True),
        ('"10 nF"', "10 nF"),
        ("'10 nF'", "10 nF"),
        ("10 nF", "10 nF"),
        ("  tsit5 ", "tsit5"),
        ("none", "none"),
        ("a=b", "a=b"),
        ("[1, 2]", [1, 2]),
        ("{bits = 4}", {"bits": 4}),
        ('""', ""),
        ("1 # a comment", 1),
        ("1\nother = 2", "1\nother = 2"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_the_value_is_toml_or_else_text(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize("override", ["", "x", "=1", ".a=1", "a..b=1", "circuit.=1", " =1"])
def test_a_change_without_a_key_is_refused(override):
    assert read_overrides([override]) == ([], [f"--set {override!r}: is not of the form table.key=value"])


@pytest.mark.parametrize("override", ["title=", "title=  "])
def test_a_change_without_a_value_is_refused(override):
    assert "has no value after '='" in read_overrides([override])[1][0]


def test_the_base_cannot_be_changed():
    assert "only a file can have a base" in read_overrides(["base=digits-crossbar"])[1][0]


def test_changes_apply_in_order():
    changes = ["circuit.node_C_F=10 fF", 'circuit.node_C_F="20 fF"', "circuit.adc={bits = 4}", "seeds.chip=7"]
    scenario = load_scenario("digits-crossbar", changes)
    assert (scenario.circuit.node_C_F, scenario.circuit.adc.bits, scenario.seeds.chip) == (20e-15, 4, 7)
    assert scenario.circuit.adc.quantile == "median"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("g_max_S=1e-5", "--set: unknown key 'g_max_S'. It belongs under [circuit]"),
        ("circiut.g_max_S=1e-5", "--set: unknown table [circiut]. Did you mean [circuit]?"),
        ("circuit.g_max=1e-5", "--set: [circuit] unknown key 'g_max'. Did you mean 'g_max_S'?"),
        ("circuit.adc.bits.low=1", "--set: [circuit.adc] bits = a table: is not a whole number"),
        ("circuit=5", "--set: circuit = 5: is not a table"),
        ("settle.band=nan", "--set: [settle] band = nan: is not finite"),
        ("circuit.node_C_F=10 nV", "--set: [circuit] node_C_F = '10 nV': is not in F"),
    ],
)
def test_a_wrong_change_is_reported_like_a_wrong_file(change, problem):
    with pytest.raises(ScenarioError) as caught:
        load_scenario("digits-crossbar", [change])
    assert caught.value.problems[0].startswith(problem)
    assert len(caught.value.problems) == 1


def test_unreadable_and_invalid_changes_are_reported_together():
    with pytest.raises(ScenarioError) as caught:
        load_scenario("digits-crossbar", ["nonsense", "settle.band=7", "also nonsense"])
    assert len(caught.value.problems) == 3


def test_a_path_of_thousands_of_parts_is_an_unknown_table():
    with pytest.raises(ScenarioError, match="unknown table"):
        load_scenario("digits-crossbar", [".".join("a" * 5000) + "=1"])


PATHS = [".".join((*path, key)) for path, table in tables() for key in (*table.model_fields, "unknown")]


@settings(deadline=None)
@given(
    path=st.sampled_from(PATHS) | st.text(),
    value=st.text() | st.sampled_from(["0x" + "f" * 9000, "{}", "[[]]", "07:32:00"]),
)
def test_no_change_at_all_raises_anything_but_a_scenario_error(path, value):
    with contextlib.suppress(ScenarioError):
        load_scenario("digits-crossbar", [f"{path}={value}"])
