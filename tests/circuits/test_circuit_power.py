"""Watts against brute-force sums over explicit device matrices."""

from typing import Any

import numpy as np
import pytest
import torch

from analogdeq.chip import Chip
from analogdeq.circuits.power import POWER_TERMS
from analogdeq.devices.preset import DevicePreset
from helpers import Nodal, chip, random_core, random_inputs, tensor

ACTIVATIONS = ("tanh", "sigmoid", "hardtanh", "relu-clipped", "relu", "identity")
SPREAD = DevicePreset(
    name="spread", title="", g_min_S=0.0, g_max_S=float("inf"), sigma_S=(0.05,), source="a test"
)  # fmt: skip


def power_W(chip: Chip, z: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """(batch, term) at the states z, through the buffered interface."""
    dz = torch.full_like(z, torch.nan)
    power = z.new_full((z.shape[0], len(chip.power_terms)), torch.nan)
    chip.evaluate(z, chip.drive(u), dz, power, z.new_full((chip.work_buffers, *z.shape), torch.nan))
    return power


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mapping": "balanced"},
        {"node_leak_S": 3e-6},
        {"unit_voltage_V": 0.37, "supply_V": 1.7, "node_R_ohm": 2e4},
        {"device": SPREAD, "seed": 5},
    ],
    ids=["plain", "balanced", "leaky", "other values", "imperfect devices"],
)
def test_every_power_term_is_the_sum_over_its_elements(activation: str, changes: dict[str, Any]) -> None:
    placed = chip(random_core(5, seed=1, activation=activation), **changes)
    z, u = tensor(np.random.default_rng(2).uniform(-1, 1, (6, 5))), random_inputs(6, 3, seed=3)
    watts = power_W(placed, z, u)
    unit = placed.circuit.unit_voltage_V
    for k in range(6):
        crossbar, feedback, node, drawn, *_ = Nodal.of(placed, u[k]).powers_W(unit * z[k].numpy())
        np.testing.assert_allclose(watts[k].numpy(), [crossbar, feedback, node, drawn], rtol=1e-12)


@pytest.mark.parametrize("leak_S", [0.0, 5e-6])
def test_the_chips_derivative_is_kirchhoffs_current_law(leak_S: float) -> None:
    placed = chip(random_core(5, seed=1), node_leak_S=leak_S, device=SPREAD)
    z, u = tensor(np.random.default_rng(2).uniform(-1, 1, (4, 5))), random_inputs(4, 3, seed=3)
    dz = torch.empty_like(z)
    placed.evaluate(z, placed.drive(u), dz, z.new_empty(4, 4), z.new_empty(2, 4, 5))
    unit = placed.circuit.unit_voltage_V
    for k in range(4):
        dv_dt = Nodal.of(placed, u[k]).dv_dt(unit * z[k].numpy())
        np.testing.assert_allclose(dz[k].numpy() / placed.tau_s * unit, dv_dt, rtol=1e-10)


def test_power_is_the_same_whatever_the_buffers_held() -> None:
    placed = chip(random_core(5, seed=1))
    z, u = torch.randn(3, 5, dtype=torch.float64), random_inputs(3, 3, seed=3)
    first = power_W(placed, z, u)
    dz, power = torch.randn_like(z), torch.randn(3, 4, dtype=torch.float64)
    placed.evaluate(z, placed.drive(u), dz, power, torch.randn(2, 3, 5, dtype=torch.float64))
    assert torch.equal(power, first)


def test_evaluating_a_chip_leaves_state_and_drive_alone() -> None:
    placed = chip(random_core(5, seed=1), node_leak_S=1e-6)
    z, u = torch.randn(3, 5, dtype=torch.float64), random_inputs(3, 3, seed=3)
    drive, before = placed.drive(u), z.clone()
    current, standing = drive.current.clone(), drive.standing_power_W.clone()
    placed.evaluate(z, drive, torch.empty_like(z), z.new_empty(3, 4), z.new_empty(2, 3, 5))
    assert torch.equal(z, before)
    assert torch.equal(drive.current, current)
    assert torch.equal(drive.standing_power_W, standing)


def test_a_batch_draws_what_its_samples_draw_alone() -> None:
    placed = chip(random_core(5, seed=1, dtype=torch.float32), node_leak_S=1e-6)
    z, u = torch.randn(40, 5), random_inputs(40, 3, seed=3, dtype=torch.float32)
    together = power_W(placed, z, u)
    alone = torch.cat([power_W(placed, z[k : k + 1], u[k : k + 1]) for k in range(40)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=0)


def test_no_voltage_no_heat() -> None:
    core = random_core(4, seed=1)
    core.b.zero_()
    placed = chip(core)
    # The bias column still stands at the unit voltage: its devices conduct g_min each.
    bias_W = 2 * 4 * 0.25e-6 * 0.1**2
    zero_u = torch.zeros(1, 3, dtype=torch.float64)
    watts = power_W(placed, torch.zeros(1, 4, dtype=torch.float64), zero_u)[0]
    assert float(watts[0]) == pytest.approx(bias_W, rel=1e-6, abs=0)
    assert float(watts[1]) == pytest.approx(0.0, abs=1e-6 * bias_W)


def test_the_terms_are_named_in_their_order() -> None:
    assert POWER_TERMS == ("crossbar", "feedback", "node", "drivers")
    assert chip(random_core(3, seed=0)).power_terms == POWER_TERMS


@pytest.mark.parametrize("c", [0.1, 4.0])
def test_scaling_every_conductance_by_c_scales_crossbar_and_feedback_power_by_c_at_the_same_state(c: float) -> None:
    core = random_core(5, seed=1)
    z, u = torch.randn(3, 5, dtype=torch.float64), random_inputs(3, 3, seed=3)
    plain, scaled = (
        power_W(chip(core, g_min_S=0.25e-6 * f, g_max_S=25e-6 * f), z, u) for f in (1.0, c)
    )  # fmt: skip
    torch.testing.assert_close(scaled[:, :2], c * plain[:, :2], rtol=1e-12, atol=0)
    torch.testing.assert_close(scaled[:, 2], plain[:, 2], rtol=1e-12, atol=0)


@pytest.mark.parametrize("a", [0.25, 3.0])
def test_scaling_the_unit_voltage_by_a_scales_every_heat_by_a_squared(a: float) -> None:
    core = random_core(5, seed=1)
    z, u = torch.randn(3, 5, dtype=torch.float64), random_inputs(3, 3, seed=3)
    plain, scaled = (power_W(chip(core, unit_voltage_V=0.1 * f, node_leak_S=1e-6), z, u) for f in (1.0, a))
    torch.testing.assert_close(scaled[:, :3], a * a * plain[:, :3], rtol=1e-12, atol=0)
    torch.testing.assert_close(scaled[:, 3], a * plain[:, 3], rtol=1e-12, atol=0)


def test_the_supply_voltage_scales_what_the_drivers_draw_and_nothing_else() -> None:
    core = random_core(5, seed=1)
    z, u = torch.randn(3, 5, dtype=torch.float64), random_inputs(3, 3, seed=3)
    low, high = (power_W(chip(core, supply_V=v), z, u) for v in (0.9, 1.8))
    torch.testing.assert_close(high[:, 3], 2 * low[:, 3], rtol=1e-12, atol=0)
    assert torch.equal(high[:, :3], low[:, :3])
