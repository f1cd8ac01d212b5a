"""States that are angles, in every back end: settling and drifting are said of e^{i phi}."""

import math

import pytest
import torch

from analogdeq.cores.oscillators.corotating import Corotating
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.solve.options import METHODS
from analogdeq.solve.settle import settle
from analogdeq.solve.verdict import Verdict
from helpers import BACK_ENDS
from oscillator_oracles import D, adler_core, nothing, random_phase_core

EVERY = pytest.mark.parametrize("method", METHODS)


@EVERY
@pytest.mark.parametrize("detuning", [-1.2, 3.0])
def test_a_phase_that_drifts_is_oscillating_with_adlers_beat_in_every_back_end(method: str, detuning: float) -> None:
    out = settle(adler_core(detuning), nothing(), method=method)
    assert out.verdict == [Verdict.OSCILLATING]
    assert float(out.period_s) == pytest.approx(2 * math.pi / math.sqrt(detuning**2 - 1), rel=3e-3)


@EVERY
def test_a_network_with_one_drifting_oscillator_is_oscillating_in_every_back_end(method: str) -> None:
    """Two are held and the third slips past them: what repeats is e^{i phi}, while its phase grows for ever."""
    W = 0.1 * torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]], dtype=D)
    b = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.2, 0.0], dtype=D)
    core = PhaseCore(W, b=b, detuning=torch.tensor([0.1, -0.2, 0.9], dtype=D), tau_s=1.0)
    native = settle(core, nothing(), rtol=1e-5)
    out = settle(core, nothing(), method=method)
    assert out.verdict == native.verdict == [Verdict.OSCILLATING]
    assert float(out.period_s) == pytest.approx(float(native.period_s), rel=5e-3)


@EVERY
def test_a_phase_that_slips_a_turn_settles_just_the_same_in_every_back_end(method: str) -> None:
    start = torch.tensor([[2.6], [2.6 - 2 * math.pi]], dtype=D)
    out = settle(adler_core(0.6), nothing(2), z0=start, method=method, throw=True)
    rest = math.asin(0.6)
    assert out.z[:, 0].tolist() == pytest.approx([rest + 2 * math.pi, rest], abs=1e-6)
    torch.testing.assert_close(out.t_settle_s[0], out.t_settle_s[1], rtol=1e-3, atol=0)


@pytest.mark.parametrize("method", BACK_ENDS)
def test_back_ends_agree_with_the_native_settle_of_locked_oscillators(method: str) -> None:
    u = torch.rand(2, 3, dtype=D, generator=torch.Generator().manual_seed(0))
    for core in (random_phase_core(5, seed=1), Corotating(random_phase_core(5, seed=1, referenced=False))):
        native, other = settle(core, u, rtol=1e-5, atol=1e-9), settle(core, u, method=method)
        torch.testing.assert_close(other.z, native.z, rtol=0, atol=1e-6)
        torch.testing.assert_close(other.t_settle_s, native.t_settle_s, rtol=1e-3, atol=0)
