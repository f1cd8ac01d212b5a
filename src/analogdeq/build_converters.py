"""From a scenario to its converters, on the chip and in training."""

from torch import nn

from analogdeq import library
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.converters import Converter, capacitive_dac_energy_J
from analogdeq.errors import InputError
from analogdeq.models.straight_through import behind_converters
from analogdeq.scenario import Scenario
from analogdeq.scenario.circuit import Adc, Dac


def converters_of(scenario: Scenario) -> tuple[Converter, Converter]:
    """The scenario's DAC and ADC; energies not given come from the shipped tables."""
    c = scenario.circuit
    dac_J, dac_source = c.dac.energy_J, "given by the scenario"
    if dac_J is None:
        dac_J = capacitive_dac_energy_J(c.dac.bits, c.dac.unit_C_F, c.supply_V)
        dac_source = "2^bits C_u V_DD^2, charge of a capacitor array; a design estimate without drivers"
    adc_J, adc_source = c.adc.energy_J, "given by the scenario"
    if adc_J is None:
        adc_J, adc_source = library.adc_energy_J(c.adc.bits, c.adc.speed, c.adc.quantile)
    return _converter(c.dac, dac_J, dac_source), _converter(c.adc, adc_J, adc_source)


def with_trained_converters(scenario: Scenario, model: nn.Module, circuit: CrossbarCircuit) -> nn.Module:
    """The model, behind the circuit's converters where the scenario trains with them.

    Raises:
        InputError: for a model that no such converters belong to.
    """
    kind, oscillators = scenario.model.kind, scenario.oscillator.core
    if scenario.train.converters == "ideal":
        return model
    if kind != "hybrid" or oscillators != "none":
        raise InputError(
            f"scenario {scenario.name!r}: train.converters = 'straight-through' takes model.kind = 'hybrid' and "
            f"oscillator.core = 'none', not {kind!r} and {oscillators!r}"
        )
    return behind_converters(model, circuit.dac, circuit.adc)


def _converter(said: Dac | Adc, energy_J: float, source: str) -> Converter:
    return Converter(
        bits=said.bits,
        energy_J=energy_J,
        conversion_s=said.conversion_s,
        full_scale=said.full_scale,
        inl_lsb=said.inl_lsb,
        dnl_lsb=said.dnl_lsb,
        noise_lsb=said.noise_lsb,
        source=source,
    )
