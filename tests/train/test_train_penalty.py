"""Penalties in the loop: they are reported, and lower what they name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from training import fit, same_bits, some_digits, trainer

from analogdeq.stability.penalties import Penalty
from analogdeq.train.fit import Trainer


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
