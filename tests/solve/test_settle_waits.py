"""How often a settle asks its device for something: each question waits until all that was launched is done."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from analogdeq.solve import loop
from analogdeq.solve.loop import STRIDE, SettleLoop
from analogdeq.solve.settle import settle
from analogdeq.solve.signs import Signs
from helpers import chip, plain_core, random_core, random_inputs

QUESTIONS = ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero")


class Waits(TorchDispatchMode):
    """Counts operations whose result, or its shape, the host must know; by whether they are in a step."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[bool] = Counter()
        self.is_in_step = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        by_mask = func.name().startswith("aten::index") and any(
            isinstance(i, torch.Tensor) and i.dtype == torch.bool
            for i in (args[1] if isinstance(args[1], (list, tuple)) else ())
        )
        self.count[self.is_in_step] += func.name() in QUESTIONS or by_mask
        return func(*args, **(kwargs or {}))


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the processor were an accelerator."""
    monkeypatch.setattr(loop, "is_remote", lambda device: True)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Attempts at every look."""
    of, attempts = Signs.of, []

    def noted(lanes: Any, period: Any, search_below: float) -> Signs:
        attempts.append(lanes.attempts)
        return of(lanes, period, search_below)

    monkeypatch.setattr(Signs, "of", noted)
    return attempts


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize("has_power", [False, True])
def test_a_step_on_an_accelerator_waits_for_nothing_before_rests_and_cycles_are_looked_for(
    monkeypatch: pytest.MonkeyPatch, looks: list[int], has_power: bool
) -> None:
    step, waits = SettleLoop._step, Waits()

    def noted(self: SettleLoop, signs: Signs) -> Any:
        waits.is_in_step = not (self._has_goal or signs.may_return)
        try:
            return step(self, signs)
        finally:
            waits.is_in_step = False

    monkeypatch.setattr(SettleLoop, "_step", noted)
    core = chip(random_core(30, seed=2)) if has_power else random_core(30, seed=2)
    with waits:
        out = settle(core, 3 * random_inputs(20, 3, seed=2).clamp(-0.3, 0.3), compiled=False)
    assert out.is_settled.all()
    assert waits.count[True] == 0
    attempts = int((out.steps + out.rejected).max())
    assert waits.count[False] + len(looks) < 11 * attempts, "most of them in the search for the rest and the finish"
    assert looks[:2] == [0, STRIDE], "steps far from rest are taken together"
    assert len(looks) <= attempts - STRIDE + 3


@pytest.mark.parametrize("method", ["auto", "tsit5", "bosh3", "rodas5p"])
def test_an_accelerator_gives_the_same_verdicts_times_and_rests(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    core, u = random_core(20, seed=5, radius=1.1), random_inputs(30, 3, seed=5)
    here = settle(core, u, method=method, compiled=False)
    monkeypatch.setattr(loop, "is_remote", lambda device: True)
    there = settle(core, u, method=method, compiled=False)
    assert here.is_settled.all()
    assert there.verdict == here.verdict
    torch.testing.assert_close(there.t_settle_s, here.t_settle_s, rtol=1e-3, atol=0)
    torch.testing.assert_close(there.z, here.z, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("remote")
def test_an_accelerator_finds_cycles_and_what_diverges_and_keeps_to_its_budgets() -> None:
    turning = plain_core([[1.5, 2.0], [-2.0, 1.5]])
    assert settle(turning, torch.tensor([[0.3, 0.1]]).double()).verdict[0].text == "oscillating"
    growing = plain_core([[1.5]], activation="relu")
    assert settle(growing, torch.ones(1, 1).double()).verdict[0].text == "diverged"
    out = settle(random_core(20, seed=5), random_inputs(3, 3, seed=5), compiled=False, max_steps=STRIDE + 2)
    assert (out.steps + out.rejected).tolist() == [STRIDE + 2] * 3
    assert {verdict.text for verdict in out.verdict} == {"timed out"}
