"""Devices that are no resistors, on a chip: dynamics, Jacobian and power against explicit sums over devices."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.optimize import root

from analogdeq.chip import Chip
from analogdeq.errors import InputError
from analogdeq.library import device_preset
from analogdeq.solve.settle import settle
from helpers import circuit, quiet_amplifier, random_core, random_inputs, tensor
from unrolling import conv_core

MILO = device_preset("reram-milo")
V_U = 0.4


def curved() -> Chip:
    changes = {"g_min_S": 60e-6, "g_max_S": 110e-6, "unit_voltage_V": V_U, "amplifier": quiet_amplifier()}
    return Chip(random_core(4, seed=0), circuit(**changes, node_leak_S=2e-6), MILO, seed=2)


def current_A(G: np.ndarray, V: np.ndarray) -> np.ndarray:
    """The published cubic, typed anew."""
    log = np.log10(G)
    NL2 = np.polyval([1.388e-4, 1.541e-3, 5.711e-3, 7.063e-3], log)
    NL3 = np.polyval([8.8710e-5, 6.7919e-4, 1.2968e-3], log)
    return G * V + NL2 * V**2 + NL3 * V**3


def devices_A(chip: Chip, z: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines [V], and the current of every + and - device [A]."""
    x = V_U * np.concatenate((z, u, [1.0]))
    return x, current_A(chip.pairs.plus_S.numpy(), x), current_A(chip.pairs.minus_S.numpy(), -x)


def map_by_hand(chip: Chip, z: np.ndarray, u: np.ndarray) -> np.ndarray:
    _, plus, minus = devices_A(chip, z, u)
    return chip.circuit.gain * np.tanh(chip.pairs.feedback_ohm * (plus + minus).sum(1) / V_U)


def test_the_map_of_a_curved_chip_sums_the_currents_of_its_devices() -> None:
    chip, u, z = curved(), random_inputs(3, 3, seed=1), tensor(np.random.default_rng(0).uniform(-1, 1, (3, 4)).tolist())
    mine = chip.fixed_point_map(z, chip.drive(u))
    level = chip.circuit.dac.quantise(u)
    for k in range(3):
        np.testing.assert_allclose(mine[k].numpy(), map_by_hand(chip, z[k].numpy(), level[k].numpy()), atol=1e-12)


def test_its_curvature_moves_the_equilibrium() -> None:
    chip, u = curved(), random_inputs(2, 3, seed=1)
    straight = Chip(random_core(4, seed=0), chip.circuit, MILO.__class__(**{**vars(MILO), "conduction": None}), seed=2)
    assert torch.equal(chip.pairs.plus_S, straight.pairs.plus_S)
    assert float((settle(chip, u).z - settle(straight, u).z).abs().max()) > 0.01


def test_its_jacobian_is_the_derivative_of_its_map() -> None:
    chip, u, z = curved(), random_inputs(2, 3, seed=1), tensor([[0.3, -0.5, 0.8, 0.1], [-0.9, 0.2, 0.4, -0.3]])
    drive = chip.drive(u)
    J = chip.linearise(z, drive).dense()
    eps = 1e-6
    for j in range(4):
        step = torch.zeros_like(z)
        step[:, j] = eps
        difference = (chip.fixed_point_map(z + step, drive) - chip.fixed_point_map(z - step, drive)) / (2 * eps)
        torch.testing.assert_close(J[:, :, j], difference, rtol=0, atol=1e-8)
    v = torch.randn(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(chip.linearise(z, drive).matvec(v), torch.einsum("bij,bj->bi", J, v))
    torch.testing.assert_close(chip.linearise(z, drive).rmatvec(v), torch.einsum("bij,bi->bj", J, v))


def test_its_contraction_gap_is_a_bound() -> None:
    chip = curved()
    generator = torch.Generator().manual_seed(0)
    u = random_inputs(200, 3, seed=1)
    z = (2 * torch.rand(200, 4, dtype=torch.float64, generator=generator) - 1) * chip.full_scale
    largest = float(torch.linalg.matrix_norm(chip.linearise(z, chip.drive(u)).dense(), 2).max())
    assert largest <= 1 - chip.contraction_gap() or chip.contraction_gap() == 0


def test_its_energy_is_that_of_every_device_integrated_by_another_solver() -> None:
    chip, u = curved(), random_inputs(1, 3, seed=1)
    out = settle(chip, u, rtol=1e-6, atol=1e-9, method="tsit5")
    c, level = chip.circuit, chip.circuit.dac.quantise(u)[0].numpy()

    def rates(_t: float, y: np.ndarray) -> np.ndarray:
        z = y[:4]
        x, plus, minus = devices_A(chip, z, level)
        t_V = chip.pairs.feedback_ohm * (plus + minus).sum(1)
        f_V, v = V_U * np.tanh(t_V / V_U), V_U * z
        heat = (x * plus).sum() + (-x * minus).sum()
        # Every column's driver feeds the sum of its devices; feedback and node currents come from amplifiers.
        line = np.abs(plus.sum(0)).sum() + np.abs(minus.sum(0)).sum()
        drawn = 0.9 * (line + np.abs(t_V / chip.pairs.feedback_ohm).sum() + np.abs((f_V - v) / c.node_R_ohm).sum())
        feedback = (t_V**2).sum() / chip.pairs.feedback_ohm
        return np.concatenate((((f_V - v) / c.node_R_ohm - 2e-6 * v) / c.node_C_F / V_U, [heat, feedback, drawn]))

    end = float(out.t_settle_s)
    answer = solve_ivp(rates, (0, end), np.zeros(7), method="DOP853", rtol=1e-11, atol=1e-22)
    ledger = out.ledger
    assert ledger is not None
    assert float(ledger.crossbar_J) == pytest.approx(answer.y[4, -1], rel=1e-4, abs=0)
    assert float(ledger.feedback_J) == pytest.approx(answer.y[5, -1], rel=1e-4, abs=0)
    assert float(ledger.drivers_J) == pytest.approx(answer.y[6, -1], rel=1e-4, abs=0)
    rest = root(lambda z: map_by_hand(chip, z, level) - z, answer.y[:4, -1], tol=1e-13).x
    np.testing.assert_allclose(out.z[0].numpy(), rest, atol=1e-3)


def test_convolutions_in_curved_devices_are_refused() -> None:
    with pytest.raises(InputError, match="for an RCCore only"):
        Chip(conv_core(), circuit(g_min_S=60e-6, g_max_S=110e-6), MILO)
