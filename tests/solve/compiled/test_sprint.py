"""Settles by compiled code, against scipy, against the loop, and against what users get wrong."""

import math
import threading
import time
from importlib.metadata import PackageNotFoundError

import pytest
import torch
from torch import Tensor

from helpers import chip, random_core, random_inputs

pytest.importorskip("numba", reason="numba is not installed: nothing is compiled")

from numba.core.runtime import _nrt_python, rtsys

from analogdeq.cores.core import Core
from analogdeq.cores.rc import RCCore
from analogdeq.solve import native
from analogdeq.solve.compiled import sprint as sprint_module
from analogdeq.solve.compiled.chunk import settle_chunk
from analogdeq.solve.compiled.product import IS_WIDE
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.solve.verdict import Verdict


def dop853(core: Core, u: Tensor) -> Settled:
    return settle(core, u, method="scipy-dop853", rtol=1e-9, atol=1e-12)


def ringing_core() -> RCCore:
    W = torch.tensor([[0.4, 1.5, 0.1], [-1.5, 0.4, 0.0], [0.2, 0.1, -0.5]], dtype=torch.float64)
    return RCCore(W, 0.5 * torch.eye(3).double(), torch.zeros(3).double(), tau_s=1.0)


@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("n", [1, 3, 20, 70])
def test_settling_times_are_the_references_to_a_thousandth(n: int, activation: str) -> None:
    core = random_core(n, seed=n, radius=0.7, activation=activation)
    u = random_inputs(5, core.n_inputs, seed=n)
    out = settle(core, u)
    exact = dop853(core, u)
    assert out.verdict == [Verdict.SETTLED] * 5
    torch.testing.assert_close(out.t_settle_s, exact.t_settle_s, rtol=1e-3, atol=0)
    torch.testing.assert_close(out.z, exact.z, rtol=0, atol=1e-7)


def test_a_ringing_and_a_spread_network_settle_on_time() -> None:
    spread = torch.tensor([1.0, 0.3, 0.1], dtype=torch.float64)
    for core in (ringing_core(), RCCore(*ringing_core().trainable(), tau_s=spread)):
        u = random_inputs(6, 3, seed=2)
        torch.testing.assert_close(settle(core, u).t_settle_s, dop853(core, u).t_settle_s, rtol=1e-3, atol=0)


@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize(("n", "fastest"), [(20, 30.0), (60, 250.0)])
def test_spread_speeds_settle_on_time_without_the_loop(n: int, fastest: float) -> None:
    tau = torch.logspace(0.0, -math.log10(fastest), n, dtype=torch.float64)
    W, U, b = random_core(n, seed=n, radius=0.9).trainable()
    core, u = RCCore(W, U, b, tau_s=tau), random_inputs(4, 3, seed=n)
    torch.testing.assert_close(settle(core, u).t_settle_s, dop853(core, u).t_settle_s, rtol=1e-3, atol=0)


def test_joules_and_times_are_those_of_the_loop_at_a_tight_tolerance() -> None:
    placed = chip(random_core(12, seed=3, radius=0.8))
    u = random_inputs(20, 3, seed=3)
    mine, loop = settle(placed, u), settle(placed, u, rtol=1e-6, compiled=False)
    torch.testing.assert_close(mine.t_settle_s, loop.t_settle_s, rtol=1e-3, atol=0)
    for term in ("crossbar_J", "feedback_J", "node_J", "drivers_J", "stored_J"):
        torch.testing.assert_close(getattr(mine.ledger, term), getattr(loop.ledger, term), rtol=1e-3, atol=0)
    assert mine.verdict == [Verdict.SETTLED] * 20


@pytest.mark.parametrize("gain", [0.6, 1.0])
def test_a_gain_and_a_start_elsewhere_count(gain: float) -> None:
    W, U, b = random_core(6, seed=5, radius=0.8).trainable()
    core = RCCore(W, U, b, tau_s=1.0, gain=gain)
    u, z0 = random_inputs(4, 3, seed=5), 0.5 * random_inputs(4, 6, seed=6)
    mine, loop = (settle(core, u, z0=z0, compiled=compiled) for compiled in (True, False))
    torch.testing.assert_close(mine.t_settle_s, loop.t_settle_s, rtol=1e-3, atol=0)


def test_random_networks_get_the_verdicts_of_the_loop() -> None:
    verdicts = set()
    for seed in range(24):
        generator = torch.Generator().manual_seed(seed)
        n = 3 + seed % 9
        W = torch.randn(n, n, generator=generator, dtype=torch.float64) / n**0.5 * (0.5 + 0.1 * (seed % 12))
        W += (seed % 3 == 0) * 2.0 * torch.triu(torch.randn(n, n, generator=generator, dtype=torch.float64), 1) / n**0.5
        U = torch.randn(n, 3, generator=generator, dtype=torch.float64)
        core, u = RCCore(W, 0.3 * U, 0 * U[:, 0], tau_s=1.0), random_inputs(6, 3, seed=seed)
        mine, loop = (settle(core, u, max_time_tau=100.0, compiled=compiled) for compiled in (True, False))
        assert mine.verdict == loop.verdict, seed
        settled = mine.is_settled
        torch.testing.assert_close(mine.z[settled], loop.z[settled], rtol=0, atol=1e-5)
        verdicts |= set(mine.verdict)
    assert len(verdicts) > 1


def test_a_saddle_approached_along_its_stable_manifold_is_left_to_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """W = 1.5: z = 0 repels. Two nodes of opposite sign stay so for ever without rounding, and approach it."""
    W = torch.tensor([[0.0, 1.5], [1.5, 0.0]], dtype=torch.float64)
    core = RCCore(W, torch.eye(2).double(), torch.zeros(2).double(), tau_s=1.0)
    z0 = torch.tensor([[0.5, -0.5]], dtype=torch.float64)
    left = []
    write = sprint_module._write
    monkeypatch.setattr(sprint_module, "_write", lambda *args: left.append(write(*args)) or left[-1])
    settle(core, torch.zeros(1, 2).double(), z0=z0, max_time_tau=20.0)
    assert left[0].tolist() == [0]


def test_a_bad_sample_spoils_no_other() -> None:
    core, u = random_core(8, seed=1, radius=0.8), random_inputs(20, 3, seed=1)
    good = settle(core, u)
    u[3, 0], u[7, 1] = torch.nan, torch.inf
    out = settle(core, u)
    rows = [k for k in range(20) if k not in (3, 7)]
    assert out.verdict[3] == out.verdict[7] == Verdict.DIVERGED
    assert out.is_settled[rows].all()
    torch.testing.assert_close(out.t_settle_s[rows], good.t_settle_s[rows], rtol=1e-9, atol=0)


def test_company_changes_no_more_than_rounding() -> None:
    core, u = random_core(20, seed=2, radius=0.8), random_inputs(70, 3, seed=2)
    whole = settle(core, u)
    for rows in ([0], [69], list(range(5, 30))):
        part = settle(core, u[rows])
        torch.testing.assert_close(part.t_settle_s, whole.t_settle_s[rows], rtol=1e-9, atol=0)
        assert torch.equal(part.evaluations, whole.evaluations[rows])


@pytest.mark.parametrize("spread", [0.3, 6.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_company_changes_not_one_bit_of_a_sample_with_the_same_drive(dtype: torch.dtype, spread: float) -> None:
    n = 20
    W = random_core(n, seed=2, radius=0.8, dtype=dtype).W
    tau = torch.exp(spread * torch.linspace(-0.5, 0.5, n, dtype=torch.float64))
    core = RCCore(W, torch.eye(n, dtype=dtype), torch.zeros(n, dtype=dtype), tau_s=tau)  # U u + b is u to the last bit
    u = random_inputs(70, n, seed=2, dtype=dtype)
    whole = settle(core, u)
    assert whole.is_settled.all()
    for rows in ([0], [69], list(range(5, 30))):
        part = settle(core, u[rows])
        assert torch.equal(part.t_settle_s, whole.t_settle_s[rows])
        assert torch.equal(part.z, whole.z[rows])


def test_the_number_of_threads_changes_not_one_bit() -> None:
    core = random_core(64, seed=2, radius=0.8, dtype=torch.float32)
    u, before, times = random_inputs(70, 3, seed=2, dtype=torch.float32), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            times.append(settle(core, u).t_settle_s)
            assert torch.get_num_threads() == threads, "as many as before"
    finally:
        torch.set_num_threads(before)
    assert torch.equal(times[0], times[1])
    assert torch.equal(times[0], times[2])


def test_steps_and_evaluations_are_counted() -> None:
    core = random_core(64, seed=0, radius=0.9, dtype=torch.float32, tau_s=1.0)
    out = settle(core, random_inputs(16, 3, seed=1, dtype=torch.float32))
    besides = out.evaluations - 6 * (out.steps + out.rejected)
    assert besides.min().item() > 1 + 4, "the first evaluation and the search"
    assert out.evaluations.double().mean().item() < 115


def test_what_a_thread_did_not_decide_goes_to_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sprint_module, "settle_chunk", lambda *job: None)
    core, u = random_core(6, seed=1), random_inputs(40, 3, seed=2)
    torch.testing.assert_close(settle(core, u).z, settle(core, u, compiled=False).z, rtol=0, atol=0)


def test_recorded_samples_are_the_loops_and_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    from analogdeq.solve.record import Record

    core, u = random_core(6, seed=1), random_inputs(12, 3, seed=2)
    plain = settle(core, u)
    watched = settle(core, u, record=Record(samples=(0, 5), interval_tau=0.1))
    assert watched.trace is not None
    torch.testing.assert_close(watched.t_settle_s, plain.t_settle_s, rtol=1e-3, atol=0)
    others = [k for k in range(12) if k not in (0, 5)]
    torch.testing.assert_close(watched.t_settle_s[others], plain.t_settle_s[others], rtol=1e-9, atol=0)


def test_without_numba_the_loop_settles_all(monkeypatch: pytest.MonkeyPatch) -> None:
    core, u = random_core(6, seed=1), random_inputs(4, 3, seed=2)
    loop = settle(core, u, compiled=False)
    monkeypatch.setattr(native, "has_numba", lambda: False)
    assert torch.equal(settle(core, u).t_settle_s, loop.t_settle_s)


@pytest.mark.parametrize("found", ["0.61.0", None])
def test_another_numba_or_none_is_not_used(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    def version(name: str) -> str:
        if found is None:
            raise PackageNotFoundError(name)
        return found

    monkeypatch.setattr(native, "version", version)
    native.has_numba.cache_clear()
    assert not native.has_numba()
    native.has_numba.cache_clear()


def test_what_there_is_no_compiled_code_for_is_the_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    u = random_inputs(4, 3, seed=2)
    W, U, b = random_core(6, seed=1, radius=0.5).trainable()
    kinked = RCCore(W, U, b, activation="hardtanh", tau_s=1.0)
    assert torch.equal(settle(kinked, u).t_settle_s, settle(kinked, u, compiled=False).t_settle_s)
    named = [settle(RCCore(W, U, b, tau_s=1.0), u, method="tsit5", compiled=compiled).z for compiled in (True, False)]
    assert torch.equal(*named), "a method asked for by name"
    fine = RCCore(W.float(), U.float(), b.float(), tau_s=1.0)
    both = [settle(fine, u.float(), band=2e-6, atol=1e-7, compiled=compiled).t_settle_s for compiled in (True, False)]
    assert torch.equal(*both), "a band of a few rounding errors"


def test_an_interrupt_in_compiled_code_leaves_the_threads_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sprint_module, "settle_chunk", interrupted)
    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        settle(random_core(6, seed=1), random_inputs(40, 3, seed=2))
    assert torch.get_num_threads() == before


def test_after_an_interrupt_no_thread_begins_another_part(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def interrupted(*job: int) -> None:
        begun.append(job[-2])
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        time.sleep(0.05)

    monkeypatch.setattr(sprint_module, "settle_chunk", interrupted)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(KeyboardInterrupt):
            settle(random_core(6, seed=1), random_inputs(32 * 20, 3, seed=2))
    finally:
        torch.set_num_threads(before)
    assert len(begun) <= 4, "of twenty"


@pytest.mark.parametrize(("nodes", "batch"), [(64, 64), (64, 512), (256, 128), (512, 64), (1024, 64)])
def test_a_settle_takes_less_than_twelve_state_sized_buffers(nodes: int, batch: int) -> None:
    from analogdeq.studies.bench_settle import BenchSpec
    from analogdeq.studies.bench_settle import random_core as bench_core
    from analogdeq.studies.storage import peak_buffers

    core, u = bench_core(BenchSpec(nodes=nodes, batch=batch))
    assert settle(core, u).is_settled.all()
    n_buffers, parts = peak_buffers(core, u)
    copy_of_W = 0 if IS_WIDE else nodes / batch
    assert 6 < n_buffers - copy_of_W < 12, parts


def test_a_budget_may_be_a_whole_number_without_compiling_anew() -> None:
    core, u = random_core(4, seed=1), random_inputs(2, 3, seed=1)
    settle(core, u)
    before = len(settle_chunk.signatures)
    settle(core, u, max_time_tau=100)
    assert len(settle_chunk.signatures) == before


@pytest.mark.parametrize("spread", [0.0, 0.3, 4.0], ids=["equal speeds", "unequal", "stiff"])
def test_every_array_that_compiled_code_makes_is_freed_once(spread: float) -> None:
    log_tau = spread * torch.linspace(-1, 1, 20, dtype=torch.float64)
    core, u = random_core(20, seed=1, tau_s=1e-8 * log_tau.exp() if spread else 1e-8), random_inputs(30, 3, seed=1)
    settle(core, u)
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        settle(core, u)
        after = rtsys.get_allocation_stats()
    finally:
        _nrt_python.memsys_disable_stats()
    assert after.alloc - before.alloc == after.free - before.free > 0
    assert after.mi_alloc - before.mi_alloc == after.mi_free - before.mi_free > 0
