"""Anderson's method: scipy's roots, few evaluations, and honesty where it fails."""

import numpy as np
import pytest
import torch
from scipy.optimize import root

from analogdeq.cores.rc import RCCore
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.log import SolveLog
from analogdeq.models.anderson import ByAnderson


def core(gain: float, nodes: int = 30, seed: int = 0) -> RCCore:
    draw = torch.Generator().manual_seed(seed)
    W = torch.randn(nodes, nodes, generator=draw, dtype=torch.float64) * gain / nodes**0.5
    U = torch.randn(nodes, 5, generator=draw, dtype=torch.float64) / 5**0.5
    return RCCore(W, U, torch.zeros(nodes).double())


def inputs(batch: int = 6) -> torch.Tensor:
    return torch.rand(batch, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_scipy(network: RCCore, u: torch.Tensor) -> np.ndarray:
    W, U, b = (p.numpy() for p in network.trainable())
    return np.stack(
        [root(lambda z, c: z - np.tanh(W @ z + c), np.zeros(len(b)), (U @ row + b,), tol=1e-14).x for row in u.numpy()]
    )


@pytest.mark.parametrize("gain", [0.3, 0.9])
def test_it_finds_scipys_roots(gain: float) -> None:
    network, u = core(gain), inputs()
    found = ByAnderson(tol=1e-11).solve(network, u)
    assert found.is_found.all()
    np.testing.assert_allclose(found.z, by_scipy(network, u), atol=1e-9)
    motion = (network.fixed_point_map(found.z, network.drive(u)) - found.z).abs().amax(1)
    np.testing.assert_allclose(found.residual, motion, atol=1e-15)


def test_it_needs_far_fewer_evaluations_than_plain_iteration() -> None:
    network, u = core(0.95), inputs()
    z, plain = torch.zeros(6, 30, dtype=torch.float64), 0
    while float((network.fixed_point_map(z, network.drive(u)) - z).abs().max()) > 1e-8:
        z, plain = network.fixed_point_map(z, network.drive(u)), plain + 1
    found = ByAnderson(tol=1e-8).solve(network, u)
    assert found.is_found.all()
    assert found.evaluations.max() < 0.7 * plain


def test_a_linear_problem_ends_after_as_many_evaluations_as_it_has_dimensions() -> None:
    draw = torch.Generator().manual_seed(3)
    W = 0.8 * torch.linalg.qr(torch.randn(4, 4, generator=draw, dtype=torch.float64)).Q
    network = RCCore(W, torch.eye(4).double(), torch.zeros(4).double(), activation="identity")
    u = torch.randn(3, 4, generator=draw, dtype=torch.float64)
    found = ByAnderson(tol=1e-9, ridge=1e-15).solve(network, u)
    assert found.evaluations.max() <= 6
    np.testing.assert_allclose(found.z, np.linalg.solve(np.eye(4) - W.numpy(), u.numpy().T).T, atol=1e-7)


def test_a_sample_ends_the_same_alone_and_in_company() -> None:
    network, u = core(0.9), inputs()
    u[3] = 0
    together = ByAnderson(tol=1e-9).solve(network, u)
    assert together.evaluations[3] == 1  # at rest from the start, and not evaluated again
    for k in range(6):
        alone = ByAnderson(tol=1e-9).solve(network, u[k : k + 1])
        assert alone.evaluations[0] == together.evaluations[k]
        np.testing.assert_allclose(alone.z[0], together.z[k], atol=1e-12)


def test_what_it_does_not_finish_is_found_another_way_and_counted() -> None:
    network, u = core(0.9), inputs()
    found = ByAnderson(tol=1e-10, max_iter=3).solve(network, u)
    assert found.is_found.all()
    assert found.evaluations.min() > 3
    np.testing.assert_allclose(found.z, by_scipy(network, u), atol=1e-8)


def test_a_core_without_a_stable_equilibrium_is_reported() -> None:
    oscillator = RCCore(torch.tensor([[1.2, 2.0], [-2.0, 1.2]]), 1e-3 * torch.eye(2), torch.zeros(2))
    log = SolveLog()
    equilibrium(oscillator, torch.ones(3, 2), forward=ByAnderson(max_iter=5, tol=1e-7), log=log)
    assert log.forward_residual < 1e-5 or log.unsettled == 3
