"""z <- F(z) and nothing else."""

import pytest
import torch
from gradient_oracles import inputs, parameters, trainable

from analogdeq.cores.around import AroundCore
from analogdeq.cores.core import Drive
from analogdeq.cores.rc import RCCore
from analogdeq.gradient.forward import ByIteration, ByRootFinding, first_image


@pytest.fixture(autouse=True)
def _nothing_is_differentiated():
    with torch.no_grad():
        yield


def test_it_ends_where_the_root_finder_does_and_says_how_far_its_state_is_from_its_image() -> None:
    W, U, b = parameters(12, 3, radius=0.7, seed=0)
    core, u = trainable(W, b, U), inputs(5, 3)
    found = ByIteration(tol=1e-9).solve(core, u)
    assert bool(found.is_found.all())
    torch.testing.assert_close(found.z, ByRootFinding(tol=1e-13).solve(core, u).z, atol=1e-7, rtol=0)
    image = core.fixed_point_map(found.z, core.drive(u))
    torch.testing.assert_close(found.residual, (image - found.z).abs().amax(1), rtol=1e-6, atol=1e-15)


def test_it_stops_at_the_first_state_whose_residual_is_small_enough() -> None:
    core = trainable([[0.5]], [1.0], activation="identity")  # z = 0, 1, 1.5, 1.75, ... with residuals 1, 1/2, 1/4, ...
    found = ByIteration(tol=0.1).solve(core, torch.zeros(1, 1, dtype=torch.float64))
    assert found.residual.item() == 2**-4
    assert found.z.item() == 2 - 2**-3
    assert found.evaluations.item() == 5


def test_parts_are_iterated_on_their_own_and_put_together_in_order() -> None:
    W, U, b = parameters(12, 3, radius=0.7, seed=0)
    core, u = trainable(W, b, U), inputs(7, 3) * torch.linspace(0.1, 3, 7, dtype=torch.float64)[:, None]
    found = ByIteration(tol=1e-6, part=3).solve(core, u)
    alone = [ByIteration(tol=1e-6).solve(core, part) for part in (u[:3], u[3:6], u[6:])]
    assert torch.equal(found.z, torch.cat([one.z for one in alone]))
    assert torch.equal(found.residual, torch.cat([one.residual for one in alone]))
    assert torch.equal(found.evaluations, torch.cat([one.evaluations for one in alone]))
    assert len(set(found.evaluations.tolist())) > 1


def test_an_evaluation_overwrites_neither_the_state_nor_the_drive() -> None:
    W, U, b = parameters(5, 2, radius=0.7, seed=1)
    core, u = trainable(W, b, U), inputs(3, 2)
    drive, z = core.drive(u), torch.rand(3, 5, dtype=torch.float64)
    before = z.clone(), drive.current.clone()
    core.fixed_point_map(z, drive)
    core.respond(drive.current)
    assert torch.equal(z, before[0])
    assert torch.equal(drive.current, before[1])


def test_what_does_not_converge_is_not_found_and_costs_no_more_than_it_may() -> None:
    core = trainable([[-1.5]], [1.0])  # flips between two states
    found = ByIteration(tol=1e-3, max_iter=17).solve(core, torch.zeros(2, 1, dtype=torch.float64))
    assert not bool(found.is_found.any())
    assert found.evaluations.tolist() == [17, 17]
    assert bool((found.residual > 0.1).all())


def test_a_sample_that_is_no_number_is_not_found_and_the_others_are() -> None:
    core = trainable([[0.5]], [1.0])
    u = torch.tensor([[torch.nan], [0.3]], dtype=torch.float64)
    found = ByIteration(tol=1e-6).solve(core, u)
    assert found.is_found.tolist() == [False, True]


def test_the_first_evaluation_is_that_of_a_discharged_core_without_its_feedback() -> None:
    W, U, b = parameters(5, 2, radius=0.7, seed=1)
    core, u = trainable(W, b, U, gain=0.8), inputs(3, 2)
    drive = core.drive(u)
    z = core.initial_state(drive)
    assert torch.equal(first_image(core, z, drive), core.fixed_point_map(z, drive))
    chip_like = SeenFromOutside(core)
    assert torch.equal(first_image(chip_like, z, drive), core.fixed_point_map(z, drive))


class SeenFromOutside(AroundCore[RCCore]):
    """A core of a kind that the iteration knows nothing of."""

    def __init__(self, core: RCCore) -> None:
        self._core = core

    @property
    def core(self) -> RCCore:
        return self._core

    def fixed_point_map(self, z: torch.Tensor, drive: Drive) -> torch.Tensor:
        return self._core.fixed_point_map(z, drive)
