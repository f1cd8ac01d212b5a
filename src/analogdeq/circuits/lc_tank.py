"""A van der Pol LC tank as a circuit: component values, and what averaging over a cycle makes of them."""

import math
from dataclasses import dataclass, fields
from typing import final

from analogdeq.circuits.oscillator import OscillatorKind
from analogdeq.errors import RangeError
from analogdeq.units import BOLTZMANN_J_PER_K


@final
@dataclass(frozen=True, kw_only=True)
class LCTank:
    """C dv/dt = -i_L + g_1 v - g_3 v^3 + I_inj,   L di_L/dt = v.

    The active element's negative conductance is `startup` times the loss 1 / R_p, R_p = Q sqrt(L / C); what is left,
    g_1, makes oscillations grow until g_3 v^3 takes it up at the amplitude A = sqrt(4 g_1 / 3 g_3). With
    v = Re(A a e^{i w t}) averaging over a cycle gives

        da/ds = (1 + i delta - |a|^2) a + F,   s = t / tau,   tau = 2 C / g_1,   F = I_inj / (g_1 A)

    Attributes:
        C_F: [F]. Tank capacitor.
        L_H: [H]. Tank inductor.
        Q: [1]. Quality factor of the tank alone.
        startup: [1]. Small-signal loop gain g_m R_p; > 1.
        amplitude_V: [V]. Free amplitude A.
        efficiency: [1]. Tank loss over supply power, 0 to 1.

    Source: B. van der Pol, Phil. Mag. 3:65 (1927); averaging, textbook (valid for g_1 / (w_0 C) << 1).
    """

    C_F: float
    L_H: float
    Q: float
    startup: float = 2.0
    amplitude_V: float
    efficiency: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values no tank can have.

        Raises:
            RangeError: naming the value.
        """
        for item in fields(self):
            value = getattr(self, item.name)
            if not (0 < value < math.inf):
                raise RangeError(f"tank {item.name} = {value} must be positive and finite")
        if self.startup <= 1:
            raise RangeError(f"tank startup = {self.startup:g} must exceed 1, or nothing oscillates")
        if self.efficiency > 1:
            raise RangeError(f"tank efficiency = {self.efficiency:g} must not exceed 1")

    @property
    def omega(self) -> float:
        """[rad/s]. 1 / sqrt(L C)."""
        return 1 / math.sqrt(self.L_H * self.C_F)

    @property
    def frequency_Hz(self) -> float:
        """[Hz]. Resonance."""
        return self.omega / (2 * math.pi)

    @property
    def loss_ohm(self) -> float:
        """[ohm]. R_p = Q sqrt(L / C)."""
        return self.Q * math.sqrt(self.L_H / self.C_F)

    @property
    def g1_S(self) -> float:
        """[S]. Net negative conductance at small amplitude."""
        return (self.startup - 1) / self.loss_ohm

    @property
    def g3_A_per_V3(self) -> float:
        """[A/V^3]. What limits the amplitude to `amplitude_V`."""
        return 4 * self.g1_S / (3 * self.amplitude_V**2)

    @property
    def tau_s(self) -> float:
        """[s]. 2 C / g_1; the amplitude relaxes twice as fast."""
        return 2 * self.C_F / self.g1_S

    def injection(self, current_A: float) -> float:
        """[1]. F of an injected current's peak."""
        return current_A / (self.g1_S * self.amplitude_V)

    def coupling(self, conductance_S: float) -> float:
        """[1]. W_ij of a transconductance from tank j's voltage to tank i's current."""
        return conductance_S / self.g1_S

    def detuning(self, omega_reference: float) -> float:
        """[rad per tau]. Resonance minus the reference [rad/s]."""
        return (self.omega - omega_reference) * self.tau_s

    def lock_rate(self, current_A: float) -> float:
        """[rad/s]. Half the locking range, I / (2 C A) = (w_0 / 2 Q) (I / I_osc)."""
        return current_A / (2 * self.C_F * self.amplitude_V)

    @property
    def loss_W(self) -> float:
        """[W]. A^2 / (2 R_p), the tank's heat."""
        return self.amplitude_V**2 / (2 * self.loss_ohm)

    @property
    def power_W(self) -> float:
        """[W]. From the supply."""
        return self.loss_W / self.efficiency

    def diffusion_per_s(self, *, temperature_K: float = 300.0, noise_factor: float = 2.0) -> float:
        """[rad^2/s]. D = (w_0 / 2 Q)^2 F k T / P_s, Leeson's 1/f^2 region as phase diffusion; P_s the tank's loss."""
        return (self.omega / (2 * self.Q)) ** 2 * noise_factor * BOLTZMANN_J_PER_K * temperature_K / self.loss_W

    def kind(self, unit_current_A: float, *, frequency_sd: float = 0.0, temperature_K: float = 300.0) -> OscillatorKind:
        """These tanks as phase oscillators, for which `unit_current_A` is a weight of 1.

        Raises:
            RangeError: if that current pulls by more than half the frequency.
        """
        return OscillatorKind(
            name="lc-tank",
            title=f"LC tanks, Q = {self.Q:g}",
            frequency_Hz=self.frequency_Hz,
            power_W=self.power_W,
            lock_ratio=self.lock_rate(unit_current_A) / self.omega,
            frequency_sd=frequency_sd,
            linewidth_Hz=self.diffusion_per_s(temperature_K=temperature_K) / math.pi,
            source="component values; averaging (docs/oscillators.md)",
        )


def phase_noise_dBc_per_Hz(diffusion_per_s: float, offset_Hz: float) -> float:
    """L(f_m) = 10 log10[ 2 D / (D^2 + (2 pi f_m)^2) ]: a diffusing phase's Lorentzian line, `offset_Hz` beside it."""
    return 10 * math.log10(2 * diffusion_per_s / (diffusion_per_s**2 + (2 * math.pi * offset_Hz) ** 2))


def diffusion_from_phase_noise(level_dBc_per_Hz: float, offset_Hz: float) -> float:
    """[rad^2/s]. D of a level far out in the 1/f^2 region, D = (2 pi f_m)^2 10^(L/10) / 2."""
    return 0.5 * (2 * math.pi * offset_Hz) ** 2 * 10 ** (level_dBc_per_Hz / 10)
