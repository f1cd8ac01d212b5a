"""The physical adjoint: same devices, second arrays, noise, converters, seconds and joules."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gradient_methods import CIRCUIT, FINE, LEAKY, ROOT, symmetric_core
from gradient_oracles import gradients, inputs, parameters, trainable
from scipy.integrate import solve_ivp
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.mapping import map_weights
from analogdeq.cores.rc import RCCore
from analogdeq.devices.preset import DevicePreset
from analogdeq.errors import GradientError, InputError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import ByRootFinding
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.machine import through_chip
from analogdeq.gradient.physical import PhysicalAdjoint
from analogdeq.gradient.transposed import TransposedCore
from analogdeq.solve.settle import settle

ROUGH = DevicePreset(
    name="rough", title="rough", g_min_S=0.0, g_max_S=float("inf"), sigma_S=(0.05,), source="made up for this test"
)
EXACT = ImplicitGradient(solver="dense")


def drivers_alone(circuit: CrossbarCircuit) -> CrossbarCircuit:
    """Without bias and conversions, so that no error of the drivers' joules hides behind the rest."""
    converter = replace(circuit.adc, energy_J=0.0)
    return replace(circuit, amplifier=Amplifier(bias_W=0.0), dac=converter, adc=converter)


def random_problem(n: int = 8, batch: int = 3, **options: float) -> tuple[RCCore, Tensor, Tensor]:
    W, U, b = parameters(n, 3, radius=0.8, seed=1)
    g = torch.tensor(np.random.default_rng(2).normal(size=(batch, n)))
    return trainable(W, b, U, **options), inputs(batch, 3), g


def relative_error(core: RCCore, u: Tensor, g: Tensor, gradient: PhysicalAdjoint, log: SolveLog | None = None) -> float:
    ours, exact = (
        gradients(core, u, equilibrium(core, u, forward=ROOT, gradient=way, log=log), g)["W"]
        for way, log in ((gradient, log), (EXACT, None))
    )
    return float((ours - exact).norm() / exact.norm())


@pytest.mark.parametrize("circuit", [None, CIRCUIT, LEAKY], ids=["ideal", "circuit", "leaky circuit"])
def test_it_settles_to_the_implicit_gradient_of_a_core_that_is_not_symmetric(circuit: CrossbarCircuit | None) -> None:
    core, u, g = random_problem(gain=1.0 if circuit is None else circuit.gain)
    assert relative_error(core, u, g, PhysicalAdjoint(circuit=circuit, options=FINE)) < 1e-5


def test_a_circuit_that_picard_cannot_solve_has_a_physical_adjoint() -> None:
    core, u = trainable([[-3.0, 2.5], [-2.5, -3.0]], (0.2, -0.1)), inputs(3, 2)
    assert relative_error(core, u, torch.randn(3, 2, dtype=torch.float64), PhysicalAdjoint(options=FINE)) < 1e-6


@pytest.mark.parametrize(
    "circuit",
    [CIRCUIT, drivers_alone(CIRCUIT), drivers_alone(LEAKY)],
    ids=["whole", "drivers alone", "leaky, drivers alone"],
)
def test_its_time_and_joules_are_those_of_the_adjoint_equation_integrated_elsewhere(circuit: CrossbarCircuit) -> None:
    W, U, b = parameters(8, 3, radius=0.8, seed=1)
    eye, a = torch.eye(8, dtype=torch.float64), circuit.gain
    core, u = trainable(W - 2 * eye, b, U, gain=a), inputs(1, 3)  # negative feedback: v stays within the range
    g = torch.tensor(np.random.default_rng(2).normal(size=(1, 8)))
    log = SolveLog()
    z = equilibrium(core, u, forward=ROOT, gradient=PhysicalAdjoint(circuit=circuit, options=FINE), log=log)
    z.backward(g)
    W, U, b = (p.detach().numpy() for p in (core.W, core.U, core.b))
    slope = 1 - (z.detach().numpy()[0] / a) ** 2
    unit = (g / g.abs().max())[0].numpy()
    v_star = np.linalg.solve(np.eye(8) - a * W.T * slope, unit)
    assert np.abs(v_star).max() < 1
    whole = np.concatenate((W, U, b[:, None]), 1)
    step_S = (circuit.g_max_S - circuit.g_min_S) / np.abs(whole).max()
    pair_S = 2 * circuit.g_min_S + np.abs(W) * step_S
    volt, rail = circuit.unit_voltage_V, circuit.supply_V

    def watts(v: np.ndarray) -> float:
        line = slope * v
        p = W.T @ line + unit / a  # what the amplifier puts out; a leaky node comes to rest at a times it
        current = (pair_S.sum(1) * np.abs(line)).sum() + step_S * np.abs(unit / a).sum()
        current += step_S * np.abs(p).sum() + np.abs(p - v).sum() / circuit.node_R_ohm
        return float(volt * rail * current)

    def rhs(_s: float, y: np.ndarray) -> np.ndarray:
        return np.append(a * W.T @ (slope * y[:-1]) + unit - y[:-1], watts(y[:-1]))

    path = solve_ivp(rhs, (0, 200), np.zeros(9), rtol=1e-11, atol=1e-13, dense_output=True, method="DOP853")
    grid = np.linspace(0, 200, 400_001)
    outside = np.abs(path.sol(grid)[:-1] - v_star[:, None]).max(0) > FINE.band
    t = grid[np.nonzero(outside)[0].max()]
    tau, hold = circuit.tau_s, circuit.adc.conversion_s
    drivers_J = path.sol(t)[-1] * tau + watts(v_star) * hold
    gains = 1 + pair_S.sum(0) / step_S + 1  # the devices at a summing node, and the resistor that brings g
    bias_W = sum(circuit.amplifier.quiescent_W(k, tau, rail) for k in gains)
    bias_W += 4 * 8 * circuit.amplifier.quiescent_W(2.0, tau, rail)
    expected_J = drivers_J + bias_W * (t * tau + hold) + 16 * circuit.adc.energy_J
    assert log.backward_time_s == pytest.approx(t * tau, rel=1e-3, abs=0)
    assert log.backward_energy_J == pytest.approx(expected_J, rel=1e-3, abs=0)


def test_the_heat_of_an_adjoint_settle_and_what_it_stores_are_those_of_one_driven_node() -> None:
    # W = 0 but for one device, read into node 0 by no one: v_i = g (1 - exp(-t)), line currents by hand.
    circuit = drivers_alone(LEAKY)
    a, n, g = circuit.gain, 2, 0.5
    W = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    core = TransposedCore(W, rate=None, tau_s=circuit.tau_s, gap=0.0, circuit=circuit, pairs=map_weights(W, circuit))
    nothing, source = torch.zeros(1, n, dtype=torch.float64), torch.tensor([[0.0, g]], dtype=torch.float64)
    out = settle(core, torch.cat((source, nothing), 1), rtol=1e-8, atol=1e-10)  # slope 0: no line carries anything
    ledger, t, hold = out.ledger, float(out.t_settle_s), circuit.adc.conversion_s
    s, volt2, step_S = t / circuit.tau_s, circuit.unit_voltage_V**2, circuit.g_max_S - circuit.g_min_S
    v, p = g * (1 - np.exp(-s)), g / a
    assert ledger.crossbar_J.item() == pytest.approx(volt2 * step_S * p**2 * (t + hold), rel=1e-6, abs=0)
    assert ledger.feedback_J.item() == pytest.approx(volt2 * step_S * p**2 * (t + hold), rel=1e-6, abs=0)
    # (p - v)^2 / R + G_L v^2 until readout, and at rest while the converter holds it.
    x = np.linspace(0, s, 200_001)
    heat = (p - g * (1 - np.exp(-x))) ** 2 / circuit.node_R_ohm + circuit.node_leak_S * (g * (1 - np.exp(-x))) ** 2
    at_rest = (p - g) ** 2 / circuit.node_R_ohm + circuit.node_leak_S * g**2
    expected = volt2 * (np.trapezoid(heat, x) * circuit.tau_s + at_rest * hold)
    assert ledger.node_J.item() == pytest.approx(expected, rel=1e-3, abs=0)
    assert ledger.stored_J.item() == pytest.approx(0.5 * circuit.node_C_F * volt2 * v**2, rel=3e-3, abs=0)


def test_a_solution_beyond_the_range_is_settled_again_smaller_and_both_settles_are_paid_for() -> None:
    core, u, g = random_problem(batch=1)
    spent = []
    for circuit in (None, CIRCUIT):
        log = SolveLog()
        assert relative_error(core, u, g, PhysicalAdjoint(circuit=circuit, options=FINE), log) < 1e-5
        spent.append(log.backward_time_s / (core.tau_s if circuit is None else CIRCUIT.tau_s))
    assert 1.8 < spent[1] / spent[0] < 2.0  # the smaller one reaches the band a little earlier


def test_the_same_devices_give_the_gradient_of_the_machine_and_a_second_array_a_biased_one() -> None:
    own, u, g = random_problem()
    core = through_chip(own, Chip(own, CIRCUIT, ROUGH, seed=3))
    assert (core.W - own.W).abs().max() > 0.01
    same = PhysicalAdjoint(circuit=CIRCUIT, options=FINE)
    assert relative_error(core, u, g, same) < 1e-5
    errors = [
        relative_error(core, u, g, PhysicalAdjoint(array="second", circuit=CIRCUIT, device=ROUGH, seed=seed))
        for seed in range(3)
    ]
    assert len(set(errors)) == 3
    assert all(0.01 < error < 0.5 for error in errors)


def test_the_gradient_of_the_machine_is_its_finite_difference_and_reaches_the_parameters() -> None:
    own, u, g = random_problem()
    chip = Chip(own, CIRCUIT, ROUGH, seed=3)
    core = through_chip(own, chip)
    adjoint = PhysicalAdjoint(circuit=CIRCUIT, options=FINE)
    equilibrium(core, u.detach(), forward=ROOT, gradient=adjoint).backward(g)
    direction, eps = torch.randn(8, 8, dtype=torch.float64), 1e-6
    held, ends = chip.core.W.detach(), []
    for sign in (1, -1):
        moved = RCCore(held + sign * eps * direction, chip.core.U, chip.core.b, gain=chip.core.gain)
        ends.append(float((equilibrium(moved, u.detach(), forward=ROOT) * g).sum()))
    assert float((own.W.grad * direction).sum()) == pytest.approx((ends[0] - ends[1]) / (2 * eps), rel=1e-4)


def test_noise_averages_out_over_the_readout_window() -> None:
    core, u, g = random_problem(batch=16)
    errors = [
        relative_error(core, u, g, PhysicalAdjoint(noise=0.1, average_tau=window, seed=4)) for window in (10.0, 250.0)
    ]
    assert 0.005 < errors[1] < errors[0] < 0.5
    assert errors[0] / errors[1] == pytest.approx(5, rel=0.5)  # the square root of 25 times the window


def test_the_readout_window_of_a_noisy_adjoint_is_paid_for_in_seconds_and_joules() -> None:
    core, u, g = random_problem(batch=1)
    core.W.data -= 2 * torch.eye(8, dtype=torch.float64)  # v stays within the range: one settle
    logs = {}
    for circuit in (CIRCUIT, drivers_alone(CIRCUIT)):
        for window in (None, 10.0, 30.0):
            log = logs[circuit is CIRCUIT, window] = SolveLog()
            noise = {} if window is None else {"noise": 1e-9, "average_tau": window}
            way = PhysicalAdjoint(circuit=circuit, options=FINE, **noise)
            equilibrium(core, u, forward=ROOT, gradient=way, log=log).backward(g)
    quiet, ten, thirty = (logs[True, window].backward_time_s / CIRCUIT.tau_s for window in (None, 10.0, 30.0))
    assert ten - quiet == pytest.approx(5 + 10, rel=1e-6)  # five time constants to forget where it began
    assert thirty - ten == pytest.approx(20, rel=1e-6)
    # Beyond the bias, the window costs the drivers' watts at rest: what is held while the state is converted, too.
    watts = [
        (logs[False, 30.0].backward_energy_J - logs[False, window].backward_energy_J) / (more * CIRCUIT.tau_s)
        for window, more in ((10.0, 20), (None, 35))
    ]
    assert watts[0] == pytest.approx(watts[1], rel=1e-6)
    assert watts[0] > 0.1 * CIRCUIT.unit_voltage_V * CIRCUIT.supply_V * CIRCUIT.g_max_S


def test_an_uncoupled_node_fluctuates_by_the_noise_asked_for() -> None:
    # v = g + noise with W = 0: the mean over T has variance 2 sigma^2 / T for T much longer than tau.
    n, sigma, window = 400, 0.2, 50.0
    core = trainable(np.zeros((n, n)) + 1e-12, activation="identity")
    z = equilibrium(
        core, inputs(2, n).detach(), forward=ROOT, gradient=PhysicalAdjoint(noise=sigma, average_tau=window)
    )
    z.backward(torch.ones_like(z))
    spread = (core.b.grad - 2).std()  # two samples add up
    assert spread == pytest.approx(2**0.5 * sigma * (2 / window) ** 0.5, rel=0.15)


def test_converters_limit_the_gradient_to_their_resolution() -> None:
    core, u, g = random_problem()
    errors = []
    for bits in (4, 8):
        converter = replace(CIRCUIT.adc, bits=bits)
        circuit = replace(CIRCUIT, dac=converter, adc=converter)
        errors.append(relative_error(core, u, g, PhysicalAdjoint(circuit=circuit, options=FINE)))
    assert errors[1] < 0.02
    assert 4 < errors[0] / errors[1] < 64


def test_without_a_circuit_there_are_seconds_but_no_joules() -> None:
    core, log = symmetric_core(), SolveLog()
    equilibrium(core, inputs(2, 3), forward=ROOT, gradient=PhysicalAdjoint(), log=log).sum().backward()
    assert log.backward_time_s > core.tau_s
    assert np.isnan(log.backward_energy_J)


def test_an_equilibrium_that_repels_has_no_physical_adjoint() -> None:
    core = trainable([[2.0]])
    z = equilibrium(core, torch.zeros(1, 1, dtype=torch.float64), forward=_AtZero(), gradient=PhysicalAdjoint())
    with pytest.raises(GradientError, match="did not settle"):
        z.sum().backward()


class _AtZero:
    """Stands on the repelling rest z = 0."""

    def solve(self, core: RCCore, u: Tensor) -> object:
        return ByRootFinding().solve(trainable([[0.5]]), u)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"array": "third"}, "'third'"),
        ({"array": "second"}, "give the circuit"),
        ({"noise": -0.1}, "noise"),
        ({"average_tau": 0.0}, "average_tau"),
    ],
)
def test_unusable_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PhysicalAdjoint(**options)
