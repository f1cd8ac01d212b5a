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
    from analogdeq.circuits.ledger import Ledger
    from analogdeq.cores.conv import ConvCore
    from analogdeq.cores.rc import RCCore
    from analogdeq.devices.preset import DevicePreset
    from analogdeq.errors import AnalogdeqError
    from analogdeq.gradient.equilibrium import equilibrium
    from analogdeq.gradient.forward import ByRootFinding, BySettling
    from analogdeq.gradient.implicit import ImplicitGradient
    from analogdeq.gradient.log import SolveLog
    from analogdeq.gradient.machine import through_chip
    from analogdeq.gradient.physical import PhysicalAdjoint
    from analogdeq.gradient.propagation import EquilibriumPropagation
    from analogdeq.gradient.settling import Settling, differentiable_settle
    from analogdeq.gradient.shine import ByBroyden, ShineGradient
    from analogdeq.gradient.trajectory import AdjointOptions, TransientGradient, trajectory
    from analogdeq.gradient.truncated import PhantomGradient, jacobian_free
    from analogdeq.gradient.unrolled import UnrolledGradient
    from analogdeq.gradient.warm_start import WarmStart
    from analogdeq.library import device_names, device_preset
    from analogdeq.linalg.noise import ReadNoise
    from analogdeq.models.hybrid import HybridDEQ
    from analogdeq.scenario import Scenario, dump_scenario, load_scenario
    from analogdeq.solve.options import SettleOptions
    from analogdeq.solve.record import Record
    from analogdeq.solve.settle import settle
    from analogdeq.solve.settled import Settled
    from analogdeq.solve.trace import Trace
    from analogdeq.solve.verdict import Verdict
    from analogdeq.trace import TraceFile, TraceHeader, TraceWriter, open_trace, provenance, write_trace

_HOME = {
    "AdjointOptions": "gradient.trajectory",
    "Amplifier": "circuits.amplifier",
    "AnalogdeqError": "errors",
    "ByBroyden": "gradient.shine",
    "ByRootFinding": "gradient.forward",
    "BySettling": "gradient.forward",
    "Chip": "chip",
    "ConvCore": "cores.conv",
    "Converter": "circuits.converters",
    "CrossbarCircuit": "circuits.components",
    "DevicePreset": "devices.preset",
    "EquilibriumPropagation": "gradient.propagation",
    "HybridDEQ": "models.hybrid",
    "ImplicitGradient": "gradient.implicit",
    "Ledger": "circuits.ledger",
    "PhantomGradient": "gradient.truncated",
    "PhysicalAdjoint": "gradient.physical",
    "RCCore": "cores.rc",
    "ReadNoise": "linalg.noise",
    "Record": "solve.record",
    "Scenario": "scenario",
    "SettleOptions": "solve.options",
    "Settled": "solve.settled",
    "Settling": "gradient.settling",
    "ShineGradient": "gradient.shine",
    "SolveLog": "gradient.log",
    "Trace": "solve.trace",
    "TraceFile": "trace",
    "TraceHeader": "trace",
    "TraceWriter": "trace",
    "TransientGradient": "gradient.trajectory",
    "UnrolledGradient": "gradient.unrolled",
    "Verdict": "solve.verdict",
    "WarmStart": "gradient.warm_start",
    "build_chip": "build",
    "build_circuit": "build",
    "build_data": "build",
    "build_model": "build",
    "device_names": "library",
    "device_preset": "library",
    "differentiable_settle": "gradient.settling",
    "dump_scenario": "scenario",
    "equilibrium": "gradient.equilibrium",
    "jacobian_free": "gradient.truncated",
    "load_scenario": "scenario",
    "open_trace": "trace",
    "provenance": "trace",
    "settle": "solve.settle",
    "through_chip": "gradient.machine",
    "trajectory": "gradient.trajectory",
    "write_trace": "trace",
}

__all__ = [
    "AdjointOptions",
    "Amplifier",
    "AnalogdeqError",
    "ByBroyden",
    "ByRootFinding",
    "BySettling",
    "Chip",
    "ConvCore",
    "Converter",
    "CrossbarCircuit",
    "DevicePreset",
    "EquilibriumPropagation",
    "HybridDEQ",
    "ImplicitGradient",
    "Ledger",
    "PhantomGradient",
    "PhysicalAdjoint",
    "RCCore",
    "ReadNoise",
    "Record",
    "Scenario",
    "SettleOptions",
    "Settled",
    "Settling",
    "ShineGradient",
    "SolveLog",
    "Trace",
    "TraceFile",
    "TraceHeader",
    "TraceWriter",
    "TransientGradient",
    "UnrolledGradient",
    "Verdict",
    "WarmStart",
    "build_chip",
    "build_circuit",
    "build_data",
    "build_model",
    "device_names",
    "device_preset",
    "differentiable_settle",
    "dump_scenario",
    "equilibrium",
    "jacobian_free",
    "load_scenario",
    "open_trace",
    "provenance",
    "settle",
    "through_chip",
    "trajectory",
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
