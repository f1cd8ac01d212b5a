"""How much of a small perturbation is left after a turn of a cycle, against Liouville's formula and exact spirals."""

import math

import numpy as np
import pytest
import torch
from labelled_zoo import turn
from torch import Tensor

from analogdeq.solve.perturbation import Perturbations
from analogdeq.solve.verdict import Verdict
from helpers import Array, settle_core, trajectory


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every growth that a settle looked at."""
    values: list[float] = []
    look = Perturbations.growth

    def spy(self: Perturbations, *arguments: object) -> Tensor:
        growth: Tensor = look(self, *arguments)  # type: ignore[arg-type]
        values.extend(x for x in growth.tolist() if math.isfinite(x))
        return growth

    monkeypatch.setattr(Perturbations, "growth", spy)
    return values


@pytest.mark.parametrize(("own", "across"), [(1.05, 2.0), (1.2, 2.0), (1.5, 0.8), (2.0, 6.0)])
def test_a_plane_cycle_contracts_by_the_exponential_of_its_divergence(
    seen: list[float], own: float, across: float
) -> None:
    """The product of the multipliers, of which one is 1: exp of the integral of tr(J - I) over a turn."""
    W = np.array(turn(own, across))
    out = settle_core(W, [[0.3, 0.2]])
    assert out.verdict == [Verdict.OSCILLATING]
    period = out.period_s.item()
    z: Array = trajectory(W, [0.3, 0.2], 100, rtol=1e-9)(np.linspace(100 - period, 100, 2001)[:-1])
    divergence = ((1 - np.tanh(W @ z) ** 2) * np.diag(W)[:, None] - 1).sum(0)
    assert seen[-1] == pytest.approx(math.exp(divergence.mean() * period), rel=0.15, abs=1e-2)


@pytest.mark.parametrize("gap", [3e-5, 1e-5])
def test_of_a_spiral_that_hardly_decays_just_as_much_is_left_as_there_should_be(seen: list[float], gap: float) -> None:
    out = settle_core(turn(1 - gap, 6.0), [[0.5, 0.2]], activation="identity", max_time_tau=20.0)
    assert out.verdict == [Verdict.TIMED_OUT]
    assert len(seen) > 3
    np.testing.assert_allclose(seen, math.exp(-gap * 2 * math.pi / 6), rtol=0, atol=1e-7)


def test_products_for_perturbations_are_counted() -> None:
    """Two directions of two nodes would be one too many: one of them, two products, a step."""
    out = settle_core(turn(1.0, 6.0), [[0.5, 0.2]], activation="identity", max_time_tau=20.0)
    attempts = (out.steps + out.rejected).item()
    assert 6 * attempts + attempts / 4 < out.evaluations.item() < 9 * attempts
    assert torch.isfinite(out.z).all()
