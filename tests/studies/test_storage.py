"""Counted memory: right on programs whose memory is known, and a bound on what a settle takes."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from analogdeq.solve.settle import settle
from analogdeq.studies.bench_settle import BenchSpec, random_core
from analogdeq.studies.storage import LiveStorage, peak_buffers

MOST = {"tsit5": 34.5, "bosh3": 31.5}
"""State-sized buffers at the peak of one slab, N = 512, B = 64, drive and initial state included; whoever lowers it
lowers this."""


def test_tensors_count_while_they_live_and_those_from_before_do_not() -> None:
    before = torch.zeros(1000)
    with LiveStorage() as storage:
        a = torch.zeros(100, dtype=torch.float64)
        b = a + 1
        assert storage.peak_bytes == 1600
        del a, b
        c = torch.zeros(300)  # 1200 bytes alone: no new peak
        c.add_(1)
        c[10:20].view(2, 5).mul_(2)
        before.add_(1)
        before.view(10, 100)
        assert storage.peak_bytes == 1600
        before + 1
    assert storage.peak_bytes == 5200
    assert sum(storage.peak.values()) == 5200


def test_an_output_given_by_the_caller_is_not_new_memory() -> None:
    out, x = torch.zeros(50, 50), torch.randn(50, 50)
    with LiveStorage() as storage:
        torch.mm(x, x, out=out)
        torch.addcmul(x, x, x, out=out)
    assert storage.peak_bytes == 0


def test_the_count_is_the_allocators_to_a_tenth() -> None:
    """torch's own memory profile sees scratch memory inside operations too, and inside the batch's searches."""
    core, u = random_core(BenchSpec(nodes=128, batch=32))
    settle(core, u)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as measured:
        settle(core, u)
    levels = torch.tensor(
        [event.nbytes() for event in measured.profiler.kineto_results.events() if event.name() == "[memory]"]
    )
    n_buffers, _ = peak_buffers(core, u)
    assert n_buffers == pytest.approx(float(levels.cumsum(0).max()) / (128 * 32 * 4), rel=0.1)


@pytest.mark.parametrize("method", list(MOST))
def test_a_settle_takes_no_more_memory_than_it_did(method: str) -> None:
    core, u = random_core(BenchSpec(nodes=512, batch=64))
    n_buffers, parts = peak_buffers(core, u, method, compiled=False)
    assert n_buffers == pytest.approx(sum(parts.values()))
    assert n_buffers <= MOST[method], parts
    (drive,) = [part for where, part in parts.items() if where.startswith("cores/rc.py:") and where.endswith(" drive")]
    assert drive == 1.0, parts


@pytest.mark.parametrize("method", list(MOST))
def test_a_large_batch_takes_fewer_than_twelve_buffers(method: str) -> None:
    core, u = random_core(BenchSpec(nodes=64, batch=2**14))
    n_buffers, parts = peak_buffers(core, u, method, compiled=False)
    assert n_buffers < 12, parts
