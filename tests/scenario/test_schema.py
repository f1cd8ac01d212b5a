import pytest
from pydantic import ValidationError

from analogdeq.scenario import Scenario
from analogdeq.scenario.fields import bounds, choices, kind, quantity
from analogdeq.scenario.section import Section
from analogdeq.scenario.tree import tables, values

LEAST = {"name": "least", "task": {"name": "digits"}, "circuit": {"g_min_S": "1 uS", "g_max_S": "20 uS"}}
FIELDS = [((*path, key), field) for path, table in tables() for key, field in values(table).items()]
IDS = [".".join(path) for path, _ in FIELDS]


def test_three_tables_are_enough():
    scenario = Scenario.model_validate(LEAST)
    assert scenario.circuit.node_R_ohm * scenario.circuit.node_C_F == pytest.approx(10e-9, rel=1e-6, abs=0)
    assert scenario.model.nodes == 64
    assert scenario.circuit.amplifier.gbw_Hz is None
    assert scenario.settle.method == "auto"
    assert scenario.device.preset == "ideal"


def test_a_scenario_cannot_be_changed():
    scenario = Scenario.model_validate(LEAST)
    with pytest.raises(ValidationError, match="frozen"):
        scenario.circuit.supply_V = 1.0
    assert hash(scenario) == hash(Scenario.model_validate(LEAST))


@pytest.mark.parametrize(("path", "field"), FIELDS, ids=IDS)
def test_every_key_says_what_it_means(path, field):
    assert field.description
    assert field.description.rstrip().endswith(".")


@pytest.mark.parametrize(("path", "field"), FIELDS, ids=IDS)
def test_every_number_is_bounded(path, field):
    if kind(field) in (int, float) and not choices(field):
        limits = bounds(field)
        assert limits.gt is not None or limits.ge is not None
        assert limits.lt is not None or limits.le is not None


@pytest.mark.parametrize(("path", "field"), FIELDS, ids=IDS)
def test_every_physical_key_ends_in_its_unit(path, field):
    marked = quantity(field)
    if marked and marked.unit:
        assert path[-1].endswith("_" + marked.unit.replace("1/", "per_"))


@pytest.mark.parametrize(("path", "table"), list(tables()), ids=lambda value: str(value))
def test_every_table_is_final_closed_and_described(path, table):
    assert issubclass(table, Section)
    assert getattr(table, "__final__", False)
    assert table.model_config["extra"] == "forbid"
    assert table.__doc__


def test_none_switches_an_optional_value_off():
    scenario = Scenario.model_validate(LEAST | {"model": {"spectral_bound": "none"}, "train": {"grad_clip": "none"}})
    assert scenario.model.spectral_bound is None
    assert scenario.train.grad_clip is None


def test_a_rule_is_checked_while_other_keys_of_the_table_are_wrong():
    circuit = {"g_min_S": "3 uS", "g_max_S": "2 uS", "node_C_F": "bad", "mapping": 5}
    with pytest.raises(ValidationError) as caught:
        Scenario.model_validate(LEAST | {"circuit": circuit})
    assert {error["loc"][-1] for error in caught.value.errors()} == {"g_max_S", "node_C_F", "mapping"}


def test_a_rule_is_silent_while_a_key_it_needs_is_wrong():
    with pytest.raises(ValidationError) as caught:
        Scenario.model_validate(LEAST | {"circuit": {"g_min_S": -1, "g_max_S": 0}})
    assert [error["loc"][-1] for error in caught.value.errors()] == ["g_min_S"]


@pytest.mark.parametrize(
    "settle", [{"band": 1e-7, "atol": 1e-9, "dtype": "float64"}, {"band": 1e-6, "atol": 1e-7}, {"dwell_tau": 0}]
)
def test_narrow_bands_and_no_dwell_are_fine_where_they_mean_something(settle):
    assert Scenario.model_validate(LEAST | {"settle": settle})
