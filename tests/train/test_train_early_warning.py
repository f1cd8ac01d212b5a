"""Early warnings: the spectral abscissa by all eigenvalues and by Arnoldi iteration, and what it is at."""

from pathlib import Path

import numpy as np
import pytest
import torch
from training import fit, some_digits, trainer

from analogdeq.cores.rc import RCCore
from analogdeq.stability.reached import Reached
from analogdeq.train import early_warning
from analogdeq.train.early_warning import spectral_abscissa
from analogdeq.train.fit import SPECTRUM_SAMPLES


def reached(nodes: int = 20) -> Reached:
    draw = torch.Generator().manual_seed(1)
    W = torch.randn(nodes, nodes, generator=draw, dtype=torch.float64) / nodes**0.5
    core = RCCore(W, torch.randn(nodes, 3, generator=draw).double(), torch.zeros(nodes).double())
    u = torch.randn(4, 3, generator=draw, dtype=torch.float64)
    return Reached(core=core, u=u, z=torch.randn(4, nodes, generator=draw).double(), parameters=core.trainable())


def by_numpy(one: Reached, samples: int) -> float:
    W, U, b = (p.numpy() for p in one.parameters)
    slopes = 1 - np.tanh(one.z.numpy() @ W.T + one.u.numpy() @ U.T + b) ** 2
    return max(np.linalg.eigvals(slope[:, None] * W).real.max() for slope in slopes[:samples])


@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("dense_up_to", [1000, 5])
def test_the_abscissa_is_the_rightmost_eigenvalue_by_either_method(
    monkeypatch: pytest.MonkeyPatch, samples: int, dense_up_to: int
) -> None:
    monkeypatch.setattr(early_warning, "DENSE_UP_TO", dense_up_to)
    one = reached()
    assert spectral_abscissa(one, samples) == pytest.approx(by_numpy(one, samples), rel=2e-3)


def test_a_row_of_metrics_warns_of_the_spectrum_after_the_epoch(tmp_path: Path) -> None:
    training = trainer(epochs=1)
    (row,) = fit(training, tmp_path)
    with torch.no_grad():
        training.model(some_digits().test_x[:SPECTRUM_SAMPLES])
    z, W = training.model.reached[0].z.numpy(), training.model.core.W.detach().numpy()
    expected = max(np.linalg.eigvals((1 - one**2)[:, None] * W).real.max() for one in z)
    assert row["spectral_abscissa"] == pytest.approx(expected, abs=1e-4)
    assert row["unsettled_fraction"] == 0
