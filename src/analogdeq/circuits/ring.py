"""A ring oscillator of saturating stages as a circuit."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt

from analogdeq.circuits.phase_response import PhaseResponse, phase_response
from analogdeq.errors import RangeError

Float64 = npt.NDArray[np.float64]


@final
@dataclass(frozen=True)
class RingOscillator:
    """An odd number of inverting stages in a ring, each a saturating current into a loaded node.

    C dv_k/dt = -v_k / R - (V_DD / 2 R) tanh( G v_{k-1} / (V_DD / 2) ) + i_k

    Voltages are about mid-supply. Currents injected into a node shift the phase by what `response` says.

    Attributes:
        stages: odd, at least 3.
        node_C_F: [F].
        node_R_ohm: [ohm]. Load of a stage; swing V_DD / 2 over it is the stage's current.
        gain: [1]. Small-signal gain G of a stage; above 1 / cos(pi / stages).
        supply_V: [V]. V_DD.

    Raises:
        RangeError: if it does not oscillate.
    """

    stages: int
    node_C_F: float
    node_R_ohm: float
    gain: float
    supply_V: float

    def __post_init__(self) -> None:
        """Refuse a ring that does not oscillate."""
        if self.stages < 3 or self.stages % 2 == 0:
            raise RangeError(f"a ring needs an odd number of stages, at least 3, got {self.stages}")
        for name in ("node_C_F", "node_R_ohm", "gain", "supply_V"):
            if not (0 < getattr(self, name) < math.inf):
                raise RangeError(f"ring {name} = {getattr(self, name)} must be positive and finite")
        least = 1 / math.cos(math.pi / self.stages)
        if self.gain <= least:
            raise RangeError(f"ring gain = {self.gain:g} must exceed {least:.3g} for {self.stages} stages to oscillate")

    def flow(self, x: Float64) -> Float64:
        """dx/d(t / R C) with x = v / (V_DD / 2)."""
        return -x - np.tanh(self.gain * np.roll(x, 1))

    def jacobian(self, x: Float64) -> Float64:
        """Of `flow`."""
        slope = self.gain / np.cosh(self.gain * np.roll(x, 1)) ** 2
        matrix = -np.eye(self.stages)
        matrix[np.arange(self.stages), np.arange(-1, self.stages - 1)] = -slope
        return matrix

    @cached_property
    def response(self) -> PhaseResponse:
        """Limit cycle and phase response in units of R C and V_DD / 2; phase 0 where node 0 rises through 0."""
        start = 0.5 * np.cos(2 * np.pi * np.arange(self.stages) * (self.stages // 2) / self.stages)
        return phase_response(self.flow, self.jacobian, start)

    @property
    def frequency_Hz(self) -> float:
        """[Hz]. Of the free ring."""
        return 1 / (self.response.period * self.node_R_ohm * self.node_C_F)

    def pull(self, current_A: float) -> complex:
        """[rad/s]. p + i q of the phase equation for I cos(w t) into node 0; its modulus is half the range."""
        unit_A = self.supply_V / 2 / self.node_R_ohm
        first = self.response.harmonic(0, 1)
        omega = 2 * math.pi * self.frequency_Hz
        size = 0.5 * omega * (current_A / unit_A) * abs(first)
        return size * complex(math.sin(np.angle(first)), math.cos(np.angle(first)))

    @property
    def switching_W(self) -> float:
        """[W]. stages C V_DD^2 f, charge drawn to swing every node rail to rail; short circuit not counted."""
        return self.stages * self.node_C_F * self.supply_V**2 * self.frequency_Hz
