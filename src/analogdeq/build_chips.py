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
from analogdeq.devices.leak import clocked
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
    said = {
        "per_decade": o.drift_per_decade,
        "sd_per_decade": o.drift_sd_per_decade,
        "from_s": o.drift_from_s,
        "activation_eV": o.drift_activation_eV,
    }
    chosen = [name for name in ("frequency_Hz", "lock_ratio") if getattr(o, name) is not None]
    return replace(
        kind,
        assumed=(*kind.assumed, *(name for name in chosen if name not in kind.assumed)),
        frequency_Hz=kind.frequency_Hz if o.frequency_Hz is None else o.frequency_Hz,
        lock_ratio=kind.lock_ratio if o.lock_ratio is None else o.lock_ratio,
        frequency_sd=o.frequency_sd,
        linewidth_Hz=o.linewidth_Hz,
        drift=replace(kind.drift, **{name: value for name, value in said.items() if value is not None}),
    )


def build_device(scenario: Scenario) -> DevicePreset:
    """The scenario's device preset, with as many levels as it asks for."""
    preset = library.device_preset(scenario.device.preset)
    if scenario.device.step_s is not None:
        preset = clocked(preset, scenario.device.step_s)
    return preset if scenario.device.levels is None else replace(preset, levels=scenario.device.levels)


def check_couplings(scenario: Scenario) -> None:
    """Find out before training whether the scenario's oscillators can be coupled by its device.

    Raises:
        InputError: if its current bends with voltage.
    """
    if scenario.oscillator.core != "none" and build_device(scenario).conduction is not None:
        raise InputError(
            f"oscillators are coupled by resistors; the current of {scenario.device.preset!r} bends with voltage"
        )


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


def place_on_chip(
    scenario: Scenario, core: AnalogCore, circuit: CrossbarCircuit, seed: int, device: DevicePreset | None = None
) -> AnyChip:
    """A chip of the scenario's device or of another, and of its oscillators where the core is one of those.

    Raises:
        InputError: if the core is not of the scenario's kind.
    """
    if isinstance(core, OscillatorCore) == (scenario.oscillator.core == "none"):
        raise InputError(
            f"a {type(core).__name__} does not fit the scenario's oscillator.core = {scenario.oscillator.core!r}"
        )
    device, age, care = device or build_device(scenario), scenario.ageing, build_care(scenario)
    if isinstance(core, SaturatingNetwork):
        chip = Chip(core, circuit, device, seed=seed, care=care, noise_seed=scenario.seeds.noise)
        chip.age(age.age_s, age.temperature_K)
        return chip if scenario.circuit.level == 0 else AmplifiedChip(chip, build_opamp(scenario))
    if scenario.circuit.level != 0:
        raise InputError(f"scenario {scenario.name!r}: circuit.level = 1 is known for crossbars of RC cores only")
    kind, noise_seed = build_oscillators(scenario), scenario.seeds.noise
    oscillators = OscillatorChip(core, circuit, kind, device, seed=seed, care=care, noise_seed=noise_seed)
    return oscillators.age(age.age_s, age.temperature_K)
