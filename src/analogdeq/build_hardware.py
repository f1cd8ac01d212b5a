"""From a scenario to the chips that its network is trained on."""

import torch

from analogdeq import library
from analogdeq.ageing.life import Care
from analogdeq.build_chips import build_care, build_device
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.errors import InputError
from analogdeq.scenario import Scenario
from analogdeq.train.fresh_chips import FreshChips


def hardware_of(scenario: Scenario, circuit: CrossbarCircuit) -> FreshChips | None:
    """The chips of the scenario's hardware-aware training; None where it has none.

    Raises:
        InputError: for a model that no crossbar holds.
        DataError: if the preset is missing or damaged.
        RangeError: if the preset does not cover the circuit's window, the ages or the temperature.
    """
    h = scenario.train.hardware
    if h.draws == "none":
        return None
    if scenario.model.kind != "hybrid" or scenario.oscillator.core != "none":
        what = (
            f"oscillator.core = {scenario.oscillator.core!r}"
            if scenario.oscillator.core != "none"
            else f"model.kind = {scenario.model.kind!r}"
        )
        raise InputError(
            f"train.hardware.draws = {h.draws!r} needs RC cores that crossbars hold, not {what}; take 'none'"
        )
    device = build_device(scenario) if h.preset is None else library.device_preset(h.preset)
    care = build_care(scenario)
    device.check_targets(torch.tensor([circuit.g_min_S, circuit.g_max_S], dtype=torch.float64), care.allow)
    return FreshChips(
        circuit=circuit,
        device=device,
        amplification=h.amplification,
        youngest_s=h.youngest_s,
        oldest_s=h.oldest_s,
        temperature_K=scenario.ageing.temperature_K,
        is_compensated=h.compensation == "on",
        is_read_noisy=h.read_noise == "on",
        is_symmetric=needs_symmetry(scenario),
        care=Care(write=care.write if device.pulses is not None else None, allow=care.allow),
        seed=scenario.seeds.train,
    )


def needs_symmetry(scenario: Scenario) -> bool:
    """Whether the scenario's gradient is only defined for a symmetric W."""
    return scenario.gradient.method == "equilibrium-propagation" or scenario.train.gradient_solver == "cg"
