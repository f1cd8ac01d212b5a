"""Settling time and energy as penalties: the chip's own figures, and gradients through a parametrised W."""

import numpy as np
import pytest
import torch
from torch import nn

from analogdeq.chip import Chip
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.cores.conv import ConvCore
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.settle import settle
from analogdeq.stability.parametrise import parametrise
from analogdeq.stability.penalties import Penalty
from analogdeq.stability.reached import Reached
from analogdeq.stability.settling_penalty import settling_penalties
from helpers import circuit

FINE = SettleOptions(rtol=1e-7, atol=1e-10)


def core(on: CrossbarCircuit) -> RCCore:
    draw = torch.Generator().manual_seed(4)
    W, U, b = (torch.randn(*s, generator=draw, dtype=torch.float64) for s in ((6, 6), (6, 3), (6,)))
    return RCCore(nn.Parameter(0.3 * W), nn.Parameter(U), nn.Parameter(0.3 * b), tau_s=on.tau_s, gain=on.gain)


def reach(network: RCCore | ConvCore) -> Reached:
    u = torch.rand(4, network.n_inputs, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return Reached(core=network, u=u, z=torch.zeros(4, network.n_nodes).to(u), parameters=network.trainable())


def measured(network: RCCore, on: CrossbarCircuit, u: torch.Tensor) -> tuple[float, float]:
    """Mean time constants and mean logarithm of the joules of a chip with exact devices."""
    out = settle(Chip(network, on), u, rtol=1e-7, atol=1e-10)
    return float((out.t_settle_s / on.tau_s).mean()), float(out.energy_J.log().mean())


def test_the_terms_are_the_time_constants_and_the_logarithm_of_the_joules_of_a_chip() -> None:
    on = circuit()
    reached = reach(core(on))
    time_tau, log_energy = settling_penalties(reached, on, FINE)
    expected = measured(reached.core, on, reached.u)
    assert (time_tau.item(), log_energy.item()) == pytest.approx(expected, rel=1e-4)
    penalty = Penalty(settling_time=0.5, energy=2.0, circuit=on, settle=FINE)
    total = penalty.of([reached], torch.arange(4), 4, torch.Generator()).item()
    assert total == pytest.approx(0.5 * expected[0] + 2 * expected[1], rel=1e-4)


@pytest.mark.parametrize("term", [0, 1], ids=["time", "energy"])
def test_the_gradient_reaches_what_a_parametrised_weight_is_made_of(term: int) -> None:
    on = circuit()
    network = core(on)
    parametrise(network, "monotone", margin=0.3)
    free = list(network.parametrizations["W"].parameters())
    reached = reach(network)
    with torch.nn.utils.parametrize.cached():  # as the training loop does
        settling_penalties(reached, on, FINE)[term].backward()
    draw, eps, ends = np.random.default_rng(1), 1e-3, []
    directions = [torch.tensor(draw.normal(size=p.shape)) for p in free]
    along = sum(float((p.grad * d).sum()) for p, d in zip(free, directions, strict=True))
    for sign in (1, -2):
        for p, d in zip(free, directions, strict=True):
            p.data += sign * eps * d
        W, U, b = (p.detach() for p in network.trainable())
        ends.append(measured(RCCore(W, U, b, tau_s=on.tau_s, gain=on.gain), on, reached.u)[term])
    assert abs(along) > 1e-3
    assert along == pytest.approx((ends[0] - ends[1]) / (2 * eps), rel=5e-3)


def test_convolutions_have_a_settling_time_to_lower_and_no_joules() -> None:
    draw = torch.Generator().manual_seed(4)
    W, U = (torch.randn(2, c, 3, 3, generator=draw, dtype=torch.float64) / 9 for c in (2, 1))
    network = ConvCore(nn.Parameter(W), nn.Parameter(U), torch.zeros(2, dtype=torch.float64), height=3, width=3)
    time_tau, log_energy = settling_penalties(reach(network))
    time_tau.backward()
    assert network.W.grad.abs().max() > 0
    assert log_energy.item() == 0
    with pytest.raises(InputError, match="not a ConvCore"):
        settling_penalties(reach(network), circuit())
