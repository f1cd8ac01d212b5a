"""The training benchmark: equal gradient error for all, words for who is missing, threads given back."""

import math

import pytest
import torch

from analogdeq.studies import train_step
from analogdeq.studies.bench_train import TrainSpec, bench_train, format_train
from analogdeq.studies.train_step import PLAIN, ROOT, SETTLE, WAYS

TINY = TrainSpec(nodes=12, batch=4, repeat=1, threads=1, max_error=1e-2)


@pytest.fixture(scope="module")
def result() -> dict:
    return bench_train(TINY)


def test_every_way_reaches_the_gradient_error_asked_for(result: dict) -> None:
    names = [row["way"] for row in result["rows"]]
    assert names[:3] == [PLAIN, ROOT, SETTLE]
    for row in result["rows"]:
        assert 0 < row["gradient_error"] <= 1e-2
        assert row["is_exact_enough"]
        assert row["ms"] >= row["ms_min"] > 0
        assert math.isfinite(row["over_plain"])
    assert result["rows"][0]["over_plain"] == 1


def test_the_error_is_that_of_the_gradient_against_backpropagation_through_many_steps() -> None:
    from analogdeq.studies.bench_train import _exact_gradient, _job

    job = _job(TINY)
    W, U, b = (p.detach().double().requires_grad_() for p in job.core.trainable())
    z = torch.zeros(4, 12, dtype=torch.float64)
    for _ in range(600):
        z = torch.tanh(z @ W.T + job.u.double() @ U.T + b)
    (0.5 * (z - job.target).square().sum() / 4).backward()
    expected = torch.cat([p.grad.flatten() for p in (W, U, b)])
    torch.testing.assert_close(_exact_gradient(job), expected, rtol=1e-8, atol=1e-10)


def test_a_peer_that_is_not_installed_is_skipped_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_step, "find_spec", lambda name: None)
    result = bench_train(TINY)
    missing = [way.name for way in WAYS if way.package]
    assert len(missing) == 2
    assert result["not_installed"] == missing
    for name in missing:
        assert f"{name}: not installed, skipped" in format_train(result)


def test_the_table_has_ratios_goals_and_assumptions(result: dict) -> None:
    lines = format_train(result).splitlines()
    for row in result["rows"]:
        (line,) = [line for line in lines if line.startswith(f"{row['way']}  ")]
        assert f"{row['over_plain']:.2f}" in line
    assert any("against LU in float64" in line for line in lines)
    assert max(map(len, lines)) <= 150


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_is_given_back(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_step, "find_spec", lambda name: None)
    before = torch.get_num_threads()
    bench_train(TrainSpec(nodes=4, batch=2, repeat=1, threads=threads))
    assert torch.get_num_threads() == before
