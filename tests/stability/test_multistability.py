"""How many rests a network has, against networks whose rests are known."""

import math

import pytest
import torch
from torch import Tensor

from analogdeq.cores.oscillators.corotating import Corotating
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.errors import InputError
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.verdict import Verdict
from analogdeq.stability.multistability import Stability, find_rests
from helpers import chip, plain_core, quiet_amplifier, random_core, random_inputs, tensor
from oscillator_oracles import D


def sub_harmonic(n: int, W: Tensor | None = None) -> PhaseCore:
    return PhaseCore(torch.zeros(n, n, dtype=D) if W is None else W, shil=1.0, tau_s=1.0)


def test_free_sub_harmonic_bits_rest_in_every_word() -> None:
    """Three of them, each at 0 or pi: 2^3 rests, and whole turns apart is no other."""
    rests = find_rests(sub_harmonic(3), torch.zeros(1, 0, dtype=D), starts=200)
    assert rests.count.tolist() == [8]
    assert rests.verdict == [Stability.MULTISTABLE]
    words = {tuple(round(x) for x in (z.cos()).tolist()) for z in rests.z[0]}
    assert len(words) == 8
    assert float(rests.shares(0).sum()) == pytest.approx(1)
    assert float(rests.shares(0).min()) > 0.125 - 4 * math.sqrt(0.125 * 0.875 / 200)


def test_strong_coupling_leaves_sub_harmonic_bits_their_two_common_words() -> None:
    W = 5 * (torch.ones(3, 3, dtype=D) - torch.eye(3, dtype=D))
    rests = find_rests(sub_harmonic(3, W), torch.zeros(1, 0, dtype=D), starts=64)
    assert rests.count.tolist() == [2]


def test_drive_decides_how_many_rests_a_node_has() -> None:
    """z = tanh(2 z + u) has three roots, two of them stable, for |u| < 2^(1/2) - artanh 2^(-1/2) = 0.5328."""
    edge = math.sqrt(2) - math.atanh(math.sqrt(0.5))
    core = plain_core([[2.0]])
    rests = find_rests(core, tensor([[0.0], [0.95 * edge], [1.05 * edge], [-1.05 * edge]]), starts=64)
    assert rests.count.tolist() == [2, 2, 1, 1]
    assert rests.verdict == [Stability.MULTISTABLE] * 2 + [Stability.ONE_REST] * 2


def test_a_contraction_has_one_rest_on_its_chip_too() -> None:
    placed = chip(random_core(6, seed=1), amplifier=quiet_amplifier())
    rests = find_rests(placed, random_inputs(4, 3, seed=2))
    assert rests.verdict == [Stability.ONE_REST] * 4
    assert bool(torch.isfinite(rests.t_settle_s).all())


def test_an_oscillator_beyond_its_locking_range_has_no_rest() -> None:
    drifting = PhaseCore(
        torch.zeros(1, 1, dtype=D), b=torch.tensor([1.0, 0.0], dtype=D), detuning=torch.tensor([1.2], dtype=D)
    )
    rests = find_rests(drifting, torch.zeros(1, 0, dtype=D), starts=4)
    assert rests.verdict == [Stability.NO_REST]
    assert rests.count.tolist() == [0]
    assert rests.label.tolist() == [[-1] * 4]


def test_starts_that_do_not_settle_are_told_from_those_that_do() -> None:
    core, starts = plain_core([[0.9]], activation="identity"), tensor([[0.0], [1e-4], [1.0]])
    rests = find_rests(core, tensor([[0.0], [math.nan]]), z0=starts, options=SettleOptions(max_time_tau=5.0))
    assert rests.verdict == [Stability.PARTLY_AT_REST, Stability.NO_REST]
    assert rests.label.tolist() == [[0, 0, -1], [-1, -1, -1]]
    assert rests.verdict_code[0].tolist() == [Verdict.SETTLED, Verdict.SETTLED, Verdict.TIMED_OUT]


def test_without_a_reference_a_ring_of_oscillators_has_twisted_states_besides_the_common_phase() -> None:
    """Neighbours on a ring of five lock in phase, or a fifth of a turn apart either way (Wiley et al., Chaos 2006)."""
    n = 5
    W = torch.zeros(n, n, dtype=D)
    index = torch.arange(n)
    W[index, (index + 1) % n] = W[(index + 1) % n, index] = 1.0
    free = PhaseCore(W, tau_s=1.0)
    with pytest.raises(InputError, match="Corotating"):
        find_rests(free, torch.zeros(1, 0, dtype=D))
    rests = find_rests(Corotating(free), torch.zeros(1, 0, dtype=D), starts=100)
    assert rests.count.tolist() == [3]


def test_unusable_starts_are_refused() -> None:
    core = plain_core([[0.5]])
    with pytest.raises(InputError, match="at least 2"):
        find_rests(core, tensor([[0.0]]), starts=1)
    with pytest.raises(InputError, match="shape"):
        find_rests(core, tensor([[0.0]]), z0=tensor([[0.0, 1.0]]))


def test_every_verdict_has_advice() -> None:
    assert all(verdict.advice and verdict.text == verdict.name.lower().replace("_", " ") for verdict in Stability)
