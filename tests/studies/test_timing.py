"""Times are of finished work, devices are there or named, threads go back."""

import time

import pytest
import torch

from analogdeq.errors import InputError
from analogdeq.studies.timing import circumstances, device_named, threads, timed, wall_and_cpu


def test_work_on_a_gpu_is_waited_for_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: events.append("wait"))
    timed(lambda: events.append("work"), 2, torch.device("cuda"), warm_s=0.0)
    assert events == ["wait", "work", "wait"] * 3, "one untimed and two timed"


def test_short_work_warms_up_for_a_while() -> None:
    runs: list[float] = []
    timed(lambda: runs.append(time.perf_counter()), 3, torch.device("cpu"), warm_s=0.05)
    assert runs[-4] - runs[0] >= 0.04, "the last three are timed"


def test_work_on_a_processor_needs_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: pytest.fail("no GPU here"))
    median_s, least_s = timed(lambda: sum(range(1000)), 3, torch.device("cpu"))
    assert 0 < least_s <= median_s


def test_waiting_takes_time_but_no_processor_time() -> None:
    wall_s, cpu_s = wall_and_cpu(lambda: time.sleep(0.2), torch.device("cpu"))
    assert wall_s >= 0.2
    assert cpu_s < 0.1
    end = time.process_time() + 0.1

    def spin() -> None:
        while time.process_time() < end:
            pass

    assert wall_and_cpu(spin, torch.device("cpu"))[1] == pytest.approx(0.1, rel=0.3)


@pytest.mark.parametrize(
    ("name", "message"),
    [("abacus", "is none that torch knows"), ("meta", "only cpu and cuda are timed"), ("", "is none that torch knows")],
)
def test_a_device_that_cannot_be_timed_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        device_named(name)


def test_a_gpu_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_named("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="there are only 2 CUDA devices"):
        device_named("cuda:2")


def test_threads_go_back_even_after_an_error() -> None:
    before, inside = torch.get_num_threads(), []

    def fail() -> None:
        with threads(before + 1):
            inside.extend((torch.get_num_threads(), circumstances(torch.device("cpu"))["machine"]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.get_num_threads() == before
    assert inside[0] == before + 1
    assert inside[1].endswith(f", {before + 1} threads")
