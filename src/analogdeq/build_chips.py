"""From a scenario and a core to a chip: the device, the care it gets, its age."""

from dataclasses import replace

from analogdeq import library
from analogdeq.ageing.life import Care
from analogdeq.ageing.maintenance import GlobalCompensation, PeriodicRefresh
from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.chip import Chip
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.opamp import OpAmp
from analogdeq.circuits.oscillator import OscillatorKind
from analogdeq.cores.analog import AnalogCore
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.devices.preset import DevicePreset
from analogdeq.devices.pulses import WriteVerify
from analogdeq.errors import InputError
from analogdeq.oscillator_chip import AnyChip, OscillatorChip
from analogdeq.oscillator_presets import oscillator_kind
from analogdeq.scenario import Scenario


def build_oscillators(scenario: Scenario) -> OscillatorKind:
    """The scenario's kind of oscillator: its preset, with what the scenario says itself."""
    o = scenario.oscillator
    kind = oscillator_kind(o.preset)
    return replace(
        kind,
        frequency_Hz=kind.frequency_Hz if o.frequency_Hz is None else o.frequency_Hz,
        lock_ratio=kind.lock_ratio if o.lock_ratio is None else o.lock_ratio,
        frequency_sd=o.frequency_sd,
        linewidth_Hz=o.linewidth_Hz,
    )


def build_device(scenario: Scenario) -> DevicePreset:
    """The scenario's device preset, with as many levels as it asks for."""
    preset = library.device_preset(scenario.device.preset)
    return preset if scenario.device.levels is None else replace(preset, levels=scenario.device.levels)


def build_care(scenario: Scenario) -> Care:
    """How the scenario's chip is written and looked after."""
    d, a = scenario.device, scenario.ageing
    return Care(
        write=None if d.write_tolerance is None else WriteVerify(tolerance=d.write_tolerance),
        compensation=None if a.compensation_s is None else GlobalCompensation(every_s=a.compensation_s),
        refresh=None
        if a.refresh_s is None
        else PeriodicRefresh(every_s=a.refresh_s, device_energy_J=a.refresh_device_J),
        allow=d.allow.split(),
    )


def build_opamp(scenario: Scenario) -> OpAmp:
    """The scenario's operational amplifiers, for level 1."""
    o = scenario.circuit.opamp
    return OpAmp(
        dc_gain=o.dc_gain,
        slew_V_per_s=o.slew_V_per_s,
        swing_V=o.swing_V,
        offset_sigma_V=o.offset_sigma_V,
        input_noise_V_per_rtHz=o.input_noise_V_per_rtHz,
        noise_gamma=o.noise_gamma,
        summing_C_F=o.summing_C_F,
        has_line_poles=o.line_drivers == "one-pole",
        driver_R_ohm=o.driver_R_ohm,
        cell_C_F=o.cell_C_F,
    )


def place_on_chip(scenario: Scenario, core: AnalogCore, circuit: CrossbarCircuit, seed: int) -> AnyChip:
    """A chip of the scenario's device, and of its oscillators where the core is one of those.

    Raises:
        InputError: if the core is not of the scenario's kind, or an oscillator's devices are to age.
    """
    if isinstance(core, OscillatorCore) == (scenario.oscillator.core == "none"):
        raise InputError(
            f"a {type(core).__name__} does not fit the scenario's oscillator.core = {scenario.oscillator.core!r}"
        )
    device, age = build_device(scenario), scenario.ageing
    if isinstance(core, SaturatingNetwork):
        chip = Chip(core, circuit, device, seed=seed, care=build_care(scenario))
        chip.age(age.age_s, age.temperature_K)
        return chip if scenario.circuit.level == 0 else AmplifiedChip(chip, build_opamp(scenario))
    if scenario.circuit.level != 0:
        raise InputError(f"scenario {scenario.name!r}: circuit.level = 1 is known for crossbars of RC cores only")
    if age != type(age)():
        raise InputError(f"scenario {scenario.name!r}: [ageing] acts on crossbars of RC cores, not on oscillators yet")
    kind, temperature_K = build_oscillators(scenario), scenario.oscillator.temperature_K
    return OscillatorChip(core, circuit, kind, device, seed=seed, temperature_K=temperature_K)
