"""From a scenario to objects: the one place that knows every concrete class."""

from dataclasses import replace

import torch

from analogdeq import library
from analogdeq.ageing.life import Care
from analogdeq.ageing.maintenance import GlobalCompensation, PeriodicRefresh
from analogdeq.chip import Chip
from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.converters import Converter, capacitive_dac_energy_J
from analogdeq.cores.rc import RCCore
from analogdeq.devices.preset import DevicePreset
from analogdeq.devices.pulses import WriteVerify
from analogdeq.gradient.forward import ByRootFinding, BySettling, Forward
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.models.hybrid import HybridDEQ, digits_model
from analogdeq.scenario import Scenario
from analogdeq.solve.options import SettleOptions
from analogdeq.tasks.dataset import Dataset
from analogdeq.tasks.digits import CLASSES, PIXELS, load_digits
from analogdeq.train.fit import FitOptions

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def build_data(scenario: Scenario) -> Dataset:
    """The scenario's data set."""
    return load_digits().limit_test(scenario.task.test_limit)


def build_circuit(scenario: Scenario) -> CrossbarCircuit:
    """The scenario's component values; converter energies not given come from the shipped tables."""
    c = scenario.circuit
    dac_source = "given by the scenario"
    dac_J = c.dac.energy_J
    if dac_J is None:
        dac_J = capacitive_dac_energy_J(c.dac.bits, c.dac.unit_C_F, c.supply_V)
        dac_source = "2^bits C_u V_DD^2, charge of a capacitor array; a design estimate without drivers"
    adc_J, adc_source = c.adc.energy_J, "given by the scenario"
    if adc_J is None:
        adc_J, adc_source = library.adc_energy_J(c.adc.bits, c.adc.speed, c.adc.quantile)
    return CrossbarCircuit(
        mapping=c.mapping,
        g_min_S=c.g_min_S,
        g_max_S=c.g_max_S,
        unit_voltage_V=c.unit_voltage_V,
        node_R_ohm=c.node_R_ohm,
        node_C_F=c.node_C_F,
        node_leak_S=c.node_leak_S,
        supply_V=c.supply_V,
        amplifier=Amplifier(
            gbw_Hz=c.amplifier.gbw_Hz,
            speed_ratio=c.amplifier.speed_ratio,
            branches=c.amplifier.branches,
            gm_over_id_per_V=c.amplifier.gm_over_id_per_V,
            load_C_F=c.amplifier.load_C_F,
            bias_W=c.amplifier.bias_W,
        ),
        dac=Converter(bits=c.dac.bits, energy_J=dac_J, source=dac_source),
        adc=Converter(bits=c.adc.bits, energy_J=adc_J, conversion_s=c.adc.conversion_s, source=adc_source),
    )


def build_settle_options(scenario: Scenario) -> SettleOptions:
    """How to integrate."""
    s = scenario.settle
    return SettleOptions(
        method=s.method,
        rtol=s.rtol,
        atol=s.atol,
        band=s.band,
        dwell_tau=s.dwell_tau,
        max_time_tau=s.max_time_tau,
        max_steps=s.max_steps,
    )


def build_model(scenario: Scenario, *, seed: int | None = None) -> HybridDEQ:
    """An untrained model, the same for the same seed."""
    circuit = build_circuit(scenario)
    m, t = scenario.model, scenario.train
    forward: Forward = ByRootFinding() if t.forward == "root" else BySettling(build_settle_options(scenario))
    model = digits_model(
        pixels=PIXELS,
        inputs=m.inputs,
        nodes=m.nodes,
        classes=CLASSES,
        activation=m.activation,
        analog_init_gain=m.analog_init_gain,
        tau_s=circuit.tau_s,
        gain=circuit.gain,
        generator=torch.Generator().manual_seed(scenario.seeds.train if seed is None else seed),
        forward=forward,
        gradient=ImplicitGradient(solver=t.gradient_solver, tol=t.gradient_tol, max_iter=t.gradient_max_iter),
    )
    return model.to(DTYPES[scenario.settle.dtype])


def build_fit_options(scenario: Scenario) -> FitOptions:
    """How to train."""
    t = scenario.train
    return FitOptions(
        epochs=t.epochs,
        batch_size=t.batch_size,
        lr_digital=t.lr_digital,
        lr_analog=t.lr_analog,
        weight_decay=t.weight_decay,
        schedule=t.schedule,
        grad_clip=t.grad_clip,
        spectral_bound=scenario.model.spectral_bound,
        input_noise=t.input_noise,
        seed=scenario.seeds.train,
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


def build_chip(scenario: Scenario, core: RCCore | None = None, *, seed: int | None = None) -> Chip:
    """A chip of the scenario's circuit and device.

    Args:
        scenario: what to build.
        core: the trained core to place on it; an untrained one if None.
        seed: the chip seed; the scenario's if None.
    """
    chip = Chip(
        core or build_model(scenario).core,
        build_circuit(scenario),
        build_device(scenario),
        seed=scenario.seeds.chip if seed is None else seed,
        care=build_care(scenario),
    )
    age = scenario.ageing
    return chip.age(age.age_s, age.temperature_K)
