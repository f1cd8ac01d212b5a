"""Settling time and energy as loss terms: closed forms, the chip's own ledger, finite differences."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gradient_methods import CIRCUIT, LEAKY
from gradient_oracles import inputs, parameters, trainable

from analogdeq.chip import Chip
from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from analogdeq.gradient.settling import differentiable_settle
from analogdeq.gradient.trajectory import AdjointOptions, TransientGradient, trajectory
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.settle import settle

TIGHT = SettleOptions(rtol=1e-7, atol=1e-10)


def test_the_settling_time_of_one_node_has_the_gradient_of_its_logarithm() -> None:
    # z = z* (1 - exp(-(1 - w) t)), so t = ln(z* / band) / (1 - w) with z* = b / (1 - w).
    w, b, tau = 0.4, 0.3, 2e-9
    core = trainable([[w]], [b], activation="identity", tau_s=tau)
    exact = AdjointOptions(rtol=1e-10, atol=1e-12)
    out = differentiable_settle(core, torch.zeros(1, 1, dtype=torch.float64), options=TIGHT, adjoint=exact)
    out.time_s.sum().backward()
    t = math.log(b / (1 - w) / TIGHT.band) / (1 - w)
    assert out.time_s.item() == pytest.approx(t * tau, rel=1e-6, abs=0)
    assert core.b.grad.item() == pytest.approx(tau / (b * (1 - w)), rel=1e-5, abs=0)
    assert core.W.grad.item() == pytest.approx(tau * (t / (1 - w) + 1 / (1 - w) ** 2), rel=1e-5, abs=0)


def test_the_trajectory_of_one_node_and_its_gradient_are_the_exponentials() -> None:
    w, b = -3.0, 0.5
    core = trainable([[w]], [b], activation="identity")
    times = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    z = trajectory(core, torch.zeros(1, 1, dtype=torch.float64), times)[:, 0, 0]
    decay = torch.exp(-(1 - w) * times)
    torch.testing.assert_close(z.detach(), b / (1 - w) * (1 - decay), rtol=1e-5, atol=1e-8)
    z[2].backward()
    assert core.b.grad.item() == pytest.approx(float(1 - decay[2]) / (1 - w), rel=1e-5)
    dw = b / (1 - w) ** 2 * float(1 - decay[2]) - b / (1 - w) * float(decay[2])
    assert core.W.grad.item() == pytest.approx(dw, rel=1e-4)


# Without bias and conversions no error of the drivers' joules can hide behind the rest.
FREE = replace(CIRCUIT.adc, energy_J=0.0)
DRIVERS_ALONE = replace(CIRCUIT, amplifier=Amplifier(bias_W=0.0), dac=FREE, adc=FREE)
# And with a converter so slow that nearly all joules are those of the state it is held at: P(z*) times its seconds.
HELD_ALONE = replace(DRIVERS_ALONE, adc=replace(FREE, conversion_s=1e4 * CIRCUIT.tau_s))


@pytest.mark.parametrize(
    "circuit", [CIRCUIT, LEAKY, DRIVERS_ALONE, HELD_ALONE], ids=["plain", "leaky", "drivers alone", "held alone"]
)
def test_time_and_energy_are_the_chips_and_their_gradients_its_finite_differences(circuit: CrossbarCircuit) -> None:
    W, U, b = parameters(5, 3, radius=0.8, seed=0)
    core, u = trainable(W, b, U, tau_s=circuit.tau_s, gain=circuit.gain), inputs(3, 3, seed=2)
    out = differentiable_settle(core, u, circuit=circuit, options=TIGHT)
    measured = settle(Chip(core, circuit), u.detach(), rtol=1e-7, atol=1e-10)
    torch.testing.assert_close(out.time_s.detach(), measured.t_settle_s, rtol=1e-5, atol=0)
    torch.testing.assert_close(out.energy_J.detach(), measured.energy_J, rtol=1e-5, atol=0)

    values, rng, eps = (core.W, core.U, core.b, u), np.random.default_rng(4), 1e-3
    directions = [torch.tensor(rng.normal(size=value.shape)) for value in values]

    def ends(sign: int) -> tuple[float, float]:
        moved = [v.detach() + sign * eps * d for v, d in zip(values, directions, strict=True)]
        chip = Chip(RCCore(*moved[:3], tau_s=circuit.tau_s, gain=circuit.gain), circuit)
        answer = settle(chip, moved[3].clamp(-1, 1), rtol=1e-7, atol=1e-10)
        return float(answer.t_settle_s.sum()), float(answer.energy_J.sum())

    assert float((u.detach().abs() + eps * directions[3].abs()).max()) < 1, "an input would be clipped by the DAC"
    plus, minus = ends(1), ends(-1)
    for k, total in enumerate((out.time_s.sum(), out.energy_J.sum())):
        slopes = torch.autograd.grad(total, values, retain_graph=True)
        along = sum(float((slope * d).sum()) for slope, d in zip(slopes, directions, strict=True))
        assert along == pytest.approx((plus[k] - minus[k]) / (2 * eps), rel=5e-3, abs=0)


def test_a_sample_that_never_settles_contributes_a_constant() -> None:
    core = trainable([[1.2, 2.0], [-2.0, 1.2]])
    u = torch.tensor([[0.1, 0.0], [4.0, -4.0]], dtype=torch.float64, requires_grad=True)
    rough = AdjointOptions(rtol=1e-4, atol=1e-6)
    out = differentiable_settle(core, u, options=SettleOptions(max_time_tau=12), adjoint=rough)
    assert out.is_settled.tolist() == [False, True]
    (du,) = torch.autograd.grad(out.time_s.sum(), u)
    assert torch.equal(du[0], torch.zeros_like(du[0]))
    assert du[1].abs().min() > 0
    assert torch.isfinite(out.time_s).all()


def test_descending_on_time_and_energy_lowers_the_measured_ones() -> None:
    W, U, b = parameters(6, 3, radius=0.7, seed=5)
    core, u = trainable(W, b, U, tau_s=CIRCUIT.tau_s), inputs(3, 3).detach()

    def measured() -> tuple[float, float]:
        out = settle(Chip(core, CIRCUIT), u)
        return float(out.t_settle_s.mean()), float(out.energy_J.mean())

    before = measured()
    optimiser = torch.optim.SGD(core.parameters(), lr=0.08)
    for _ in range(2):
        out = differentiable_settle(core, u, circuit=CIRCUIT, adjoint=AdjointOptions(rtol=1e-4, atol=1e-6))
        loss = out.time_s.mean() / before[0] + out.energy_J.mean() / before[1]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = measured()
    assert after[0] < 0.95 * before[0]
    assert after[1] < 0.95 * before[1]


def test_a_circuit_of_another_time_constant_is_refused() -> None:
    core = trainable([[0.5]], tau_s=1.0)
    with pytest.raises(InputError, match=r"tau = 1 s.*give the core the circuit's tau_s"):
        differentiable_settle(core, torch.zeros(1, 1, dtype=torch.float64), circuit=CIRCUIT)


def test_nodes_with_time_constants_of_their_own_have_trajectories_of_their_own() -> None:
    tau_s = torch.tensor([1e-8, 4e-8], dtype=torch.float64)
    core = trainable([[0.0, 0.0], [0.0, 1e-30]], [1.0, 1.0], activation="identity", tau_s=tau_s)
    times = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    z = trajectory(core, torch.zeros(1, 2, dtype=torch.float64), times)[:, 0].detach()
    seconds = times.unsqueeze(1) * core.tau_s
    torch.testing.assert_close(z, 1 - torch.exp(-seconds / tau_s), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("times", [[1.0, 2.0], [0.0], [[0.0, 1.0]]])
def test_times_that_do_not_begin_at_power_on_are_refused(times: list) -> None:
    with pytest.raises(InputError, match="first of them 0"):
        trajectory(trainable([[0.5]]), torch.zeros(1, 1, dtype=torch.float64), torch.tensor(times))


def test_unusable_options_are_refused() -> None:
    with pytest.raises(InputError, match="rtol = 0"):
        AdjointOptions(rtol=0)
    with pytest.raises(InputError, match="horizon_tau"):
        TransientGradient(horizon_tau=-1)
