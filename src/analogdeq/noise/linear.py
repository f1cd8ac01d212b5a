"""Linear stochastic dynamics, exactly: dx = A x dt + B dW, Q = B B^T."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
from scipy.linalg import expm, solve_continuous_lyapunov

from analogdeq.errors import InputError

Array = npt.NDArray[np.float64]


@final
@dataclass(frozen=True)
class ExactStep:
    """x' = propagator x + N(0, covariance), and x' = x + response f for a force f that is constant over the step.

    Attributes:
        propagator: (n, n) e^(A h).
        response: (n, n) the integral of e^(A t) from 0 to h.
        covariance: (n, n) of what the noise adds.
        root: (n, n) a matrix R with R R^T = covariance.
    """

    propagator: Array
    response: Array
    covariance: Array
    root: Array


def exact_step(A: Array, Q: Array, h: float) -> ExactStep:
    """The propagator of a step h, of any length, and the exact covariance of its noise.

    Source: Van Loan, IEEE Trans. Autom. Control 23:395 (1978), for the integrals by one matrix exponential.
    """
    n = A.shape[0]
    zero = np.zeros_like(A)
    # A long step in short ones: the block exponential holds e^(-A h), which overflows for a strongly damped system.
    size = max(float(np.linalg.norm(A, 2)) * h, 1e-300)
    doublings = max(0, math.ceil(math.log2(size)))
    short = h / 2**doublings
    block = expm(np.block([[-A, Q], [zero, A.T]]) * short)
    propagator = block[n:, n:].T
    covariance = propagator @ block[:n, n:]
    response = expm(np.block([[A, np.eye(n)], [zero, zero]]) * short)[:n, n:]
    for _ in range(doublings):
        covariance = propagator @ covariance @ propagator.T + covariance
        response = propagator @ response + response
        propagator = propagator @ propagator
    covariance = (covariance + covariance.T) / 2
    return ExactStep(propagator, response, covariance, covariance_root(covariance))


def covariance_root(covariance: Array) -> Array:
    """(n, n) R with R R^T = covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(values.clip(0))


def stationary_covariance(A: Array, Q: Array) -> Array:
    """(n, n) P with A P + P A^T + Q = 0: what the spread tends to.

    Raises:
        InputError: if A is not stable, so that there is none.
    """
    worst = float(np.linalg.eigvals(A).real.max())
    if worst >= 0:
        raise InputError(
            f"the linearised dynamics has an eigenvalue with real part {worst:.3g}: noise grows without end there"
        )
    P = solve_continuous_lyapunov(A, -Q)
    return (P + P.T) / 2
