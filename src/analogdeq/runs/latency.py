"""From an input to its answer: conversion, settling, conversion."""

from typing import Any

from analogdeq.build import build_circuit
from analogdeq.scenario import Scenario


def with_latency(scenario: Scenario, figures: dict[str, Any]) -> dict[str, Any]:
    """The same figures with `latency_s`: settling times plus what both converters take, None where nothing settled."""
    circuit = build_circuit(scenario)
    dac_s, adc_s = circuit.dac.conversion_s, circuit.adc.conversion_s
    settling = figures["t_settle_s"]
    latency = {key: None if time is None else dac_s + time + adc_s for key, time in settling.items()}
    return figures | {"conversion_s": {"dac": dac_s, "adc": adc_s}, "latency_s": latency}
