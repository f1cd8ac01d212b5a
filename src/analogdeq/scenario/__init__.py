"""Scenarios: TOML files that say what is learnt, on which circuit and device, and how it is settled."""

from analogdeq.scenario.dump import dump_scenario
from analogdeq.scenario.load import load_scenario, parse_scenario
from analogdeq.scenario.reference import json_schema
from analogdeq.scenario.schema import Scenario

__all__ = ["Scenario", "dump_scenario", "json_schema", "load_scenario", "parse_scenario"]
