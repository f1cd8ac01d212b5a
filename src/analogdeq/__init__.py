"""Simulate Deep Equilibrium Models that run on analog hardware.

    import analogdeq as adq

The public names are listed in `__all__`. Importing the package is cheap: torch is imported with the first name that
needs it.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analogdeq.build import build_chip, build_circuit, build_data, build_model
    from analogdeq.chip import Chip
    from analogdeq.circuits.amplifier import Amplifier
    from analogdeq.circuits.components import CrossbarCircuit
    from analogdeq.circuits.converters import Converter
    from analogdeq.circuits.lc_tank import LCTank
    from analogdeq.circuits.ledger import Ledger
    from analogdeq.circuits.oscillator import OscillatorKind
    from analogdeq.circuits.oscillator_ledger import OscillatorLedger
    from analogdeq.circuits.ring import RingOscillator
    from analogdeq.cores.conv import ConvCore
    from analogdeq.cores.oscillators.corotating import Corotating
    from analogdeq.cores.oscillators.features import OrderParameter, PhaseDifferences, Quadratures, SquaredAmplitudes
    from analogdeq.cores.oscillators.from_circuit import ring_core, tank_core
    from analogdeq.cores.oscillators.noise import diffuse
    from analogdeq.cores.oscillators.phase import PhaseCore
    from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
    from analogdeq.cores.rc import RCCore
    from analogdeq.devices.preset import DevicePreset
    from analogdeq.errors import AnalogdeqError
    from analogdeq.gradient.equilibrium import equilibrium
    from analogdeq.gradient.forward import ByRootFinding, BySettling
    from analogdeq.gradient.implicit import ImplicitGradient
    from analogdeq.gradient.log import SolveLog
    from analogdeq.gradient.phase_propagation import phase_propagation
    from analogdeq.gradient.rotating_wave import rotating_wave
    from analogdeq.library import device_names, device_preset
    from analogdeq.models.anderson import ByAnderson
    from analogdeq.models.chain import ChainDEQ
    from analogdeq.models.hybrid import HybridDEQ
    from analogdeq.oscillator_chip import OscillatorChip
    from analogdeq.oscillator_presets import oscillator_kind, oscillator_names
    from analogdeq.scenario import Scenario, dump_scenario, load_scenario
    from analogdeq.solve.options import SettleOptions
    from analogdeq.solve.record import Record
    from analogdeq.solve.settle import settle
    from analogdeq.solve.settled import Settled
    from analogdeq.solve.trace import Trace
    from analogdeq.solve.verdict import Verdict
    from analogdeq.stability.parametrise import certificates, parametrise
    from analogdeq.trace import TraceFile, TraceHeader, TraceWriter, open_trace, provenance, write_trace

_HOME = {
    "Amplifier": "circuits.amplifier",
    "AnalogdeqError": "errors",
    "ByAnderson": "models.anderson",
    "ByRootFinding": "gradient.forward",
    "BySettling": "gradient.forward",
    "ChainDEQ": "models.chain",
    "Chip": "chip",
    "ConvCore": "cores.conv",
    "Converter": "circuits.converters",
    "Corotating": "cores.oscillators.corotating",
    "CrossbarCircuit": "circuits.components",
    "DevicePreset": "devices.preset",
    "HybridDEQ": "models.hybrid",
    "ImplicitGradient": "gradient.implicit",
    "LCTank": "circuits.lc_tank",
    "Ledger": "circuits.ledger",
    "OrderParameter": "cores.oscillators.features",
    "OscillatorChip": "oscillator_chip",
    "OscillatorKind": "circuits.oscillator",
    "OscillatorLedger": "circuits.oscillator_ledger",
    "PhaseCore": "cores.oscillators.phase",
    "PhaseDifferences": "cores.oscillators.features",
    "Quadratures": "cores.oscillators.features",
    "RCCore": "cores.rc",
    "Record": "solve.record",
    "RingOscillator": "circuits.ring",
    "Scenario": "scenario",
    "SettleOptions": "solve.options",
    "Settled": "solve.settled",
    "SolveLog": "gradient.log",
    "SquaredAmplitudes": "cores.oscillators.features",
    "StuartLandauCore": "cores.oscillators.stuart_landau",
    "Trace": "solve.trace",
    "TraceFile": "trace",
    "TraceHeader": "trace",
    "TraceWriter": "trace",
    "Verdict": "solve.verdict",
    "build_chip": "build",
    "build_circuit": "build",
    "build_data": "build",
    "build_model": "build",
    "certificates": "stability.parametrise",
    "device_names": "library",
    "device_preset": "library",
    "diffuse": "cores.oscillators.noise",
    "dump_scenario": "scenario",
    "equilibrium": "gradient.equilibrium",
    "load_scenario": "scenario",
    "open_trace": "trace",
    "oscillator_kind": "oscillator_presets",
    "oscillator_names": "oscillator_presets",
    "phase_propagation": "gradient.phase_propagation",
    "parametrise": "stability.parametrise",
    "provenance": "trace",
    "ring_core": "cores.oscillators.from_circuit",
    "rotating_wave": "gradient.rotating_wave",
    "settle": "solve.settle",
    "tank_core": "cores.oscillators.from_circuit",
    "write_trace": "trace",
}

__all__ = [
    "Amplifier",
    "AnalogdeqError",
    "ByAnderson",
    "ByRootFinding",
    "BySettling",
    "ChainDEQ",
    "Chip",
    "ConvCore",
    "Converter",
    "Corotating",
    "CrossbarCircuit",
    "DevicePreset",
    "HybridDEQ",
    "ImplicitGradient",
    "LCTank",
    "Ledger",
    "OrderParameter",
    "OscillatorChip",
    "OscillatorKind",
    "OscillatorLedger",
    "PhaseCore",
    "PhaseDifferences",
    "Quadratures",
    "RCCore",
    "Record",
    "RingOscillator",
    "Scenario",
    "SettleOptions",
    "Settled",
    "SolveLog",
    "SquaredAmplitudes",
    "StuartLandauCore",
    "Trace",
    "TraceFile",
    "TraceHeader",
    "TraceWriter",
    "Verdict",
    "build_chip",
    "build_circuit",
    "build_data",
    "build_model",
    "certificates",
    "device_names",
    "device_preset",
    "diffuse",
    "dump_scenario",
    "equilibrium",
    "load_scenario",
    "open_trace",
    "oscillator_kind",
    "oscillator_names",
    "parametrise",
    "phase_propagation",
    "provenance",
    "ring_core",
    "rotating_wave",
    "settle",
    "tank_core",
    "write_trace",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("analogdeq")
    if name not in _HOME:
        raise AttributeError(f"module 'analogdeq' has no attribute {name!r}")
    return getattr(import_module(f"analogdeq.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
