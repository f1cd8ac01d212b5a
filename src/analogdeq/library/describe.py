"""What a preset says, for people and scripts."""

from typing import Any

import torch

from analogdeq.devices.preset import DevicePreset
from analogdeq.library.devices import device_preset
from analogdeq.units import format_quantity


def describe_device(name: str) -> dict[str, Any]:
    """What a preset says: programming error at five points of its range, validity, and the source of every part."""
    preset = device_preset(name)
    return {
        "name": preset.name,
        "title": preset.title,
        "programming error": _errors(preset),
        "range": f"{_say(preset, preset.g_min_S)} to {_say(preset, preset.g_max_S)}"
        if preset.is_measured
        else "any conductance",
        "valid": preset.validity.describe(),
        "parts": {
            fact.part: {
                "figures": fact.text,
                "distribution": fact.distribution,
                "status": fact.status,
                "source": fact.source,
            }
            for fact in preset.facts
        },
        "source": preset.source,
        "not modelled": preset.not_modelled or "-",
    }


def _errors(preset: DevicePreset) -> dict[str, str] | str:
    if preset.pulses is not None:
        return "by write-verify with simulated pulses; no formula"
    if preset.mismatch_alpha:
        return f"standard deviation {preset.mismatch_alpha:g} sqrt|W| of every weight"
    reference_S = preset.reference_S(1.0)
    points = torch.linspace(0, 1, 5, dtype=torch.float64) * (reference_S - preset.g_min_S) + preset.g_min_S
    sigma = preset.programming_sigma_S(points, reference_S)
    return {_say(preset, float(g)): _say(preset, float(s)) for g, s in zip(points, sigma, strict=True)}


def _say(preset: DevicePreset, value: float) -> str:
    return format_quantity(value, "S") if preset.is_measured else f"{100 * value:g} % of g_max"
