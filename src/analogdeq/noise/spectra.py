"""One-sided power spectral densities, as SPICE and data sheets write them.

A white source of one-sided density S drives dW with intensity S/2: the factor of two between one-sided spectra and
stochastic integrals is in `two_sided`, and nowhere else.
"""

import math

import numpy as np
import numpy.typing as npt

from analogdeq.units import BOLTZMANN_J_PER_K, ELEMENTARY_CHARGE_C

Array = npt.NDArray[np.float64]


def two_sided(one_sided: float) -> float:
    """The intensity of dW that a white source of this one-sided density stands for."""
    return one_sided / 2


def thermal_current(conductance_S: float, temperature_K: float) -> float:
    """[A^2/Hz]. 4 k T G, of a resistor."""
    return 4 * BOLTZMANN_J_PER_K * temperature_K * conductance_S


def barrier_current(current_A: float, voltage_V: float, temperature_K: float) -> float:
    """[A^2/Hz]. 2 q I coth(q V / 2 k T), of a device whose carriers cross a barrier one by one.

    Thermal and shot noise in one: 4 k T G as V goes to 0, 2 q I far from it. To add the two counts noise twice.
    """
    kT = BOLTZMANN_J_PER_K * temperature_K
    x = abs(ELEMENTARY_CHARGE_C * voltage_V) / (2 * kT)
    if x < 1e-6:
        conductance_S = current_A / voltage_V if voltage_V else 0.0
        return 4 * kT * conductance_S
    return 2 * ELEMENTARY_CHARGE_C * abs(current_A) / math.tanh(x)


def flicker(f_Hz: Array, amplitude: float) -> Array:
    """[1/Hz]. Q^2 / f of the relative fluctuation of a conductance."""
    return amplitude**2 / f_Hz


def ornstein_uhlenbeck(f: Array, variance: float, rate: float) -> Array:
    """4 s2 lam / (lam^2 + (2 pi f)^2); integrates to the variance over all f > 0."""
    return 4 * variance * rate / (rate**2 + (2 * np.pi * f) ** 2)


def telegraph(f: Array, step: float, mean_high: float, mean_low: float) -> Array:
    """4 dI^2 / ((t_h + t_l) ((1/t_h + 1/t_l)^2 + (2 pi f)^2)), of random telegraph noise with these mean times.

    Source: Machlup, J. Appl. Phys. 25:341 (1954).
    """
    rate = 1 / mean_high + 1 / mean_low
    return 4 * step**2 / ((mean_high + mean_low) * (rate**2 + (2 * np.pi * f) ** 2))
