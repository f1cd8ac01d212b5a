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
    from analogdeq.amplified_chip import AmplifiedChip
    from analogdeq.build import build_chip, build_circuit, build_data, build_model
    from analogdeq.chip import Chip
    from analogdeq.circuits.amplifier import Amplifier
    from analogdeq.circuits.components import CrossbarCircuit
    from analogdeq.circuits.converters import Converter
    from analogdeq.circuits.lc_tank import LCTank
    from analogdeq.circuits.ledger import Ledger
    from analogdeq.circuits.opamp import OpAmp
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
    from analogdeq.devices.amplified import amplified
    from analogdeq.devices.preset import DevicePreset
    from analogdeq.devices.pulses import WriteVerify
    from analogdeq.errors import AnalogdeqError
    from analogdeq.gradient.equilibrium import equilibrium
    from analogdeq.gradient.forward import ByIteration, ByRootFinding, BySettling
    from analogdeq.gradient.implicit import ImplicitGradient
    from analogdeq.gradient.log import SolveLog
    from analogdeq.gradient.machine import through_chip
    from analogdeq.gradient.phase_propagation import PhasePropagation
    from analogdeq.gradient.physical import PhysicalAdjoint
    from analogdeq.gradient.propagation import EquilibriumPropagation
    from analogdeq.gradient.rotating_wave import rotating_wave
    from analogdeq.gradient.settling import Settling, differentiable_settle
    from analogdeq.gradient.shine import ByBroyden, ShineGradient
    from analogdeq.gradient.straight_through import straight_through
    from analogdeq.gradient.trajectory import AdjointOptions, TransientGradient, trajectory
    from analogdeq.gradient.truncated import PhantomGradient, jacobian_free
    from analogdeq.gradient.unrolled import UnrolledGradient
    from analogdeq.gradient.warm_start import WarmStart
    from analogdeq.library import device_names, device_preset
    from analogdeq.linalg.noise import ReadNoise
    from analogdeq.models.anderson import ByAnderson
    from analogdeq.models.chain import ChainDEQ
    from analogdeq.models.hybrid import HybridDEQ
    from analogdeq.noise.amplified import node_covariance, output_noise
    from analogdeq.noise.ensemble import NoiseOptions, settle_with_noise
    from analogdeq.noise.intensity import white_noise
    from analogdeq.oscillator_chip import OscillatorChip
    from analogdeq.oscillator_presets import oscillator_kind, oscillator_names
    from analogdeq.scenario import Scenario, dump_scenario, load_scenario
    from analogdeq.solve.margin import AmplifierMargin, amplifier_margin, skew_limit
    from analogdeq.solve.options import SettleOptions
    from analogdeq.solve.record import Record
    from analogdeq.solve.settle import settle
    from analogdeq.solve.settled import Settled
    from analogdeq.solve.trace import Trace
    from analogdeq.solve.verdict import Verdict
    from analogdeq.stability.multistability import Rests, Stability, find_rests
    from analogdeq.stability.parametrise import certificates, parametrise
    from analogdeq.studies.population import make_population, yield_curve
    from analogdeq.trace import TraceFile, TraceHeader, TraceWriter, open_trace, provenance, write_trace
    from analogdeq.train.fresh_chips import FreshChips

_HOME = {
    "AdjointOptions": "gradient.trajectory",
    "Amplifier": "circuits.amplifier",
    "AmplifiedChip": "amplified_chip",
    "AmplifierAgeing": "ageing.amplifier",
    "AmplifierMargin": "solve.margin",
    "AnalogdeqError": "errors",
    "ByAnderson": "models.anderson",
    "ByBroyden": "gradient.shine",
    "ByIteration": "gradient.forward",
    "ByRootFinding": "gradient.forward",
    "BySettling": "gradient.forward",
    "ChainDEQ": "models.chain",
    "Care": "ageing.life",
    "Chip": "chip",
    "ConvCore": "cores.conv",
    "Converter": "circuits.converters",
    "Corotating": "cores.oscillators.corotating",
    "CrossbarCircuit": "circuits.components",
    "DevicePreset": "devices.preset",
    "EquilibriumPropagation": "gradient.propagation",
    "FreshChips": "train.fresh_chips",
    "GlobalCompensation": "ageing.maintenance",
    "HybridDEQ": "models.hybrid",
    "ImplicitGradient": "gradient.implicit",
    "LCTank": "circuits.lc_tank",
    "Ledger": "circuits.ledger",
    "OpAmp": "circuits.opamp",
    "OrderParameter": "cores.oscillators.features",
    "OscillatorChip": "oscillator_chip",
    "OscillatorKind": "circuits.oscillator",
    "OscillatorLedger": "circuits.oscillator_ledger",
    "PhaseCore": "cores.oscillators.phase",
    "PhaseDifferences": "cores.oscillators.features",
    "Quadratures": "cores.oscillators.features",
    "PhantomGradient": "gradient.truncated",
    "PhysicalAdjoint": "gradient.physical",
    "NoiseOptions": "noise.ensemble",
    "PeriodicRefresh": "ageing.maintenance",
    "RCCore": "cores.rc",
    "ReadNoise": "linalg.noise",
    "Record": "solve.record",
    "Rests": "stability.multistability",
    "RingOscillator": "circuits.ring",
    "Stability": "stability.multistability",
    "find_rests": "stability.multistability",
    "Scenario": "scenario",
    "SettleOptions": "solve.options",
    "Settled": "solve.settled",
    "Settling": "gradient.settling",
    "ShineGradient": "gradient.shine",
    "SolveLog": "gradient.log",
    "SquaredAmplitudes": "cores.oscillators.features",
    "StuartLandauCore": "cores.oscillators.stuart_landau",
    "Trace": "solve.trace",
    "TraceFile": "trace",
    "TraceHeader": "trace",
    "TraceWriter": "trace",
    "TransientGradient": "gradient.trajectory",
    "UnrolledGradient": "gradient.unrolled",
    "Verdict": "solve.verdict",
    "WarmStart": "gradient.warm_start",
    "WriteVerify": "devices.pulses",
    "amplified": "devices.amplified",
    "amplifier_margin": "solve.margin",
    "build_chip": "build",
    "build_circuit": "build",
    "build_data": "build",
    "build_model": "build",
    "certificates": "stability.parametrise",
    "device_names": "library",
    "device_preset": "library",
    "diffuse": "cores.oscillators.noise",
    "differentiable_settle": "gradient.settling",
    "dump_scenario": "scenario",
    "equilibrium": "gradient.equilibrium",
    "jacobian_free": "gradient.truncated",
    "load_scenario": "scenario",
    "make_population": "studies.population",
    "node_covariance": "noise.amplified",
    "open_trace": "trace",
    "oscillator_kind": "oscillator_presets",
    "oscillator_names": "oscillator_presets",
    "output_noise": "noise.amplified",
    "PhasePropagation": "gradient.phase_propagation",
    "parametrise": "stability.parametrise",
    "provenance": "trace",
    "ring_core": "cores.oscillators.from_circuit",
    "rotating_wave": "gradient.rotating_wave",
    "settle": "solve.settle",
    "straight_through": "gradient.straight_through",
    "tank_core": "cores.oscillators.from_circuit",
    "through_chip": "gradient.machine",
    "trajectory": "gradient.trajectory",
    "settle_with_noise": "noise.ensemble",
    "skew_limit": "solve.margin",
    "white_noise": "noise.intensity",
    "write_trace": "trace",
    "yield_curve": "studies.population",
}

__all__ = [
    "AdjointOptions",
    "AmplifiedChip",
    "Amplifier",
    "AmplifierAgeing",
    "AmplifierMargin",
    "AnalogdeqError",
    "ByAnderson",
    "ByBroyden",
    "ByIteration",
    "ByRootFinding",
    "BySettling",
    "Care",
    "ChainDEQ",
    "Chip",
    "ConvCore",
    "Converter",
    "Corotating",
    "CrossbarCircuit",
    "DevicePreset",
    "EquilibriumPropagation",
    "FreshChips",
    "GlobalCompensation",
    "HybridDEQ",
    "ImplicitGradient",
    "LCTank",
    "Ledger",
    "NoiseOptions",
    "OpAmp",
    "OrderParameter",
    "OscillatorChip",
    "OscillatorKind",
    "OscillatorLedger",
    "PeriodicRefresh",
    "PhantomGradient",
    "PhaseCore",
    "PhaseDifferences",
    "PhasePropagation",
    "PhysicalAdjoint",
    "Quadratures",
    "RCCore",
    "ReadNoise",
    "Record",
    "Rests",
    "RingOscillator",
    "Scenario",
    "SettleOptions",
    "Settled",
    "Settling",
    "ShineGradient",
    "SolveLog",
    "SquaredAmplitudes",
    "Stability",
    "StuartLandauCore",
    "Trace",
    "TraceFile",
    "TraceHeader",
    "TraceWriter",
    "TransientGradient",
    "UnrolledGradient",
    "Verdict",
    "WarmStart",
    "WriteVerify",
    "amplified",
    "amplifier_margin",
    "build_chip",
    "build_circuit",
    "build_data",
    "build_model",
    "certificates",
    "device_names",
    "device_preset",
    "differentiable_settle",
    "diffuse",
    "dump_scenario",
    "equilibrium",
    "find_rests",
    "jacobian_free",
    "load_scenario",
    "make_population",
    "node_covariance",
    "open_trace",
    "oscillator_kind",
    "oscillator_names",
    "output_noise",
    "parametrise",
    "provenance",
    "ring_core",
    "rotating_wave",
    "settle",
    "settle_with_noise",
    "skew_limit",
    "straight_through",
    "tank_core",
    "through_chip",
    "trajectory",
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
