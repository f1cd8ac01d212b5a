"""Krylov spaces of vectors that are orthogonal to their nearest predecessors only."""

import pytest
import torch
from torch import Tensor

from analogdeq.linalg.short_arnoldi import short_arnoldi


def problem(nodes: int, lanes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(nodes)
    A = torch.randn(lanes, nodes, nodes, generator=generator, dtype=torch.float64) / nodes**0.5
    return A, torch.randn(lanes, nodes, generator=generator, dtype=torch.float64)


def products_with(A: Tensor):
    return lambda v: torch.einsum("bij,bj->bi", A, v)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_product_with_the_space_stays_in_it_but_for_one_vector(size: int) -> None:
    A, x = problem(20)
    space, larger = short_arnoldi(products_with(A), x, size), short_arnoldi(products_with(A), x, size + 1)
    V = space.basis.mT
    gap = A @ V - V @ space.H
    torch.testing.assert_close(gap[:, :, :-1], torch.zeros_like(gap[:, :, :-1]), atol=1e-12, rtol=0)
    torch.testing.assert_close(gap[:, :, -1], space.coupling.unsqueeze(1) * larger.basis[:, -1], atol=1e-12, rtol=0)


def test_vectors_have_length_one_and_the_first_is_along_the_start() -> None:
    A, x = problem(20)
    space = short_arnoldi(products_with(A), 1e-9 * x, 8)
    torch.testing.assert_close(torch.linalg.vector_norm(space.basis, dim=2), torch.ones(3, 8, dtype=torch.float64))
    torch.testing.assert_close(space.length.unsqueeze(1) * space.basis[:, 0], 1e-9 * x, rtol=1e-12, atol=0)
    torch.testing.assert_close(space.gram, space.basis @ space.basis.mT)


def test_an_invariant_space_leads_nowhere() -> None:
    A = torch.diag(torch.tensor([-1.0, -2.0, -3.0, -4.0], dtype=torch.float64)).unsqueeze(0)
    x = torch.tensor([[1.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    space = short_arnoldi(products_with(A), x, 4)
    assert float(space.coupling) == 0.0
    assert float(space.basis[:, 2:].abs().max()) == 0.0
    grown = space.basis.mT @ torch.linalg.matrix_exp(space.H)[:, :, :1] * space.length.view(-1, 1, 1)
    torch.testing.assert_close(grown.squeeze(2), x * torch.exp(torch.diagonal(A, dim1=1, dim2=2)))


def test_a_start_of_nothing_is_a_space_of_nothing() -> None:
    A, x = problem(5)
    space = short_arnoldi(products_with(A), 0 * x, 3)
    assert float(space.length.abs().max()) == 0.0
    assert bool(torch.isfinite(space.H).all())
