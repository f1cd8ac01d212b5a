"""Chips with wires, against dense nodal analyses and a circuit that has every node of every wire."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from analogdeq.build import build_chip
from analogdeq.chip import Chip
from analogdeq.circuits.wires import Wires
from analogdeq.errors import InputError
from analogdeq.library import device_preset
from analogdeq.noise.intensity import white_noise
from analogdeq.scenario import load_scenario
from analogdeq.solve.settle import settle
from dense_wires import dense
from helpers import circuit, quiet_amplifier, random_core, random_inputs, tensor
from unrolling import conv_core

R_LINE, R_ROW = 250.0, 400.0
DROP = Wires(line_ohm=R_LINE, row_ohm=R_ROW)


def wired(n: int = 4, *, wires: Wires = DROP, inputs: int = 2, node_leak_S: float = 0.0) -> Chip:
    parts = circuit(wires=wires, amplifier=quiet_amplifier(), node_leak_S=node_leak_S)
    return Chip(random_core(n, seed=0, inputs=inputs), parts, device_preset("pcm-generic"), seed=1)


def interleaved(chip: Chip) -> np.ndarray:
    """(row, 2 pairs): + and - columns side by side, as they are built."""
    plus, minus = chip.pairs.plus_S.numpy(), chip.pairs.minus_S.numpy()
    return np.stack((plus, minus), 2).reshape(len(plus), -1)


def line_volts(chip: Chip, x: np.ndarray) -> np.ndarray:
    return chip.circuit.unit_voltage_V * np.repeat(x, 2) * np.tile([1.0, -1.0], len(x))


def lines_of(chip: Chip, z: np.ndarray, u: np.ndarray) -> np.ndarray:
    return np.concatenate((z, u, [1.0]))


def test_the_map_of_a_wired_chip_is_that_of_a_dense_nodal_analysis() -> None:
    chip, rng = wired(), np.random.default_rng(0)
    for _ in range(3):
        z, u = rng.uniform(-1, 1, 4), rng.uniform(-1, 1, 2)
        level = chip.circuit.dac.quantise(tensor(u)).numpy()
        into_A, _ = dense(interleaved(chip), R_LINE, R_ROW, line_volts(chip, lines_of(chip, z, level)))
        expected = np.tanh(chip.pairs.feedback_ohm * into_A / chip.circuit.unit_voltage_V)
        drive = chip.drive(tensor([u]))
        np.testing.assert_allclose(chip.fixed_point_map(tensor([z]), drive)[0].numpy(), expected, rtol=0, atol=1e-9)


def test_tiles_add_up_along_rows_and_are_driven_each_by_itself() -> None:
    chip = wired(5, wires=Wires(line_ohm=R_LINE, row_ohm=R_ROW, tile=4))
    G, x = interleaved(chip), np.random.default_rng(1).uniform(-1, 1, 8)
    v = line_volts(chip, x)
    into, out = np.zeros(5), np.zeros(16)
    for rows in (slice(0, 4), slice(4, 5)):
        for lines in (slice(0, 4), slice(4, 8), slice(8, 12), slice(12, 16)):
            i, o = dense(G[rows, lines], R_LINE, R_ROW, v[lines])
            into[rows] += i
            out[lines] += o
    p = chip.core.preactivation(tensor([x[:5]]), chip.core.drive(tensor([x[5:7]])).current)
    shift = chip.core.b.numpy() * (x[7] - 1)  # the bias line stands at one unit on the chip
    np.testing.assert_allclose(p[0].numpy() + shift, chip.pairs.feedback_ohm * into / 0.1, rtol=0, atol=1e-9)
    net = chip.pairs.network  # type: ignore[union-attr]
    np.testing.assert_allclose(0.1 * net.plus_S.numpy() @ x, out[::2], rtol=0, atol=1e-15)
    np.testing.assert_allclose(0.1 * net.minus_S.numpy() @ x, out[1::2], rtol=0, atol=1e-15)


def test_a_tile_as_large_as_the_crossbar_changes_nothing() -> None:
    whole, tiled = wired(), wired(wires=Wires(line_ohm=R_LINE, row_ohm=R_ROW, tile=14))
    assert torch.equal(whole.core.W, tiled.core.W)
    smaller = wired(wires=Wires(line_ohm=R_LINE, row_ohm=R_ROW, tile=2))
    ideal = wired(wires=Wires())
    assert float((smaller.core.W - ideal.core.W).abs().max()) < 0.5 * float((whole.core.W - ideal.core.W).abs().max())


def test_ideal_wires_leave_every_bit_as_it_was() -> None:
    chip = wired(wires=Wires(cell_F=1e-15))
    plain = Chip(random_core(4, seed=0, inputs=2), circuit(amplifier=quiet_amplifier()), chip.device_preset, seed=1)
    u = random_inputs(3, 2, seed=2)
    one, other = settle(chip, u), settle(plain, u)
    assert chip.tau_s == plain.tau_s
    assert chip.power_terms == plain.power_terms
    assert torch.equal(one.z, other.z)
    assert torch.equal(one.energy_J, other.energy_J)
    assert one.ledger is not None
    assert one.ledger.wires_J is None


@cache
def unit_responses() -> tuple[np.ndarray, np.ndarray]:
    """Dense currents into grounds and out of drivers per unit on each pair, for the chip of the energy test."""
    chip = wired(3, node_leak_S=2e-6)
    G = interleaved(chip)
    found = [dense(G, R_LINE, R_ROW, line_volts(chip, unit)) for unit in np.eye(6)]
    return np.stack([i for i, _ in found], 1), np.stack([o for _, o in found], 1)


def test_the_books_of_a_wired_chip_balance_against_another_solver() -> None:
    """Every source's v i, by dense nodal analysis along a scipy trajectory, is heat somewhere or stored."""
    chip, u = wired(3, node_leak_S=2e-6), random_inputs(1, 2, seed=3)
    out = settle(chip, u, rtol=1e-7, atol=1e-10, method="tsit5")
    c, level, R_f = chip.circuit, chip.circuit.dac.quantise(u)[0].numpy(), chip.pairs.feedback_ohm
    into, driven = unit_responses()

    def rates(_t: float, y: np.ndarray) -> np.ndarray:
        v = y[:3]
        x = lines_of(chip, v / 0.1, level)
        into_A, out_A = into @ x, driven @ x
        t_V = R_f * into_A
        f_V = 0.1 * np.tanh(t_V / 0.1)
        node_A = (f_V - v) / c.node_R_ohm
        lines_W = (line_volts(chip, x) * out_A).sum()
        sources_W = lines_W + (t_V**2).sum() / R_f + (f_V * node_A).sum()
        drawn_W = 0.9 * (np.abs(out_A).sum() + np.abs(t_V).sum() / R_f + np.abs(node_A).sum())
        return np.concatenate(((node_A - 2e-6 * v) / c.node_C_F, [lines_W, sources_W, drawn_W]))

    answer = solve_ivp(rates, (0, float(out.t_settle_s)), np.zeros(6), method="DOP853", rtol=1e-11, atol=1e-22)
    lines_J, sources_J, drawn_J = answer.y[3:, -1]
    ledger = out.ledger
    assert ledger is not None
    assert ledger.wires_J is not None
    heat_J = ledger.crossbar_J + ledger.wires_J
    assert float(heat_J) == pytest.approx(lines_J, rel=1e-5, abs=0)
    assert float(heat_J + ledger.feedback_J + ledger.node_J + ledger.stored_J) == pytest.approx(
        sources_J, rel=1e-5, abs=0
    )
    assert float(ledger.drivers_J) == pytest.approx(drawn_J, rel=1e-5, abs=0)
    assert 1e-3 < float(ledger.wires_J / ledger.crossbar_J) < 0.5
    terms = ledger.terms_J()
    assert list(terms)[:2] == ["crossbar", "wires"]
    torch.testing.assert_close(sum(terms.values()), ledger.total_J, rtol=1e-12, atol=0)


def test_wires_act_on_what_devices_conduct_at_every_age() -> None:
    chip = wired()
    fresh = chip.core.W.clone()
    for age in (lambda: chip.age(3600.0), lambda: chip.begin_inference(5), lambda: chip.program(7200.0)):
        age()
        x = np.eye(7)[1]
        into_A, _ = dense(interleaved(chip), R_LINE, R_ROW, line_volts(chip, x))
        np.testing.assert_allclose(chip.core.W[:, 1].numpy(), chip.pairs.feedback_ohm * into_A / 0.1, rtol=0, atol=1e-9)
        assert not torch.equal(chip.core.W, fresh)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_power_of_a_batch_is_that_of_each_sample(dtype: torch.dtype) -> None:
    chip = Chip(random_core(4, seed=0, inputs=2, dtype=dtype), circuit(wires=DROP), seed=1)
    u = random_inputs(5, 2, seed=3, dtype=dtype)
    drive, z = chip.drive(u), torch.linspace(-1, 1, 20, dtype=dtype).view(5, 4)

    def power(rows: torch.Tensor) -> torch.Tensor:
        dz, out = torch.empty(len(rows), 4, dtype=dtype), torch.empty(len(rows), 5, dtype=dtype)
        chip.evaluate(z[rows], drive.rows(rows), dz, out, torch.empty(2, len(rows), 4, dtype=dtype))
        return out

    together = power(torch.arange(5))
    for k in range(5):
        torch.testing.assert_close(power(torch.tensor([k]))[0], together[k], rtol=1e-5, atol=0)
    assert bool((together > 0).all())


def settle_with_every_wire_node(chip: Chip, level: np.ndarray, band: float) -> float:
    """[s]. A circuit with a capacitor at every cell of every wire; numpy and scipy only."""
    c, wires, G = chip.circuit, chip.circuit.wires, interleaved(chip)
    R, L = G.shape
    cells, n = R * L, len(G)
    a, b = np.arange(cells).reshape(R, L), cells + np.arange(cells).reshape(R, L)
    Y, inject = np.zeros((2 * cells, 2 * cells)), np.zeros((2 * cells, L))
    sense = np.zeros((R, 2 * cells))

    def resistor(one: int, two: int, S: float) -> None:
        for i, j in ((one, two), (two, one)):
            Y[i, i] += S
            Y[i, j] -= S

    for i in range(R):
        for j in range(L):
            resistor(a[i, j], b[i, j], G[i, j])
            if i:
                resistor(a[i - 1, j], a[i, j], 1 / wires.line_ohm)
            if j:
                resistor(b[i, j - 1], b[i, j], 1 / wires.row_ohm)
    for j in range(L):
        Y[a[0, j], a[0, j]] += 1 / wires.line_ohm
        inject[a[0, j], j] = 1 / wires.line_ohm
    for i in range(R):
        Y[b[i, -1], b[i, -1]] += 1 / wires.row_ohm
        sense[i, b[i, -1]] = chip.pairs.feedback_ohm / wires.row_ohm

    def rates(_t: float, y: np.ndarray) -> np.ndarray:
        z, w = y[:n], y[n:]
        lines = np.repeat(lines_of(chip, z, level), 2) * np.tile([1.0, -1.0], L // 2)
        dz = (np.tanh(sense @ w) - z) / (c.node_R_ohm * c.node_C_F)
        return np.concatenate((dz, (inject @ lines - Y @ w) / wires.cell_F))

    start = np.zeros(n + 2 * cells)
    end = 120 * c.tau_s
    answer = solve_ivp(rates, (0, end), start, method="LSODA", rtol=1e-8, atol=1e-10, dense_output=True)
    assert answer.success
    grid = np.linspace(0, end, 60_001)
    outside = np.abs(answer.sol(grid)[:n] - answer.y[:n, -1:]).max(0) > band
    return float(grid[np.flatnonzero(outside)[-1]])


def test_elmores_delay_brings_the_settling_time_near_that_of_a_circuit_with_every_wire_node() -> None:
    """The estimate takes the longest way for all, so it errs on the slow side, by a part of what the delay adds."""
    wires = Wires(line_ohm=300.0, row_ohm=300.0, cell_F=5e-14)
    chip, u = wired(3, wires=wires, inputs=1), random_inputs(1, 1, seed=3)
    still = wired(3, wires=Wires(line_ohm=300.0, row_ohm=300.0), inputs=1)
    assert chip.tau_s == still.tau_s + 300.0 * 5e-14 * (3 * 4 / 2 + 10 * 11 / 2)
    exact = settle_with_every_wire_node(chip, chip.circuit.dac.quantise(u)[0].numpy(), 1e-3)
    with_delay, without = (float(settle(x, u, rtol=1e-6, atol=1e-8).t_settle_s) for x in (chip, still))
    assert without < exact < with_delay
    assert with_delay - exact < exact - without + 0.02 * exact


def test_an_amplifier_and_its_noise_see_the_devices_through_the_wires() -> None:
    chip = wired()
    ideal = wired(wires=Wires())
    net = chip.pairs.network  # type: ignore[union-attr]
    torch.testing.assert_close(chip.noise_gain(), 1 + chip.pairs.feedback_ohm * net.ground_S)
    assert bool((chip.noise_gain() < ideal.noise_gain()).all())
    both = [white_noise(c).terms["devices"] for c in (chip, ideal)]
    torch.testing.assert_close(both[0] / both[1], chip.pairs.row_sum_S() / ideal.pairs.row_sum_S())


def test_what_wires_are_not_known_for_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="the one crossbar of an RCCore"):
        Chip(conv_core(), circuit(wires=DROP))
    with pytest.raises(InputError, match="is no resistor; wires with resistance"):
        Chip(random_core(4, seed=0), circuit(g_min_S=60e-6, g_max_S=110e-6, wires=DROP), device_preset("reram-milo"))


def test_the_drive_of_another_chip_is_refused() -> None:
    chip, drive = wired(), wired(wires=Wires()).drive(random_inputs(1, 2, seed=0))
    z, power = torch.zeros(1, 4, dtype=torch.float64), torch.zeros(1, 5, dtype=torch.float64)
    with pytest.raises(InputError, match="a Drive is no drive of a chip whose wires have resistance"):
        chip.evaluate(z, drive, z.clone(), power, torch.stack((z, z)))


def test_a_scenario_says_its_wires_and_has_none_unless_it_does() -> None:
    plain = build_chip(load_scenario("digits-crossbar"))
    assert plain.circuit.wires.are_ideal
    sets = ["line_ohm=2", "row_ohm=2.5", 'cell_F="0.2 fF"', "tile=64"]
    chip = build_chip(load_scenario("digits-crossbar", [f"circuit.wires.{text}" for text in sets]))
    assert chip.circuit.wires == Wires(line_ohm=2.0, row_ohm=2.5, cell_F=2e-16, tile=64)
    assert chip.power_terms[-1] == "wires"
