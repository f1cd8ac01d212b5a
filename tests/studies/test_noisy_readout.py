"""What noise adds to a readout: the spread of Lyapunov's equation where it is small, and no draw twice."""

import numpy as np
import pytest
import torch
from scipy.linalg import solve_continuous_lyapunov

from analogdeq.chip import Chip
from analogdeq.errors import InputError
from analogdeq.library import device_preset
from analogdeq.noise.intensity import white_noise
from analogdeq.solve.settle import settle
from analogdeq.studies.noisy_readout import ReadoutNoise, noisy_readout
from helpers import circuit, random_core, random_inputs


def a_chip() -> Chip:
    return Chip(random_core(6, seed=2, radius=0.6), circuit(), device_preset("pcm-generic"), seed=1)


def test_the_spread_is_that_of_lyapunovs_equation() -> None:
    chip, paths, factor = a_chip(), 6000, 0.5
    u = random_inputs(1, 3, seed=4)
    rest = settle(chip, u, rtol=1e-7).z
    white = white_noise(chip)
    z = noisy_readout(chip, u.expand(paths, -1), rest.expand(paths, -1), white, factor=factor, seed=0)
    # By hand: J = D W of the realised weights, Q from the terms themselves.
    p = (chip.core.W @ rest[0] + chip.core.U @ chip.circuit.dac.quantise(u)[0] + chip.core.b).numpy()
    slope = 1 - np.tanh(p) ** 2
    A = slope[:, None] * chip.core.W.numpy() - np.eye(6)
    terms = {name: value.numpy() for name, value in white.terms.items()}
    Q = slope**2 * (terms["devices"] + terms["feedback"] + terms["amplifiers"]) + terms["node"]
    P = solve_continuous_lyapunov(A, -np.diag(factor**2 * Q))
    found = np.cov((z - rest).numpy().T)
    assert np.abs(found - P).max() < 0.06 * P.diagonal().max()  # three standard errors of 6,000 paths
    assert np.sqrt(found.diagonal() / P.diagonal()) == pytest.approx(np.ones(6), abs=0.03)


def test_the_spread_grows_with_the_factor() -> None:
    chip, u = a_chip(), random_inputs(1, 3, seed=4).expand(500, -1)
    rest = settle(chip, u[:1]).z.expand(500, -1)
    one, ten = (noisy_readout(chip, u, rest, white_noise(chip), factor=k, seed=0) - rest for k in (1.0, 10.0))
    assert float(ten.std()) == pytest.approx(10 * float(one.std()), rel=0.02)


def test_no_noise_is_the_rest_itself() -> None:
    chip, u = a_chip(), random_inputs(3, 3, seed=4)
    rest = settle(chip, u).z
    assert torch.equal(noisy_readout(chip, u, rest, white_noise(chip), factor=0.0, seed=0), rest)


def test_samples_have_noise_of_their_own_and_seeds_repeat() -> None:
    chip, u = a_chip(), random_inputs(1, 3, seed=4).expand(2, -1)
    rest = settle(chip, u).z
    a, b, c = (noisy_readout(chip, u, rest, white_noise(chip), factor=1.0, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert not torch.equal(a[0] - rest[0], a[1] - rest[1])


def test_what_is_no_factor_and_no_step_is_refused() -> None:
    chip, u = a_chip(), random_inputs(1, 3, seed=4)
    with pytest.raises(InputError, match="noise cannot be multiplied by -1"):
        noisy_readout(chip, u, settle(chip, u).z, white_noise(chip), factor=-1.0, seed=0)
    with pytest.raises(InputError, match="step_tau"):
        ReadoutNoise(until_tau=1.0, step_tau=2.0)
