"""A scenario that is stored as text comes back without a file."""

import builtins
from pathlib import Path

import pytest

from analogdeq.errors import ScenarioError
from analogdeq.scenario import dump_scenario, load_scenario, parse_scenario


@pytest.mark.parametrize("name", ["digits-crossbar", "digits-oscillator", "cifar10-small"])
def test_what_is_dumped_is_parsed_without_a_disk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = load_scenario(name)
    text = dump_scenario(scenario)

    def no_disk(*_words: object, **_more: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(builtins, "open", no_disk)
    monkeypatch.setattr(Path, "open", no_disk)
    assert parse_scenario(text, "summary.json") == scenario


def test_a_mistake_in_the_text_names_where_it_came_from() -> None:
    text = dump_scenario(load_scenario("digits-crossbar")).replace("[task]", "[tusk]")
    with pytest.raises(ScenarioError, match=r"summary\.json.*tusk"):
        parse_scenario(text, "summary.json")
    with pytest.raises(ScenarioError, match=r"summary\.json: is empty"):
        parse_scenario("", "summary.json")
