"""A sample settles the same alone and in a batch, in seconds and in nanoseconds, today and tomorrow."""

import numpy as np
import pytest
import torch

from analogdeq.cores.rc import RCCore
from analogdeq.solve.record import Record
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from helpers import NATIVE, chip, plain_core, quiet_amplifier, random_core, random_inputs, tensor

EVERY = pytest.mark.parametrize("method", NATIVE)
SOME = [0, 1, 17, 100, 255, 256, 300, 511]


def assert_agree(one: Settled, other: Settled, rows: list[int]) -> None:
    """`one` holds only these rows of `other`."""
    assert torch.equal(one.verdict_code, other.verdict_code[rows])
    torch.testing.assert_close(one.t_settle_s, other.t_settle_s[rows], rtol=1e-3, atol=0, equal_nan=True)
    torch.testing.assert_close(one.energy_J, other.energy_J[rows], rtol=1e-3, atol=0, equal_nan=True)
    settled = one.is_settled
    torch.testing.assert_close(one.z[settled], other.z[rows][settled], rtol=0, atol=1e-5)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sample_settles_the_same_alone_and_in_a_batch_of_512(method: str, dtype: torch.dtype) -> None:
    placed = chip(random_core(16, seed=3, dtype=dtype), amplifier=quiet_amplifier())
    u = random_inputs(512, 3, seed=4, dtype=dtype)
    together = settle(placed, u, method=method)
    assert together.is_settled.all()
    for k in SOME:
        assert_agree(settle(placed, u[k : k + 1], method=method), together, [k])


@EVERY
def test_hard_company_changes_no_sample(method: str) -> None:
    """Samples at rest, diverging, NaN and slow, beside ordinary ones."""
    core = plain_core([[1.05, 0.0, 0.1], [0.0, 0.98, 0.0], [0.0, 0.0, -6.0]], activation="relu")
    u = random_inputs(40, 3, seed=1)
    u[3], u[10] = torch.nan, tensor([-1.0, -1.0, -1.0])
    u[20, 0], u[30, 1] = 0.5, 0.5
    together = settle(core, u, method=method, max_time_tau=400.0)
    assert together.verdict_code.unique().numel() >= 2
    for k in (0, 3, 10, 11, 20, 30):
        assert_agree(settle(core, u[k : k + 1], method=method, max_time_tau=400.0), together, [k])


@pytest.mark.parametrize("radius", [0.99, 1.1])
def test_slow_and_nearly_critical_samples_settle_the_same_in_company(radius: float) -> None:
    core = random_core(10, seed=6, radius=radius, tau_s=1.0)
    u = random_inputs(64, 3, seed=7)
    together = settle(core, u)
    for k in range(0, 64, 9):
        assert_agree(settle(core, u[k : k + 1]), together, [k])


def test_the_order_of_samples_does_not_matter() -> None:
    placed = chip(random_core(8, seed=3), amplifier=quiet_amplifier())
    u = random_inputs(50, 3, seed=4)
    order = torch.randperm(50)
    assert_agree(settle(placed, u[order]), settle(placed, u), order.tolist())


def test_a_repeated_sample_settles_the_same_every_time() -> None:
    placed = chip(random_core(8, seed=3), amplifier=quiet_amplifier())
    out = settle(placed, random_inputs(1, 3, seed=4).expand(30, -1))
    for values in (out.t_settle_s, out.energy_J):
        torch.testing.assert_close(values, values[:1].expand(30), rtol=1e-9, atol=0)


@EVERY
def test_the_same_settle_twice_is_the_same_bit_for_bit(method: str) -> None:
    placed, u = chip(random_core(8, seed=3)), random_inputs(20, 3, seed=4)
    first, again = (settle(placed, u, method=method, record=Record(samples=(3,))) for _ in range(2))
    for name in ("z", "t_settle_s", "t_end_s", "energy_J", "residual", "evaluations", "steps", "rejected"):
        assert torch.equal(getattr(first, name), getattr(again, name)), name
    assert first.trace is not None
    assert again.trace is not None
    np.testing.assert_array_equal(first.trace.state, again.trace.state)


@EVERY
def test_a_settle_draws_no_random_numbers(method: str) -> None:
    state = torch.get_rng_state()
    settle(chip(random_core(8, seed=3)), random_inputs(5, 3, seed=4), method=method)
    assert torch.equal(torch.get_rng_state(), state)


@EVERY
def test_one_nanosecond_and_one_second_take_the_same_steps(method: str) -> None:
    slow, fast = (random_core(9, seed=5, radius=1.1, tau_s=tau_s) for tau_s in (1.0, 1e-9))
    u = random_inputs(20, 3, seed=6)
    record = Record(samples=(2, 4))
    one, other = settle(slow, u, method=method, record=record), settle(fast, u, method=method, record=record)
    for name in ("z", "verdict_code", "evaluations", "steps", "rejected", "residual"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    for name in ("t_settle_s", "t_end_s", "period_s"):
        torch.testing.assert_close(
            getattr(other, name), 1e-9 * getattr(one, name), rtol=1e-14, atol=0, equal_nan=True
        )  # fmt: skip
    assert one.trace is not None
    assert other.trace is not None
    np.testing.assert_array_equal(one.trace.state, other.trace.state)
    np.testing.assert_allclose(other.trace.time_s, 1e-9 * one.trace.time_s, rtol=1e-12)
    np.testing.assert_allclose(other.trace.steps.dt_s, 1e-9 * one.trace.steps.dt_s, rtol=1e-12)


@EVERY
def test_per_node_time_constants_scale_together(method: str) -> None:
    taus, u = tensor([1.0, 0.2, 0.5, 0.04, 1.0]), random_inputs(4, 3, seed=6)
    one, other = (settle(random_core(5, seed=5, tau_s=t * taus), u, method=method) for t in (1.0, 1e-9))
    assert torch.equal(one.steps, other.steps)
    torch.testing.assert_close(other.t_settle_s, 1e-9 * one.t_settle_s, rtol=1e-9, atol=0)


@EVERY
def test_a_chip_ten_million_times_slower_takes_the_same_steps_and_as_many_times_the_heat(method: str) -> None:
    core, u = random_core(6, seed=5), random_inputs(4, 3, seed=6)
    fast = settle(chip(core, amplifier=quiet_amplifier()), u, method=method)
    slow = settle(chip(core, node_C_F=1e-6, amplifier=quiet_amplifier()), u, method=method)
    assert torch.equal(fast.steps, slow.steps)
    assert torch.equal(fast.evaluations, slow.evaluations)
    torch.testing.assert_close(slow.t_settle_s, 1e7 * fast.t_settle_s, rtol=1e-9, atol=0)
    assert fast.ledger is not None
    assert slow.ledger is not None
    torch.testing.assert_close(slow.ledger.drivers_J, 1e7 * fast.ledger.drivers_J, rtol=1e-9, atol=0)
    torch.testing.assert_close(slow.ledger.stored_J, 1e7 * fast.ledger.stored_J, rtol=1e-9, atol=0)


def test_the_default_method_is_the_fifth_order_pair_or_says_so() -> None:
    core, u = random_core(6, seed=5), random_inputs(4, 3, seed=6)
    plain = settle(core, u)
    assert any(torch.equal(plain.evaluations, settle(core, u, method=method).evaluations) for method in NATIVE)


def test_settling_leaves_its_arguments_alone() -> None:
    core = random_core(6, seed=5)
    u, z0 = random_inputs(4, 3, seed=6), torch.rand(4, 6, dtype=torch.float64)
    copies = [t.clone() for t in (core.W, core.U, core.b, u, z0)]
    for method in NATIVE:
        settle(core, u, z0=z0, method=method, record=Record(samples=(1,)))
    assert all(torch.equal(a, b) for a, b in zip(copies, (core.W, core.U, core.b, u, z0), strict=True))


@EVERY
def test_results_do_not_depend_on_the_layout_of_the_inputs(method: str) -> None:
    core = random_core(6, seed=5)
    u, z0 = random_inputs(4, 3, seed=6), torch.rand(4, 6, dtype=torch.float64)
    expected = settle(core, u, z0=z0, method=method)
    strided = torch.stack((u, u), 2)[:, :, 0]
    out = settle(core, strided, z0=z0.T.contiguous().T, method=method)
    torch.testing.assert_close(out.t_settle_s, expected.t_settle_s, rtol=1e-9, atol=0)
    torch.testing.assert_close(out.z, expected.z, rtol=0, atol=1e-9)
    one_row = torch.rand(1, 6, dtype=torch.float64).expand(4, 6)
    assert torch.equal(settle(core, u, z0=one_row).z, settle(core, u, z0=one_row.contiguous()).z)


def test_a_core_without_inputs_settles() -> None:
    core = RCCore(tensor([[0.5]]), torch.zeros(1, 0, dtype=torch.float64), tensor([0.3]))
    out = settle(core, torch.zeros(2, 0, dtype=torch.float64))
    assert out.is_settled.all()


def test_gradients_do_not_flow_through_physics() -> None:
    core = random_core(4, seed=5)
    core.W.requires_grad_()
    u = random_inputs(2, 3, seed=6).requires_grad_()
    out = settle(core, u, z0=torch.zeros(2, 4, dtype=torch.float64, requires_grad=True))
    assert not out.z.requires_grad
    assert torch.is_grad_enabled()


def test_the_results_have_the_shapes_and_types_they_say() -> None:
    out = settle(chip(random_core(4, seed=5, dtype=torch.float32)), random_inputs(3, 3, seed=6, dtype=torch.float32))
    assert (out.z.shape, out.z.dtype) == ((3, 4), torch.float32)
    for name in ("t_settle_s", "t_end_s", "energy_J", "residual", "error_bound", "period_s"):
        assert (getattr(out, name).shape, getattr(out, name).dtype) == ((3,), torch.float64), name
    for name in ("evaluations", "steps", "rejected"):
        assert (getattr(out, name).shape, getattr(out, name).dtype) == ((3,), torch.int64), name
    assert out.verdict_code.dtype == torch.uint8
    assert out.trace is None
    assert bool((out.steps > 0).all())
    assert bool((out.t_end_s >= out.t_settle_s).all())
