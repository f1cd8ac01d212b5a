import pytest

from analogdeq.resources import resource_path
from analogdeq.scenario import load_scenario
from analogdeq.scenario.files import shipped_names


def test_the_main_job_is_shipped():
    assert "digits-crossbar" in shipped_names()


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_scenario_validates_and_is_named_like_its_file(name):
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.title
    assert scenario.description


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_scenario_begins_with_a_comment_that_says_what_it_is_for(name):
    assert resource_path("scenarios", f"{name}.toml").read_text(encoding="utf-8").startswith("# ")


def test_a_variant_differs_from_the_main_job_only_where_it_says_so():
    main, balanced = load_scenario("digits-crossbar"), load_scenario("digits-balanced")
    assert balanced.circuit.mapping == "balanced"
    assert balanced.device.preset == "ideal"
    assert balanced.circuit.model_copy(update={"mapping": "one-sided"}) == main.circuit
    assert balanced.model == main.model
