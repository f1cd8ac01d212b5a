import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from analogdeq.scenario import json_schema
from analogdeq.scenario.reference import markdown_reference
from analogdeq.scenario.tree import tables, values

DOCS = Path(__file__).resolve().parents[2] / "docs"


def property_at(*path: str) -> dict:
    schema = json_schema()
    for key in path:
        schema = schema["properties"][key]
    return schema


def every_table(schema: dict) -> list[dict]:
    inner = [held for held in schema["properties"].values() if held.get("type") == "object"]
    return [schema, *(table for held in inner for table in every_table(held))]


def test_the_schema_is_plain_json():
    assert json.loads(json.dumps(json_schema(), allow_nan=False)) == json_schema()


def test_no_table_takes_unknown_keys():
    found = every_table(json_schema())
    assert len(found) == len(list(tables()))
    assert all(table["additionalProperties"] is False for table in found)


def test_every_property_is_described():
    for table in every_table(json_schema()):
        assert all(held["description"] for held in table["properties"].values())


def test_a_quantity_is_a_number_or_text_with_its_unit():
    capacitance = property_at("circuit", "node_C_F")
    number, text = capacitance["anyOf"]
    assert number == {"type": "number", "minimum": 1e-18, "maximum": 1e-3}
    assert text["type"] == "string"
    assert capacitance["x-unit"] == "F"
    assert capacitance["default"] == 100e-15


@pytest.mark.parametrize("text", ["10 nF", "1e-9", "100fF", ".5 µF", " 1 F "])
def test_the_pattern_of_a_quantity_takes_what_the_loader_takes(text):
    assert re.search(property_at("circuit", "node_C_F")["anyOf"][1]["pattern"], text)


@pytest.mark.parametrize("text", ["10 nV", "nF", "", "10 n", "1 F F"])
def test_the_pattern_of_a_quantity_refuses_what_the_loader_refuses(text):
    assert not re.search(property_at("circuit", "node_C_F")["anyOf"][1]["pattern"], text)


def test_an_optional_quantity_takes_the_word_none():
    assert property_at("circuit", "amplifier", "gbw_Hz")["anyOf"][-1] == {"const": "none"}


def test_choices_are_an_enumeration_and_counts_are_integers():
    assert property_at("circuit", "mapping")["enum"] == ["one-sided", "balanced"]
    assert property_at("model", "nodes")["type"] == "integer"
    assert property_at("settle", "band")["exclusiveMinimum"] == 0
    assert property_at("settle", "dwell_tau")["x-unit"] == "tau"


def test_a_file_with_a_base_needs_nothing_else_and_one_without_needs_what_has_no_default():
    schema = json_schema()
    assert schema["if"] == {"required": ["base"]}
    assert schema["else"] == {
        "required": ["name", "task", "circuit"],
        "properties": {"task": {"required": ["name"]}, "circuit": {"required": ["g_min_S", "g_max_S"]}},
    }


def test_the_page_has_a_row_for_every_key():
    rows = [line.split(" | ")[0] for line in markdown_reference().splitlines() if line.startswith("| `")]
    assert rows == ["| `base`"] + [f"| `{key}`" for _, table in tables() for key in values(table)]


def test_every_row_has_five_cells():
    rows = [line for line in markdown_reference().splitlines() if line.startswith("|")]
    assert all(len(re.split(r"(?<!\\)\|", row)) == 7 for row in rows)


def test_the_page_in_docs_is_up_to_date(tmp_path):
    page = tmp_path / "scenario.md"
    subprocess.run([sys.executable, "-m", "analogdeq.scenario", str(page)], check=True)
    shipped = DOCS.joinpath("scenario.md").read_text(encoding="utf-8")
    assert page.read_text(encoding="utf-8") == shipped, "run: python -m analogdeq.scenario docs/scenario.md"
