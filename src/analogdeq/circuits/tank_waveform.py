"""Coupled LC tanks with their carriers: the full waveform, to hold the averaged equations against."""

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
from scipy.integrate import solve_ivp

from analogdeq.circuits.lc_tank import LCTank
from analogdeq.errors import InputError

Float64 = npt.NDArray[np.float64]
Complex128 = npt.NDArray[np.complex128]
POINTS_PER_CYCLE = 32


@final
@dataclass(frozen=True)
class TankWaveform:
    """Voltages of every tank.

    Attributes:
        time_s: (point,), even.
        voltage_V: (point, tank).
        amplitude: (point, tank) complex [1]. Averaged over one cycle of the reference, in its frame, in units of the
            free amplitude; the first and last half cycle are missing and NaN.
    """

    time_s: Float64
    voltage_V: Float64
    amplitude: Complex128


def simulate_tanks(
    tank: LCTank,
    *,
    reference_Hz: float,
    injection_A: Complex128,
    coupling_S: Float64,
    detuned: Float64,
    cycles: int,
    start: Complex128 | None = None,
) -> TankWaveform:
    """Integrate Kirchhoff's laws of N coupled tanks, carrier and all.

    Args:
        tank: all of them.
        reference_Hz: frequency of the injection.
        injection_A: (tank,) complex. Re(I e^{i w t}) flows into each tank.
        coupling_S: (tank, tank). Transconductance from the column's voltage to the row's current.
        detuned: (tank,). Relative shift of each tank's resonance, by its inductor.
        cycles: of the reference.
        start: (tank,) complex. Amplitudes in units of the free one; 1 each if None.

    Raises:
        InputError: if shapes disagree or there is less than one cycle.
    """
    n = injection_A.shape[0]
    if coupling_S.shape != (n, n) or detuned.shape != (n,) or cycles < 1:
        raise InputError(
            f"want coupling_S ({n}, {n}), detuned ({n},) and at least one cycle, got {coupling_S.shape}, "
            f"{detuned.shape} and {cycles}"
        )
    omega = 2 * np.pi * reference_Hz
    admittance = 1 / (omega * tank.L_H) * (1 + detuned) ** 2  # of each inductor, at the reference
    capacitance = omega * tank.C_F
    a = tank.amplitude_V * (np.ones(n, np.complex128) if start is None else start)

    def kirchhoff(angle: float, y: Float64) -> Float64:
        """In units of the reference's radian; y holds the voltages and the inductor currents."""
        v, i = y[:n], y[n:]
        into = (injection_A * np.exp(1j * angle)).real + coupling_S @ v
        return np.concatenate(((-i + tank.g1_S * v - tank.g3_A_per_V3 * v**3 + into) / capacitance, admittance * v))

    angles = 2 * np.pi * np.arange(cycles * POINTS_PER_CYCLE + 1) / POINTS_PER_CYCLE
    y0 = np.concatenate((a.real, a.imag * admittance))
    path = solve_ivp(
        kirchhoff, (0, angles[-1]), y0, method="DOP853", rtol=1e-8, atol=1e-10 * tank.amplitude_V, t_eval=angles
    )
    voltage = path.y[:n].T
    phasor = (voltage + 1j * path.y[n:].T / admittance) * np.exp(-1j * angles)[:, None] / tank.amplitude_V
    return TankWaveform(angles / omega, voltage, _cycle_mean(phasor))


def _cycle_mean(phasor: Complex128) -> Complex128:
    """Mean over the cycle about each point: the second harmonic that a phasor of v and i carries goes."""
    half = POINTS_PER_CYCLE // 2
    summed = np.concatenate((np.zeros((1, phasor.shape[1])), np.cumsum(phasor, 0)))
    mean = np.full(phasor.shape, np.nan, np.complex128)
    mean[half:-half] = (summed[POINTS_PER_CYCLE:-1] - summed[: -POINTS_PER_CYCLE - 1]) / POINTS_PER_CYCLE
    return mean
