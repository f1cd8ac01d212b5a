"""Simulate Deep Equilibrium Models that run on analog hardware.

    import analogdeq as adq

The public names are listed in `__all__`. Importing the package is cheap: torch is imported with the first name that
needs it.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analogdeq.ageing.amplifier import AmplifierAgeing
    from analogdeq.ageing.life import Care
    from analogdeq.ageing.maintenance import GlobalCompensation, PeriodicRefresh
    from analogdeq.build import build_chip, build_circuit, build_data, build_model
    from analogdeq.chip import Chip
    from analogdeq.circuits.amplifier import Amplifier
    from analogdeq.circuits.components import CrossbarCircuit
    from analogdeq.circuits.converters import Converter
    from analogdeq.circuits.ledger import Ledger
    from analogdeq.cores.conv import ConvCore
    from analogdeq.cores.rc import RCCore
    from analogdeq.devices.preset import DevicePreset
    from analogdeq.devices.pulses import WriteVerify
    from analogdeq.errors import AnalogdeqError
    from analogdeq.gradient.equilibrium import equilibrium
    from analogdeq.gradient.forward import ByRootFinding, BySettling
    from analogdeq.gradient.implicit import ImplicitGradient
    from analogdeq.gradient.log import SolveLog
    from analogdeq.library import device_names, device_preset
    from analogdeq.models.hybrid import HybridDEQ
    from analogdeq.noise.ensemble import NoiseOptions, settle_with_noise
    from analogdeq.noise.intensity import white_noise
    from analogdeq.scenario import Scenario, dump_scenario, load_scenario
    from analogdeq.solve.options import SettleOptions
    from analogdeq.solve.record import Record
    from analogdeq.solve.settle import settle
    from analogdeq.solve.settled import Settled
    from analogdeq.solve.trace import Trace
    from analogdeq.solve.verdict import Verdict
    from analogdeq.studies.population import make_population, yield_curve
    from analogdeq.trace import TraceFile, TraceHeader, TraceWriter, open_trace, provenance, write_trace

_HOME = {
    "Amplifier": "circuits.amplifier",
    "AmplifierAgeing": "ageing.amplifier",
    "AnalogdeqError": "errors",
    "ByRootFinding": "gradient.forward",
    "BySettling": "gradient.forward",
    "Care": "ageing.life",
    "Chip": "chip",
    "ConvCore": "cores.conv",
    "Converter": "circuits.converters",
    "CrossbarCircuit": "circuits.components",
    "DevicePreset": "devices.preset",
    "GlobalCompensation": "ageing.maintenance",
    "HybridDEQ": "models.hybrid",
    "ImplicitGradient": "gradient.implicit",
    "Ledger": "circuits.ledger",
    "NoiseOptions": "noise.ensemble",
    "PeriodicRefresh": "ageing.maintenance",
    "RCCore": "cores.rc",
    "Record": "solve.record",
    "Scenario": "scenario",
    "SettleOptions": "solve.options",
    "Settled": "solve.settled",
    "SolveLog": "gradient.log",
    "Trace": "solve.trace",
    "TraceFile": "trace",
    "TraceHeader": "trace",
    "TraceWriter": "trace",
    "Verdict": "solve.verdict",
    "WriteVerify": "devices.pulses",
    "build_chip": "build",
    "build_circuit": "build",
    "build_data": "build",
    "build_model": "build",
    "device_names": "library",
    "device_preset": "library",
    "dump_scenario": "scenario",
    "equilibrium": "gradient.equilibrium",
    "load_scenario": "scenario",
    "make_population": "studies.population",
    "open_trace": "trace",
    "provenance": "trace",
    "settle": "solve.settle",
    "settle_with_noise": "noise.ensemble",
    "white_noise": "noise.intensity",
    "write_trace": "trace",
    "yield_curve": "studies.population",
}

__all__ = [
    "Amplifier",
    "AmplifierAgeing",
    "AnalogdeqError",
    "ByRootFinding",
    "BySettling",
    "Care",
    "Chip",
    "ConvCore",
    "Converter",
    "CrossbarCircuit",
    "DevicePreset",
    "GlobalCompensation",
    "HybridDEQ",
    "ImplicitGradient",
    "Ledger",
    "NoiseOptions",
    "PeriodicRefresh",
    "RCCore",
    "Record",
    "Scenario",
    "SettleOptions",
    "Settled",
    "SolveLog",
    "Trace",
    "TraceFile",
    "TraceHeader",
    "TraceWriter",
    "Verdict",
    "WriteVerify",
    "build_chip",
    "build_circuit",
    "build_data",
    "build_model",
    "device_names",
    "device_preset",
    "dump_scenario",
    "equilibrium",
    "load_scenario",
    "make_population",
    "open_trace",
    "provenance",
    "settle",
    "settle_with_noise",
    "white_noise",
    "write_trace",
    "yield_curve",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("analogdeq")
    if name not in _HOME:
        raise AttributeError(f"module 'analogdeq' has no attribute {name!r}")
    return getattr(import_module(f"analogdeq.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
