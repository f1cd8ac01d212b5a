"""The component values of an RC crossbar circuit."""

import math
from dataclasses import dataclass, field, fields
from typing import final

from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.converters import Converting
from analogdeq.circuits.wires import Wires
from analogdeq.errors import RangeError

MAPPINGS = ("one-sided", "balanced")


@final
@dataclass(frozen=True, kw_only=True)
class CrossbarCircuit:
    """Everything a board designer chooses about an RC crossbar, level 0 (ideal amplifiers).

    Attributes:
        mapping: "one-sided" (lowest power) or "balanced" (constant row sums).
        g_min_S: [S]. Lowest programmable conductance; >= 0.
        g_max_S: [S]. Highest; > g_min_S.
        unit_voltage_V: [V]. The voltage that stands for z = 1.
        node_R_ohm: [ohm]. Resistor between amplifier and node.
        node_C_F: [F]. Capacitor at the node.
        node_leak_S: [S]. Leak beside the capacitor; >= 0.
        supply_V: [V]. Each rail, +- ; >= unit_voltage_V.
        amplifier: the amplifiers' bandwidth and quiescent power.
        wires: of the crossbar.
        dac: input converter.
        adc: output converter.
    """

    mapping: str = "one-sided"
    g_min_S: float
    g_max_S: float
    unit_voltage_V: float = 0.1
    node_R_ohm: float = 1e5
    node_C_F: float = 1e-13
    node_leak_S: float = 0.0
    supply_V: float = 0.9
    amplifier: Amplifier = field(default_factory=Amplifier)
    wires: Wires = field(default_factory=Wires)
    dac: Converting
    adc: Converting

    def __post_init__(self) -> None:
        """Refuse values no circuit can have.

        Raises:
            RangeError: naming the value.
        """
        if self.mapping not in MAPPINGS:
            raise RangeError(f"unknown mapping {self.mapping!r}; known: {', '.join(map(repr, MAPPINGS))}")
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, float | int) and not math.isfinite(value):
                raise RangeError(f"circuit {item.name} = {value} must be finite")
        for name in ("unit_voltage_V", "node_R_ohm", "node_C_F", "supply_V", "g_max_S"):
            if getattr(self, name) <= 0:
                raise RangeError(f"circuit {name} = {getattr(self, name):g} must be positive")
        for name in ("g_min_S", "node_leak_S"):
            if getattr(self, name) < 0:
                raise RangeError(f"circuit {name} = {getattr(self, name):g} S must not be negative")
        if self.g_max_S <= self.g_min_S:
            raise RangeError(
                f"circuit g_max_S = {self.g_max_S:g} S must exceed g_min_S = {self.g_min_S:g} S: "
                f"with no window between them no weight can be stored"
            )
        if self.unit_voltage_V > self.supply_V:
            raise RangeError(
                f"circuit unit_voltage_V = {self.unit_voltage_V:g} V exceeds supply_V = {self.supply_V:g} V"
            )

    @property
    def gain(self) -> float:
        """[1]. 1 / (1 + R G_L): how much of the amplifier's swing reaches a leaky node at rest."""
        return 1 / (1 + self.node_R_ohm * self.node_leak_S)

    @property
    def tau_s(self) -> float:
        """[s]. C / (1/R + G_L)."""
        return self.node_R_ohm * self.node_C_F * self.gain
