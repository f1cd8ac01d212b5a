"""A large batch is settled slab by slab, with the same results and the same traces."""

import pytest
import torch
from torch import Tensor

from analogdeq.cores.rc import RCCore
from analogdeq.solve import slabs as slabs_module
from analogdeq.solve.record import Record
from analogdeq.solve.settle import settle
from analogdeq.solve.slabs import slabs

N_NODES, BATCH, LANES = 6, 23, 5
CPU = torch.device("cpu")


@pytest.fixture
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slabs_module, "NUMBERS", LANES * N_NODES)
    monkeypatch.setattr(slabs_module, "FEWEST", 1)


def core_and_inputs() -> tuple[RCCore, Tensor]:
    """Drives are sums of multiples of 1/1024, hence the same bits whatever kernel a batch's size makes BLAS choose."""
    generator = torch.Generator().manual_seed(3)
    W, U, b, u = (torch.randn(*shape, generator=generator) for shape in ((6, 6), (6, 4), (6,), (BATCH, 4)))
    U, b, u = torch.round(32 * U) / 32, torch.round(102.4 * b) / 1024, torch.round(32 * u) / 32
    return RCCore(0.3 * W, U, b, tau_s=torch.linspace(0.5, 1.0, 6) * 1e-8), u


def none() -> Tensor:
    return torch.empty(0, dtype=torch.int64)


@pytest.mark.parametrize("together", [[], [0], [22, 3], list(range(9))])
def test_every_row_is_in_one_slab_and_those_that_belong_together_lead_the_first(
    small_slabs: None, together: list[int]
) -> None:
    parts = slabs(torch.arange(BATCH), N_NODES, torch.tensor(together, dtype=torch.int64))
    assert parts[0][: len(together)].tolist() == together
    assert sorted(torch.cat(parts).tolist()) == list(range(BATCH))
    assert all(0 < len(part) <= max(LANES, len(together)) for part in parts)


def test_a_batch_that_fits_is_one_slab_in_its_own_order() -> None:
    (only,) = slabs(torch.arange(BATCH), N_NODES, torch.tensor([7]))
    assert only.tolist() == list(range(BATCH))


def test_slabs_hold_no_more_numbers_than_allowed_but_enough_samples_for_a_product() -> None:
    assert [len(part) for part in slabs(torch.arange(5000), 64, none())] == [2048, 2048, 904]
    assert {len(part) for part in slabs(torch.arange(512), 2**14, none())} == {slabs_module.FEWEST}


def test_a_batch_in_slabs_gives_what_its_slabs_give_alone(small_slabs: None) -> None:
    core, u = core_and_inputs()
    whole = settle(core, u, compiled=False)  # compiled code has no slabs, and company changes its last bits
    for begin in range(0, BATCH, LANES):
        part = settle(core, u[begin : begin + LANES], compiled=False)
        for name in ("z", "t_settle_s", "t_end_s", "verdict_code", "evaluations", "steps", "rejected"):
            assert torch.equal(getattr(whole, name)[begin : begin + LANES], getattr(part, name)), name


def test_a_bad_sample_in_one_slab_leaves_the_others_alone(small_slabs: None) -> None:
    core, u = core_and_inputs()
    u[7] = torch.nan
    verdicts = [verdict.text for verdict in settle(core, u).verdict]
    assert verdicts.pop(7) == "diverged"
    assert set(verdicts) == {"settled"}


def test_samples_recorded_across_slabs_have_the_traces_of_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    core, u = core_and_inputs()
    record = Record(samples=(1, 12, 22), interval_tau=0.5)
    before = settle(core, u, record=record).trace
    monkeypatch.setattr(slabs_module, "NUMBERS", LANES * N_NODES)
    monkeypatch.setattr(slabs_module, "FEWEST", 1)
    after = settle(core, u, record=record).trace
    assert before is not None
    assert after is not None
    shared = min(before.state.shape[0], after.state.shape[0])
    assert abs(before.state.shape[0] - after.state.shape[0]) <= 2  # company decides where the steps end
    torch.testing.assert_close(
        torch.as_tensor(after.state[:shared]), torch.as_tensor(before.state[:shared]), atol=1e-4, rtol=0, equal_nan=True
    )
