"""Penalties in the loop: they are reported, and lower what they name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from training import fit, same_bits, some_digits, trainer

from analogdeq.chip import Chip
from analogdeq.solve.settle import settle
from analogdeq.stability.penalties import Penalty
from analogdeq.train.fit import Trainer
from helpers import circuit


def jacobians(training: Trainer) -> np.ndarray:
    """(image, node, node) at the equilibria of some test images."""
    model = training.model
    with torch.no_grad():
        model(some_digits().test_x)
        z = model.reached[0].z.numpy()
        return (1 - z[:, :, None] ** 2) * model.core.W.numpy()


@pytest.mark.parametrize("term", ["jacobian", "abscissa"])
def test_training_with_a_penalty_lowers_what_it_names(tmp_path: Path, term: str) -> None:
    sizes = []
    for weight in (0.0, 3.0):
        folder = tmp_path / str(weight)
        folder.mkdir()
        training = trainer(epochs=6, spectral_bound=None, penalty=Penalty(**{term: weight}, abscissa_above=-1.0))
        table = fit(training, folder)
        assert (table[-1]["penalty"] > 0) == (weight > 0)
        J = jacobians(training)
        top = np.linalg.eigvalsh((J + J.transpose(0, 2, 1)) / 2).max(1)
        sizes.append(np.mean(top if term == "abscissa" else np.linalg.norm(J, axis=(1, 2)) ** 2))
    assert sizes[1] < 0.9 * sizes[0]


@pytest.mark.parametrize("term", ["settling_time", "energy"])
def test_training_with_time_or_energy_as_a_penalty_makes_the_chip_quicker_and_thriftier(
    tmp_path: Path, term: str
) -> None:
    on = circuit(node_C_F=1e-13)  # tau = 10 ns, as the network of these tests has
    measured = []
    for weight in (0.0, 1.0):
        folder = tmp_path / str(weight)
        folder.mkdir()
        penalty = Penalty(**{term: weight}, circuit=on, probability=0.5)
        training = trainer(epochs=3, spectral_bound=None, input_noise=0.0, penalty=penalty)
        table = fit(training, folder)
        assert (table[-1]["penalty"] != 0) == (weight > 0)
        with torch.no_grad():
            out = settle(Chip(training.model.core, on), training.model.encoder(some_digits().test_x))
        measured.append((float(out.t_settle_s.mean()), float(out.energy_J.mean())))
    assert measured[1][0] < 0.95 * measured[0][0]
    assert measured[1][1] < 0.95 * measured[0][1]


def test_a_penalty_of_weight_zero_changes_no_bit(tmp_path: Path) -> None:
    plain, with_none = trainer(epochs=1), trainer(epochs=1, penalty=Penalty(probability=0.5, abscissa_above=0.3))
    (tmp_path / "other").mkdir()
    fit(plain, tmp_path)
    fit(with_none, tmp_path / "other")
    assert same_bits(plain.model.state_dict(), with_none.model.state_dict())


def test_a_training_with_random_penalties_repeats_itself(tmp_path: Path) -> None:
    states = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        training = trainer(epochs=1, penalty=Penalty(jacobian=0.5, residual=1.0, probability=0.5))
        fit(training, tmp_path / name)
        states.append(training.model.state_dict())
    assert same_bits(*states)
