"""Oscillator circuits averaged over a cycle: component values in, a core in dimensionless time out."""

import math

import numpy as np
import numpy.typing as npt
import torch

from analogdeq.circuits.lc_tank import LCTank
from analogdeq.circuits.ring import RingOscillator
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
from analogdeq.errors import InputError, RangeError

WIDEST_PULL = 0.5
"""A pull by half the frequency is nothing that varies slowly over a cycle."""


def tank_core(
    tank: LCTank,
    *,
    reference_Hz: float,
    injection_A: npt.NDArray[np.complex128],
    coupling_S: npt.NDArray[np.float64],
    detuned: npt.NDArray[np.float64],
) -> StuartLandauCore:
    """Coupled LC tanks as Stuart-Landau oscillators, amplitudes in units of the free one.

    The arguments are those of `simulate_tanks`, which keeps the carrier.

    Raises:
        InputError: if shapes disagree.

    Source: `LCTank`.
    """
    n = injection_A.shape[0]
    if coupling_S.shape != (n, n) or detuned.shape != (n,):
        raise InputError(f"want coupling_S ({n}, {n}) and detuned ({n},), got {coupling_S.shape} and {detuned.shape}")
    force = injection_A * tank.injection(1.0)
    offset = (tank.omega * (1 + detuned) - 2 * math.pi * reference_Hz) * tank.tau_s
    return StuartLandauCore(
        torch.tensor(coupling_S * tank.coupling(1.0)),
        b=torch.tensor(np.stack((force.real, force.imag), 1).ravel()),
        detuning=torch.tensor(offset),
        tau_s=tank.tau_s,
    )


def ring_core(ring: RingOscillator, *, reference_Hz: float, current_A: float) -> PhaseCore:
    """A ring oscillator with a current I cos(w t) into its first node, as one phase.

    The phase is that of the first node's rise through mid-supply: it rises at times t with phi = -w t (mod 2 pi). The
    unit of time is that in which the injection turns the phase by one radian at the most.

    Raises:
        RangeError: if the current is zero, or pulls by more than half the frequency.

    Source: A. Demir, A. Mehrotra, J. Roychowdhury, IEEE Trans. Circuits Syst. I 47:655 (2000), averaged over a cycle.
    """
    pull = ring.pull(current_A)
    omega = 2 * math.pi * ring.frequency_Hz
    if not 0 < abs(pull) <= WIDEST_PULL * omega:
        raise RangeError(
            f"current_A = {current_A:g} A pulls the ring by {abs(pull) / omega:.3g} of its frequency; averaging over a "
            f"cycle wants more than 0 and at most {WIDEST_PULL:g}"
        )
    tau_s = 1 / abs(pull)
    return PhaseCore(
        torch.zeros(1, 1, dtype=torch.float64),
        b=torch.tensor([pull.real * tau_s, pull.imag * tau_s], dtype=torch.float64),
        detuning=torch.tensor([(omega - 2 * math.pi * reference_Hz) * tau_s], dtype=torch.float64),
        tau_s=tau_s,
    )
