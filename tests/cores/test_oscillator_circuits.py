"""Averaged tanks and rings against their full waveforms, carrier and all."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from analogdeq.circuits.lc_tank import LCTank, diffusion_from_phase_noise, phase_noise_dBc_per_Hz
from analogdeq.circuits.phase_response import phase_response
from analogdeq.circuits.ring import RingOscillator
from analogdeq.circuits.tank_waveform import simulate_tanks
from analogdeq.cores.oscillators.from_circuit import ring_core, tank_core
from analogdeq.errors import InputError, RangeError
from analogdeq.solve.record import Record
from analogdeq.solve.rest import flow_eigenvalues
from analogdeq.solve.settle import settle
from oscillator_oracles import nothing

TANK = LCTank(C_F=1e-12, L_H=1e-9, Q=10.0, startup=1.2, amplitude_V=0.4)
RING = RingOscillator(stages=3, node_C_F=1e-14, node_R_ohm=2e4, gain=4.0, supply_V=1.0)
BAND = 0.05
"""[rad]. Wide enough that what averaging leaves out, of the order of g_1 / (w_0 C) = 0.02, is no crossing."""


def last_outside(time: np.ndarray, phase: np.ndarray, rest: float) -> float:
    """When |phase - rest| last falls below the band, between points by a straight line."""
    excess = np.abs(phase - rest) - BAND
    k = int(np.flatnonzero(excess > 0)[-1])
    return float(time[k] + (time[k + 1] - time[k]) * excess[k] / (excess[k] - excess[k + 1]))


def test_a_tank_locks_at_the_averaged_phase_and_time() -> None:
    current_A = 0.5 * TANK.g1_S * TANK.amplitude_V
    offset_Hz = -0.5 * TANK.lock_rate(current_A) / (2 * math.pi)
    reference_Hz = TANK.frequency_Hz + offset_Hz
    one, none = np.array([current_A + 0j]), np.zeros((1, 1))
    options = {"reference_Hz": reference_Hz, "injection_A": one, "coupling_S": none, "detuned": np.zeros(1)}
    start = np.array([np.exp(-1.5j)])
    full = simulate_tanks(TANK, cycles=500, start=start, **options)
    core = tank_core(TANK, **options)
    z0 = torch.tensor([[start[0].real, start[0].imag]])
    record = Record(samples=(0,), interval_tau=0.02, until_tau=30)
    out = settle(core, nothing(), z0=z0, rtol=1e-6, atol=1e-8, record=record, throw=True)
    assert out.trace is not None
    averaged = out.trace.state[:, 0].astype(float)
    rest = math.atan2(float(out.z[0, 1]), float(out.z[0, 0]))
    known = ~np.isnan(full.amplitude[:, 0])
    phase = np.angle(full.amplitude[known, 0])
    size = math.hypot(float(out.z[0, 0]), float(out.z[0, 1]))
    assert phase[-1] == pytest.approx(rest, rel=0.02)
    assert abs(full.amplitude[known, 0][-1]) == pytest.approx(size, rel=0.02)
    expected_s = last_outside(out.trace.time_s, np.arctan2(averaged[:, 1], averaged[:, 0]), rest)
    assert last_outside(full.time_s[known], phase, phase[-1]) == pytest.approx(expected_s, rel=0.02)


def test_coupled_tanks_lock_at_the_averaged_phases() -> None:
    injection = 0.8 * TANK.g1_S * TANK.amplitude_V * np.array([1.0, 1.0, 0.6 + 0.3j])
    coupling = 0.2 * TANK.g1_S * np.array([[0.0, 1.0, -1.0], [1.0, 0.0, 0.5], [0.5, -1.0, 0.0]])
    detuned = np.array([1.5e-3, -1e-3, 0.5e-3])
    options = {
        "reference_Hz": TANK.frequency_Hz, "injection_A": injection, "coupling_S": coupling, "detuned": detuned
    }  # fmt: skip
    full = simulate_tanks(TANK, cycles=500, **options)
    out = settle(tank_core(TANK, **options), nothing(), throw=True)
    expected = (out.z[0, ::2] + 1j * out.z[0, 1::2]).numpy()
    reached = full.amplitude[~np.isnan(full.amplitude[:, 0])][-1]
    np.testing.assert_allclose(reached, expected, atol=0.02 * np.abs(expected).max())


def test_a_free_tank_swings_to_its_amplitude_at_its_resonance_and_dissipates_its_loss() -> None:
    nothing_in, uncoupled = np.zeros(1, complex), np.zeros((1, 1))
    full = simulate_tanks(
        TANK, reference_Hz=TANK.frequency_Hz, injection_A=nothing_in, coupling_S=uncoupled, detuned=np.zeros(1),
        cycles=400, start=np.array([0.1 + 0j]),
    )  # fmt: skip
    last = full.voltage_V[-32 * 50 :, 0]
    assert np.abs(last).max() == pytest.approx(TANK.amplitude_V, rel=0.01)
    assert float((last**2).mean()) / TANK.loss_ohm == pytest.approx(TANK.loss_W, rel=0.01)
    drift = np.unwrap(np.angle(full.amplitude[~np.isnan(full.amplitude[:, 0]), 0]))
    # van der Pol's frequency is lower by (g_1 / w_0 C)^2 / 16: 2.5e-5 of a turn per turn.
    assert (drift[-1] - drift[-32 * 100]) / (2 * np.pi * 100) == pytest.approx(-2.5e-5, rel=0.1)


def test_a_tanks_rates_are_those_of_the_textbook() -> None:
    current_A = 1e-6
    oscillator_A = TANK.amplitude_V / TANK.loss_ohm
    assert TANK.lock_rate(current_A) == pytest.approx(TANK.omega / (2 * TANK.Q) * current_A / oscillator_A)
    core = tank_core(
        TANK, reference_Hz=TANK.frequency_Hz, injection_A=np.array([current_A + 0j]), coupling_S=np.zeros((1, 1)),
        detuned=np.zeros(1),
    )  # fmt: skip
    out = settle(core, nothing(), max_time_tau=5000, throw=True)
    rates = sorted((-flow_eigenvalues(core, core.drive(nothing()), out.z).real[0] / core.tau_s).tolist())
    assert rates[0] == pytest.approx(TANK.lock_rate(current_A), rel=0.02)
    assert rates[1] == pytest.approx(TANK.g1_S / TANK.C_F, rel=0.02)
    assert TANK.power_W == pytest.approx(TANK.amplitude_V**2 / 2 / TANK.loss_ohm / 0.5)
    kind = TANK.kind(current_A)
    assert kind.tau_s == pytest.approx(1 / TANK.lock_rate(current_A), rel=1e-6, abs=0)


def test_leesons_line_is_a_lorentzian_of_the_diffusion() -> None:
    diffusion = TANK.diffusion_per_s()
    assert phase_noise_dBc_per_Hz(diffusion, 1e6) == pytest.approx(
        10 * math.log10(2 * 2 * 1.380649e-23 * 300 / TANK.loss_W * (TANK.frequency_Hz / (2 * TANK.Q * 1e6)) ** 2),
        abs=1e-6,
    )
    assert diffusion_from_phase_noise(phase_noise_dBc_per_Hz(diffusion, 1e6), 1e6) == pytest.approx(diffusion)
    width = TANK.kind(1e-5).linewidth_Hz
    peak, half = phase_noise_dBc_per_Hz(diffusion, 0.0), phase_noise_dBc_per_Hz(diffusion, width / 2)
    assert peak - half == pytest.approx(10 * math.log10(2))


def test_a_phase_response_is_what_small_kicks_do() -> None:
    """Kick the ring off its cycle and see, many periods later, how much earlier it rises."""
    response, kick = RING.response, 1e-4
    for at, state in ((40, 0), (300, 0), (200, 2)):
        offset = np.zeros(3)
        offset[state] = kick
        ends = []
        for start in (response.cycle[at], response.cycle[at] + offset):
            path = solve_ivp(
                lambda _t, x: RING.flow(x), (0, 10 * response.period), start, rtol=1e-10, atol=1e-12, method="DOP853"
            )
            ends.append(path.y[:, -1])
        speed = RING.flow(ends[0])
        gained = float((ends[1] - ends[0]) @ speed / (speed @ speed))
        assert gained / kick == pytest.approx(response.shift[at, state], rel=2e-3, abs=2e-4)


@pytest.mark.parametrize("detuning", [0.0, 0.5])
def test_a_ring_locks_at_the_averaged_phase_and_time(detuning: float) -> None:
    unit_A = RING.supply_V / 2 / RING.node_R_ohm
    current_A, tau_rc = 0.02 * unit_A, RING.node_R_ohm * RING.node_C_F
    reference_Hz = RING.frequency_Hz - detuning * abs(RING.pull(current_A)) / (2 * math.pi)
    core = ring_core(RING, reference_Hz=reference_Hz, current_A=current_A)
    out = settle(core, nothing(), rtol=1e-6, atol=1e-8, band=BAND, throw=True)
    omega = 2 * math.pi * reference_Hz * tau_rc

    def flow(t: float, x: np.ndarray) -> np.ndarray:
        dx = RING.flow(x)
        dx[0] += 0.02 * math.cos(omega * t)
        return dx

    def rises(_t: float, x: np.ndarray) -> float:
        return float(x[0])

    rises.direction = 1.0
    until = 2.4 * float(out.t_settle_s) / tau_rc + 40
    path = solve_ivp(flow, (0, until), RING.response.cycle[0], method="DOP853", rtol=1e-8, atol=1e-10, events=rises)
    crossings = path.t_events[0]
    crossings = crossings[crossings > 0.1]
    phase = np.unwrap(-omega * crossings)
    rest = float(out.z)
    phase = phase - 2 * math.pi * round((phase[-1] - rest) / (2 * math.pi))
    assert phase[-1] == pytest.approx(rest, abs=0.02 * math.pi)
    settled = last_outside(crossings * tau_rc, phase, phase[-1])
    assert settled == pytest.approx(float(out.t_settle_s), rel=0.02)


def test_a_ring_pays_for_its_swing() -> None:
    assert RING.switching_W == pytest.approx(3 * 1e-14 * 1.0 * RING.frequency_Hz)
    assert 1e8 < RING.frequency_Hz < 5e9


@pytest.mark.parametrize(
    ("change", "message"), [({"stages": 4}, "odd number"), ({"gain": 1.9}, "must exceed 2"), ({"node_C_F": 0.0}, "C_F")]
)
def test_a_ring_that_does_not_oscillate_is_refused(change: dict, message: str) -> None:
    values = {"stages": 3, "node_C_F": 1e-14, "node_R_ohm": 2e4, "gain": 4.0, "supply_V": 1.0}
    with pytest.raises(RangeError, match=message):
        RingOscillator(**{**values, **change})


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(RangeError, match="does not oscillate"):
        phase_response(lambda x: -x, lambda x: -np.eye(2), np.array([1.0, 0.5]))
    with pytest.raises(RangeError, match="startup"):
        LCTank(C_F=1e-12, L_H=1e-9, Q=10.0, startup=1.0, amplitude_V=0.4)
    with pytest.raises(RangeError, match="pulls the ring by"):
        ring_core(RING, reference_Hz=1e9, current_A=1.0)
    with pytest.raises(InputError, match="want coupling_S"):
        tank_core(
            TANK, reference_Hz=1e9, injection_A=np.zeros(2, complex), coupling_S=np.zeros((1, 1)), detuned=np.zeros(2)
        )
