"""Closed forms of coupled oscillators, in numpy, and small networks to hold against them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analogdeq.cores.oscillators.phase import PhaseCore

Array = npt.NDArray[np.float64]
D = torch.float64


def nothing(batch: int = 1, dtype: torch.dtype = D) -> Tensor:
    """Inputs of a network that has none."""
    return torch.zeros(batch, 0, dtype=dtype)


def adler_core(detuning: float, injection: float = 1.0, **options: Any) -> PhaseCore:
    """One oscillator, injected in phase with the reference; times in units of tau because tau is one second."""
    return PhaseCore(
        torch.zeros(1, 1, dtype=D),
        b=torch.tensor([injection, 0.0], dtype=D),
        detuning=torch.tensor([detuning], dtype=D),
        tau_s=1.0,
        **options,
    )


def adler_trajectory(time: Array, detuning: float, injection: float, start: float) -> Array:
    """phi(t) of dphi/dt = dw - w_L sin phi, locked: u = tan(phi / 2), (u - u+) / (u - u-) = c e^{Om t}."""
    om = np.sqrt(injection**2 - detuning**2)
    high, low = (injection + om) / detuning, (injection - om) / detuning
    u = np.tan(start / 2)
    ratio = (u - high) / (u - low) * np.exp(om * time)
    return 2 * np.arctan((high - ratio * low) / (1 - ratio))


def lorentzian_quantiles(n: int, half_width: float) -> Array:
    """Frequencies that stand for a Lorentzian without sampling noise."""
    return half_width * np.tan(np.pi * ((np.arange(n) + 0.5) / n - 0.5))


def all_to_all(n: int, strength: float) -> Tensor:
    """Kuramoto's coupling K / N."""
    return torch.full((n, n), strength / n, dtype=D)


def random_phase_core(n: int, *, seed: int, referenced: bool = True, inputs: int = 3, **options: Any) -> PhaseCore:
    """A random network, coupled asymmetrically, that locks; with inputs on injections or on frequencies."""
    rng = np.random.default_rng(seed)
    W = 0.6 / n + 0.3 * rng.normal(size=(n, n)) / n
    detuning = torch.tensor(0.05 * rng.normal(size=n))
    if referenced:
        b = rng.normal(size=2 * n) * 0.2
        b[::2] += 1.0
        outside = {"U": torch.tensor(0.3 * rng.normal(size=(2 * n, inputs))), "b": torch.tensor(b)}
    else:
        outside = {"tuning": torch.tensor(0.05 * rng.normal(size=(n, inputs)))}
    return PhaseCore(torch.tensor(W), detuning=detuning, **{"tau_s": 1.0, **outside, **options})


def rk4(flow: Any, z: Tensor, step: float, n_steps: int) -> Tensor:
    """(time, batch, node): classical Runge-Kutta with a fixed step."""
    path = [z]
    for _ in range(n_steps):
        a = flow(z)
        b = flow(z + 0.5 * step * a)
        c = flow(z + 0.5 * step * b)
        d = flow(z + step * c)
        z = z + step / 6 * (a + 2 * b + 2 * c + d)
        path.append(z)
    return torch.stack(path)
