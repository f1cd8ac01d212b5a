"""Random non-symmetric chips against node analysis integrated by scipy at 1e-11, and the balance of their energy."""

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from analogdeq.chip import Chip
from analogdeq.devices.preset import DevicePreset
from analogdeq.errors import InputError
from analogdeq.solve.record import Record
from analogdeq.solve.rest import rounding
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from helpers import (
    ACCURATE,
    NATIVE,
    Nodal,
    chip,
    last_exit,
    quiet_amplifier,
    random_core,
    random_inputs,
    tensor,
    trajectory,
)

TERMS = ("crossbar", "feedback", "node", "drivers", "stored")
# Seeds whose trajectory grazes the band (12 nodes, seed 4) are left out: there the last exit is ill-conditioned.
CASES = [(4, 0, "tanh"), (5, 1, "sigmoid"), (7, 2, "tanh"), (9, 3, "sigmoid"), (12, 7, "tanh"), (12, 5, "tanh")]
KINKED = [(6, 3, "hardtanh"), (12, 1, "hardtanh"), (9, 1, "relu-clipped"), (6, 0, "relu-clipped")]
DEVICE = DevicePreset(name="2 %", title="", g_min_S=0.0, g_max_S=float("inf"), sigma_S=(0.02,), source="a test")


@cache
def case(n: int, seed: int, activation: str) -> tuple[Chip, torch.Tensor, Nodal]:
    """A chip of imperfect devices, every second one leaky, its input and its reference."""
    core = random_core(n, seed=seed, radius=0.9, activation=activation)
    leak_S = 2e-6 if seed % 2 else 0.0
    placed = chip(core, device=DEVICE, seed=seed, node_leak_S=leak_S, amplifier=quiet_amplifier())
    u = random_inputs(1, 3, seed=seed + 100)
    return placed, u, Nodal.of(placed, u[0], duration_tau=120)


def errors(out: Settled, nodal: Nodal, full_scale: float) -> dict[str, float]:
    """Relative errors of the settling time and of every energy term at the reference's own settling time."""
    exact_s = nodal.settle_s(1e-3 * full_scale)
    exact_J = nodal.energies_J(exact_s)
    assert out.ledger is not None
    ledger = {name: getattr(out.ledger, f"{name}_J").item() for name in TERMS}
    off = {name: abs(ledger[name] - exact_J[name]) / (abs(exact_J[name]) or 1.0) for name in TERMS}
    return {"settling time": abs(out.t_settle_s.item() / exact_s - 1), **off}


@pytest.mark.parametrize("method", ACCURATE)
@pytest.mark.parametrize(("n", "seed", "activation"), CASES)
def test_settling_time_and_every_joule_are_right_to_a_tenth_of_a_percent_by_default(
    method: str, n: int, seed: int, activation: str
) -> None:
    placed, u, nodal = case(n, seed, activation)
    out = settle(placed, u, method=method)
    off = errors(out, nodal, placed.full_scale)
    assert max(off.values()) < 1e-3, off
    np.testing.assert_allclose(out.z[0].numpy(), nodal.rest, atol=1e-6)


@pytest.mark.parametrize("method", NATIVE)
@pytest.mark.parametrize(("n", "seed", "activation"), [*CASES, *KINKED])
def test_no_activation_and_no_stepper_is_off_by_more_than_a_percent(
    method: str, n: int, seed: int, activation: str
) -> None:
    placed, u, nodal = case(n, seed, activation)
    off = errors(settle(placed, u, method=method), nodal, placed.full_scale)
    assert max(off.values()) < 1e-2, off


@pytest.mark.parametrize(("n", "seed", "activation"), KINKED)
def test_kinked_activations_are_right_to_a_tenth_of_a_percent_at_a_tighter_tolerance(
    n: int, seed: int, activation: str
) -> None:
    placed, u, nodal = case(n, seed, activation)
    off = errors(settle(placed, u, rtol=1e-5), nodal, placed.full_scale)
    assert max(off.values()) < 1e-3, off


@pytest.mark.parametrize("method", ACCURATE)
@pytest.mark.parametrize(("n", "seed", "activation"), CASES)
def test_the_recorded_waveforms_are_the_reference_trajectory(method: str, n: int, seed: int, activation: str) -> None:
    placed, u, nodal = case(n, seed, activation)
    out = settle(placed, u, method=method, record=Record(samples=(0,), interval_tau=0.1))
    assert out.trace is not None
    t, z = out.trace.time_s, out.trace.state[:, 0]
    np.testing.assert_allclose(z, nodal.z(t).T, atol=3e-4)
    unit = placed.circuit.unit_voltage_V
    exact_W = np.stack([nodal.powers_W(unit * nodal.z(s))[:4] for s in t])
    np.testing.assert_allclose(out.trace.power_W[:, 0], exact_W, rtol=2e-3, atol=2e-3 * exact_W.max(0).min())


@pytest.mark.parametrize("method", NATIVE)
def test_the_error_of_the_trajectory_follows_the_tolerance(method: str) -> None:
    """Every hundredth of rtol takes the trajectory about a hundredth of the error nearer."""
    core = random_core(8, seed=11, radius=1.2, tau_s=1.0)
    u, z0 = random_inputs(1, 3, seed=1), random_inputs(1, 8, seed=2)
    exact = trajectory(core.W.numpy(), z0[0], 6.0, b=(core.U @ u[0] + core.b).numpy())(6.0)
    found = []
    for rtol in (1e-2, 1e-4, 1e-6):
        out = settle(core, u, z0=z0, method=method, rtol=rtol, atol=1e-13, max_time_tau=6.0)
        assert out.verdict[0].text == "timed out"
        found.append(np.abs(out.z[0].numpy() - exact).max())
    for coarse, fine in pairwise(found):
        assert 8 < coarse / fine < 1500, found


def test_joules_converge_with_the_tolerance() -> None:
    placed, u, nodal = case(7, 2, "tanh")
    coarse = errors(settle(placed, u, rtol=1e-2), nodal, placed.full_scale)
    fine = errors(settle(placed, u, rtol=1e-6, atol=1e-10), nodal, placed.full_scale)
    assert max(fine.values()) < 2e-5
    assert max(fine.values()) < 0.05 * max(coarse.values())


@pytest.mark.parametrize("seed", range(3))
def test_settling_time_is_right_where_time_constants_are_spread(seed: int) -> None:
    taus = np.geomspace(0.02, 1, 6)
    core = random_core(6, seed=seed + 40, radius=0.8, tau_s=tensor(taus))
    u = random_inputs(1, 3, seed=seed)
    out = settle(core, u, record=Record(samples=(0,), interval_tau=0.05))
    z = trajectory(core.W.numpy(), np.zeros(6), 60, b=(core.U @ u[0] + core.b).numpy(), taus=taus, rtol=1e-10)
    assert out.trace is not None
    np.testing.assert_allclose(out.trace.state[:, 0], z(out.trace.time_s).T, atol=3e-4)
    assert out.t_settle_s.item() == pytest.approx(last_exit(z, out.z[0].numpy(), 1e-3, 60), rel=1e-3)


@pytest.mark.parametrize("band", [1e-2, 1e-4, 1e-5])
def test_narrow_and_wide_bands_are_crossed_at_the_right_time_by_default(band: float) -> None:
    placed, u, nodal = case(12, 7, "tanh")
    out = settle(placed, u, band=band)
    assert out.t_settle_s.item() == pytest.approx(nodal.settle_s(band * placed.full_scale), rel=1e-3)


def test_a_band_below_the_tolerance_of_the_state_is_either_crossed_at_the_right_time_or_refused() -> None:
    placed, u, nodal = case(12, 5, "tanh")
    try:
        out = settle(placed, u, band=1e-7)
    except InputError:
        return
    assert out.verdict[0].text == "settled"
    assert out.t_settle_s.item() == pytest.approx(nodal.settle_s(1e-7 * placed.full_scale), rel=1e-3)


def test_single_precision_settles_as_double_does() -> None:
    placed = chip(random_core(12, seed=4), amplifier=quiet_amplifier())
    u = random_inputs(16, 3, seed=1)
    double = settle(placed, u)
    rounded = chip(random_core(12, seed=4, dtype=torch.float32), amplifier=quiet_amplifier())
    single = settle(rounded, u.float())
    assert torch.equal(single.verdict_code, double.verdict_code)
    torch.testing.assert_close(single.t_settle_s, double.t_settle_s, rtol=1e-3, atol=0)
    torch.testing.assert_close(single.energy_J, double.energy_J, rtol=1e-3, atol=0)
    J = placed.linearise(double.z, placed.drive(u)).dense()
    sensitivity = float(torch.linalg.inv(torch.eye(12) - J).abs().sum(-1).max())  # of rests to errors of F
    torch.testing.assert_close(single.z.double(), double.z, rtol=0, atol=2 * sensitivity * rounding(rounded))
    assert 2 * sensitivity * rounding(rounded) < 5e-6
    assert single.energy_J.dtype == torch.float64


@pytest.mark.parametrize(("n", "seed", "activation"), [CASES[0], CASES[1], CASES[4], KINKED[0]])
def test_energy_from_all_ideal_sources_is_heat_plus_stored(n: int, seed: int, activation: str) -> None:
    """Tellegen: lines and amplifier outputs deliver v i; the settle's own heat and stored energy must equal it."""
    placed, u, nodal = case(n, seed, activation)
    out = settle(placed, u, rtol=1e-7, atol=1e-11)
    assert out.ledger is not None
    t_s = out.t_settle_s.item()
    delivered = sum(nodal.energies_J(t_s)[source] for source in Nodal.SOURCES)
    ledger = out.ledger
    kept = (ledger.crossbar_J + ledger.feedback_J + ledger.node_J + ledger.stored_J).item()
    assert kept == pytest.approx(delivered, rel=1e-4, abs=0)


@pytest.mark.parametrize("leak_S", [0.0, 4e-6])
def test_the_balance_holds_on_the_recorded_waveforms_alone(leak_S: float) -> None:
    """The same, with the sources integrated over the settle's own trace by the trapezoid rule."""
    placed = chip(random_core(6, seed=8), node_leak_S=leak_S, amplifier=quiet_amplifier())
    u = random_inputs(1, 3, seed=9)
    out = settle(placed, u, rtol=1e-6, atol=1e-9, record=Record(samples=(0,), interval_tau=0.005))
    assert out.trace is not None
    assert out.ledger is not None
    nodal, t_s = Nodal.of(placed, u[0]), out.t_settle_s.item()
    inside = out.trace.time_s <= t_s
    t, z = out.trace.time_s[inside], out.trace.state[inside, 0]
    watts = np.array([nodal.powers_W(placed.circuit.unit_voltage_V * state)[4:].sum() for state in z])
    delivered = np.trapezoid(watts, t) + watts[-1] * (t_s - t[-1])
    ledger = out.ledger
    kept = (ledger.crossbar_J + ledger.feedback_J + ledger.node_J + ledger.stored_J).item()
    assert kept == pytest.approx(delivered, rel=1e-4, abs=0)


@pytest.mark.parametrize("z0", [None, [[0.5, -0.9, 0.3, 0.8, -0.1]]])
def test_the_supply_never_delivers_less_than_what_is_turned_to_heat_and_stored(z0: Any) -> None:
    placed = chip(random_core(5, seed=3), amplifier=quiet_amplifier())
    out = settle(placed, random_inputs(1, 3, seed=2), z0=None if z0 is None else tensor(z0))
    assert out.ledger is not None
    assert out.ledger.output_stages_J.item() > 0


@pytest.mark.parametrize("c", [0.2, 3.0])
def test_scaling_every_conductance_by_c_leaves_the_settle_alone_and_scales_crossbar_energy_by_c(c: float) -> None:
    core, u = random_core(6, seed=1), random_inputs(4, 3, seed=2)
    plain, scaled = (
        settle(
            chip(core, g_min_S=f * 0.25e-6, g_max_S=f * 25e-6, amplifier=quiet_amplifier()), u,
            rtol=1e-7, atol=1e-11, record=Record(samples=(0,)),
        )
        for f in (1.0, c)
    )  # fmt: skip
    assert plain.trace is not None
    assert scaled.trace is not None
    rows = min(len(plain.trace.state), len(scaled.trace.state))
    np.testing.assert_allclose(scaled.trace.state[:rows], plain.trace.state[:rows], atol=1e-6)
    torch.testing.assert_close(scaled.t_settle_s, plain.t_settle_s, rtol=1e-5, atol=0)
    assert plain.ledger is not None
    assert scaled.ledger is not None
    torch.testing.assert_close(scaled.ledger.crossbar_J, c * plain.ledger.crossbar_J, rtol=1e-5, atol=0)
    torch.testing.assert_close(scaled.ledger.feedback_J, c * plain.ledger.feedback_J, rtol=1e-5, atol=0)
    torch.testing.assert_close(scaled.ledger.node_J, plain.ledger.node_J, rtol=1e-5, atol=0)
    torch.testing.assert_close(scaled.ledger.stored_J, plain.ledger.stored_J, rtol=1e-5, atol=0)


@pytest.mark.parametrize("a", [0.3, 4.0])
def test_scaling_the_unit_voltage_by_a_scales_every_heat_by_a_squared_and_the_draw_by_a(a: float) -> None:
    core, u = random_core(6, seed=1), random_inputs(4, 3, seed=2)
    plain, scaled = (
        settle(chip(core, unit_voltage_V=0.1 * f, node_leak_S=1e-6, amplifier=quiet_amplifier()), u).ledger
        for f in (1.0, a)
    )
    assert plain is not None
    assert scaled is not None
    for name in ("crossbar_J", "feedback_J", "node_J", "stored_J"):
        torch.testing.assert_close(getattr(scaled, name), a * a * getattr(plain, name), rtol=1e-3, atol=0)
    torch.testing.assert_close(scaled.drivers_J, a * plain.drivers_J, rtol=1e-3, atol=0)


@pytest.mark.parametrize("method", NATIVE)
@pytest.mark.parametrize("seed", range(4))
def test_settled_stays_settled_for_ten_more_time_constants(method: str, seed: int) -> None:
    core = random_core(8, seed=seed + 20, radius=[0.5, 0.9, 1.0, 1.2][seed], tau_s=1.0)
    u = random_inputs(3, 3, seed=seed)
    out = settle(core, u, method=method)
    for k in range(3):
        if not bool(out.is_settled[k]):
            continue
        t_settle, b = out.t_settle_s[k].item(), (core.U @ u[k] + core.b).numpy()
        z = trajectory(core.W.numpy(), np.zeros(8), t_settle + 10, b=b)(np.linspace(t_settle, t_settle + 10, 2001))
        distance = np.abs(z - out.z[k].numpy()[:, None]).max(0)
        assert distance.max() < 1e-3 * 1.03
        assert distance[0] == pytest.approx(1e-3, rel=0.03)
        from_rest = trajectory(core.W.numpy(), out.z[k].numpy(), 10, b=b)(np.linspace(0, 10, 500))
        assert np.abs(from_rest - out.z[k].numpy()[:, None]).max() < 1e-4
