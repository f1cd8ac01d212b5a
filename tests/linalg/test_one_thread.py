"""Batches of LU factorisations are right however many threads there are."""

import pytest
import torch

from analogdeq.linalg.dense import solve_dense
from analogdeq.linalg.lu import LU
from analogdeq.linalg.one_thread import one_thread


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def problem(nodes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(nodes)
    J = 0.8 * torch.randn(6, nodes, nodes, generator=generator, dtype=torch.float64) / nodes**0.5
    return J, torch.randn(6, nodes, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("nodes", [16, 160, 256])
def test_a_batch_of_dense_systems_is_solved_on_two_threads(nodes: int) -> None:
    J, y = problem(nodes)
    solution = solve_dense(J, y)
    torch.testing.assert_close(solution.x - torch.einsum("bij,bj->bi", J, solution.x), y, rtol=0, atol=1e-10)
    assert float(solution.relative_residual.max()) < 1e-11
    matrix = torch.eye(nodes, dtype=torch.float64) - J
    torch.testing.assert_close(torch.einsum("bij,bj->bi", matrix, LU(matrix).solve(y)), y, rtol=0, atol=1e-10)


def test_threads_are_given_back_also_after_an_error() -> None:
    J, _ = problem(4)
    with one_thread(J):
        assert torch.get_num_threads() == 1
    with pytest.raises(RuntimeError, match="what went wrong"), one_thread(J):
        raise RuntimeError("what went wrong")
    assert torch.get_num_threads() == 2
