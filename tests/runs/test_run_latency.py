"""Latency: what both converters take, on top of the settle."""

import pytest

from analogdeq.runs.latency import with_latency
from analogdeq.scenario import load_scenario


def test_latency_is_both_conversions_and_the_settle_and_nothing_where_nothing_settled() -> None:
    scenario = load_scenario("digits-crossbar", ["circuit.dac.conversion_s=1e-9", "circuit.adc.conversion_s=4e-9"])
    figures = with_latency(scenario, {"t_settle_s": {"p50": 1e-7, "p95": 2e-7, "max": None}, "images": 3})
    assert figures["images"] == 3
    assert figures["conversion_s"] == {"dac": 1e-9, "adc": 4e-9}
    assert figures["latency_s"]["p50"] == pytest.approx(1.05e-7, rel=1e-6, abs=0)
    assert figures["latency_s"]["p95"] == pytest.approx(2.05e-7, rel=1e-6, abs=0)
    assert figures["latency_s"]["max"] is None
