"""A chip with its amplifiers against the same circuit written down in volts and amperes."""

import math
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from amplified_oracle import Amplified
from analogdeq.ageing.amplifier import AmplifierAgeing
from analogdeq.ageing.life import Care
from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.chip import Chip
from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.opamp import OpAmp
from analogdeq.cores.conv import ConvCore
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from analogdeq.library import device_preset
from analogdeq.solve.margin import amplifier_margin, skew_limit
from analogdeq.solve.record import Record
from analogdeq.solve.rest import flow_eigenvalues
from analogdeq.solve.settle import settle
from analogdeq.solve.verdict import Verdict
from helpers import chip as level_0_chip
from helpers import circuit, random_core, random_inputs, tensor

GBW_HZ = 1e9


def made(
    opamp: OpAmp | None = None, *, n: int = 3, gbw_Hz: float = GBW_HZ, seed: int = 4, **changes: object
) -> AmplifiedChip:
    core = random_core(n, seed=seed, radius=0.8, inputs=2)
    amplifier = Amplifier(gbw_Hz=gbw_Hz)
    return AmplifiedChip(level_0_chip(core, amplifier=amplifier, **changes), opamp or OpAmp())


def oracle(chip: AmplifiedChip, u: Tensor, *, gbw_Hz: float = GBW_HZ, duration_s: float = 2.5e-7) -> Amplified:
    slew = chip.opamp.slew_V_per_s or 4 * math.pi * gbw_Hz / chip.chip.circuit.amplifier.gm_over_id_per_V
    swing = chip.opamp.swing_V or chip.chip.circuit.supply_V
    return Amplified(chip, u[0].numpy(), gbw_Hz, slew, swing, chip.offset_V().numpy(), duration_s)


CASES = {
    "as it comes": OpAmp(),
    "ideal line drivers": OpAmp(has_line_poles=False),
    "low gain and offsets": OpAmp(dc_gain=50.0, offset_sigma_V=3e-3),
    "slewing": OpAmp(slew_V_per_s=2e6, has_line_poles=False),
    "short swing": OpAmp(swing_V=0.06),
    "large summing nodes": OpAmp(summing_C_F=2e-13, has_line_poles=False),
}


@cache
def known(name: str) -> tuple[AmplifiedChip, Tensor, Amplified]:
    """A chip, one input and what becomes of it."""
    chip, u = made(CASES[name]), random_inputs(1, 2, seed=9)
    return chip, u, oracle(chip, u)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", ["rodas5p", "auto"])
def test_it_settles_where_and_when_and_at_what_energy_kirchhoff_says(name: str, method: str) -> None:
    chip, u, expected = known(name)
    out = settle(chip, u, method=method)
    assert out.verdict == [Verdict.SETTLED]
    np.testing.assert_allclose(chip.nodes(out.z)[0], expected.rest[:3] / 0.1, atol=1e-6)
    t_s = expected.settle_s(1e-3)
    assert float(out.t_settle_s) == pytest.approx(t_s, rel=1e-3)
    books = expected.solution(t_s)[expected.states :]
    assert out.ledger is not None
    found = [out.ledger.crossbar_J, out.ledger.feedback_J, out.ledger.node_J, out.ledger.drivers_J]
    np.testing.assert_allclose([float(x) for x in found], books[:4], rtol=2e-3)
    assert float(out.ledger.stored_J) == pytest.approx(
        expected.stored(expected.solution(t_s)[: expected.states]), rel=2e-3, abs=0
    )


@pytest.mark.parametrize("name", ["as it comes", "short swing"])
def test_what_sources_deliver_is_heat_and_what_is_stored(name: str) -> None:
    chip, u, expected = known(name)
    out = settle(chip, u, rtol=1e-5, atol=1e-8, method="rodas5p")
    sources_J = expected.solution(float(out.t_settle_s))[-1]
    ledger = out.ledger
    assert ledger is not None
    heat_J = float(ledger.crossbar_J + ledger.feedback_J + ledger.node_J)
    assert heat_J + float(ledger.stored_J) == pytest.approx(sources_J, rel=1e-5, abs=0)
    assert float(ledger.output_stages_J) > 0


@pytest.mark.parametrize("name", ["as it comes", "low gain and offsets", "ideal line drivers"])
def test_eigenvalues_are_those_of_the_circuit_in_volts_and_seconds(name: str) -> None:
    chip, u, expected = known(name)
    by_hand = np.linalg.eigvals(expected.jacobian(expected.rest))
    ours = flow_eigenvalues(chip, chip.drive(u), settle(chip, u).z)[0].numpy() / chip.tau_s
    np.testing.assert_allclose(np.sort_complex(ours), np.sort_complex(by_hand), rtol=1e-5)
    margin = amplifier_margin(chip, u)
    assert float(margin.level_1_per_s) == pytest.approx(by_hand.real.max(), rel=1e-5)


def test_the_band_is_that_of_the_nodes_alone() -> None:
    """Amplifiers answer nodes of 1 with several units, and still they do not decide."""
    core = random_core(3, seed=4, radius=0.8, inputs=2)
    big = AmplifiedChip(
        level_0_chip(RCCore(4 * core.W - 3.0 * torch.eye(3), core.U, core.b), amplifier=Amplifier(gbw_Hz=5e9))
    )
    u = random_inputs(1, 2, seed=9)
    expected = oracle(big, u, gbw_Hz=5e9)
    for band in (1e-2, 1e-3):
        out = settle(big, u, method="rodas5p", band=band, rtol=1e-4, atol=1e-7)
        assert out.verdict == [Verdict.SETTLED]
        assert float(out.t_settle_s) == pytest.approx(expected.settle_s(band), rel=3e-4)


def test_the_difference_from_level_0_is_bounded_by_the_lag_and_falls_as_one_over_the_bandwidth() -> None:
    """A contraction adds up what lag its pre-activation has: |z1 - z0| <= (lag / tau) (|p(0)| + ||W|| variation of z).

    The lag is the first moment of an amplifier's impulse response, K_n / w_u where it does not ring, and the driver's.
    """
    core, u = random_core(3, seed=4, inputs=2), random_inputs(2, 2, seed=9)
    core = RCCore(0.8 * core.W / torch.linalg.matrix_norm(core.W, 2), core.U, core.b)
    ideal = OpAmp(
        dc_gain=math.inf, slew_V_per_s=math.inf, swing_V=math.inf, driver_R_ohm=0.0, summing_C_F=1e-17
    )  # fmt: skip
    record, gaps = Record(samples=(0, 1), interval_tau=0.04, until_tau=4.0), []
    for gbw_Hz in (2e9, 2e10, 2e11):
        chip = AmplifiedChip(level_0_chip(core, amplifier=Amplifier(gbw_Hz=gbw_Hz)), ideal)
        traces = [settle(c, u, rtol=1e-5, atol=1e-8, record=record, method="rodas5p").trace for c in (chip, chip.chip)]
        z1, z0 = (torch.as_tensor(trace.state)[:100, :, :3].double() for trace in traces if trace is not None)
        gap = torch.linalg.vector_norm(z1 - z0, dim=2).amax(0)
        stages = chip.stages()
        assert stages.line_tau_s is not None
        lag = (float(stages.output_tau_s.max()) + float(stages.line_tau_s[0])) / chip.tau_s
        variation = torch.linalg.vector_norm(z1.diff(dim=0), dim=2).sum(0)
        start = torch.linalg.vector_norm(chip.chip.drive(u).current, dim=1)
        assert bool((gap <= lag * (start + 0.8 * variation) + 1e-6).all())
        gaps.append(gap)
    for wide, wider in pairwise(gaps):
        np.testing.assert_allclose(wide / wider, 10.0, rtol=0.1)


def test_a_weight_loses_the_noise_gain_over_the_open_loop_gain() -> None:
    chip = made(OpAmp(dc_gain=200.0))
    u = random_inputs(3, 2, seed=2)
    z = chip.nodes(settle(chip, u, band=1e-6, atol=1e-9, rtol=1e-4).z)
    core = chip.chip.core
    lost = 1 + chip.noise_gain() / 200.0
    np.testing.assert_allclose(z, torch.tanh((z @ core.W.T + u @ core.U.T + core.b) / lost), atol=3e-7)


def test_an_offset_appears_at_the_output_times_the_noise_gain() -> None:
    chip = made(OpAmp(dc_gain=1e9, offset_sigma_V=2e-3))
    u = random_inputs(3, 2, seed=2)
    z = chip.nodes(settle(chip, u, band=1e-6, atol=1e-9, rtol=1e-4).z)
    core = chip.chip.core
    shift = chip.noise_gain() * chip.offset_V() / chip.chip.circuit.unit_voltage_V
    assert float(shift.abs().max()) > 1e-2
    np.testing.assert_allclose(z, torch.tanh(z @ core.W.T + u @ core.U.T + core.b + shift), atol=3e-7)


def test_offsets_belong_to_the_chip_seed_and_have_their_spread() -> None:
    core = random_core(400, seed=1, inputs=2)
    one, same, other = (AmplifiedChip(level_0_chip(core, seed=k), OpAmp(offset_sigma_V=1e-3)) for k in (1, 1, 2))
    assert torch.equal(one.offset_V(), same.offset_V())
    assert not torch.equal(one.offset_V(), other.offset_V())
    assert float(one.offset_V().std()) == pytest.approx(1e-3, rel=0.15)
    assert float(one.offset_V().mean().abs()) < 4 * 1e-3 / 20


def skew(beta: float, speed_ratio: float) -> AmplifiedChip:
    """W = beta J on a chip of nearly ideal gain whose amplifiers have tau / speed_ratio."""
    core = RCCore(tensor([[0, beta], [-beta, 0]]), torch.zeros(2, 1).double(), torch.zeros(2).double())
    opamp = OpAmp(dc_gain=1e9, summing_C_F=1e-19, has_line_poles=False, slew_V_per_s=math.inf, swing_V=math.inf)
    return AmplifiedChip(level_0_chip(core, amplifier=Amplifier(speed_ratio=speed_ratio)), opamp)


@pytest.mark.parametrize("ratio", [0.01, 0.05, 0.2])
def test_the_skew_limit_is_where_the_abscissa_changes_sign(ratio: float) -> None:
    limit = skew_limit(1.0, ratio)
    assert limit == pytest.approx({0.01: 10.1, 0.05: 4.70, 0.2: 2.68}[ratio], abs=5e-3)
    for factor, sign in ((0.999, -1), (1.001, 1)):
        chip = skew(factor * limit, 1 / ratio)
        margin = amplifier_margin(chip, torch.zeros(1, 1).double(), torch.zeros(1, 2).double())
        assert math.copysign(1, float(margin.level_1_per_s)) == sign
        assert float(margin.level_0_per_s) == pytest.approx(-1 / chip.tau_s)
        assert bool(margin.is_upset) == (sign > 0)
        # At the limit (1 + i w)(1 + i w tau_a) = i beta: w^2 tau_a = 1.
        assert float(margin.frequency_Hz) == pytest.approx(ratio**-0.5 / (2 * math.pi * chip.tau_s), rel=1e-2)


@pytest.mark.parametrize("ratio", [0.2])
def test_beyond_the_skew_limit_the_verdict_is_oscillating_and_level_0_settles(ratio: float) -> None:
    limit, start = skew_limit(1.0, ratio), tensor([[0.1, 0.0]])
    for factor, verdict in ((0.93, Verdict.SETTLED), (1.07, Verdict.OSCILLATING)):
        chip = skew(factor * limit, 1 / ratio)
        u = torch.zeros(1, 1).double()
        z0 = chip.core.lift(start, chip.drive(u))
        out = settle(chip, u, z0=z0)
        assert out.verdict == [verdict]
        assert settle(chip.chip, u, z0=start).verdict == [Verdict.SETTLED]
        if verdict is Verdict.OSCILLATING:
            # Near the limit the cycle has the frequency of the mode that grows.
            expected_s = 2 * math.pi * chip.tau_s * ratio**0.5
            assert float(out.period_s) == pytest.approx(expected_s, rel=0.05)


def test_ageing_reaches_the_amplifiers() -> None:
    core = random_core(3, seed=4, radius=0.8, inputs=2)
    care = Care(amplifiers=AmplifierAgeing(shift_V=0.05))
    inner = Chip(core, level_0_chip(core, amplifier=Amplifier(gbw_Hz=1e9)).circuit, care=care)
    chip = AmplifiedChip(inner, OpAmp(offset_sigma_V=1e-3))
    fresh_s, fresh_V, before = chip.stages().output_tau_s, chip.offset_V(), settle(chip, torch.zeros(1, 2).double()).z
    inner.age(3e8, 380.0)
    assert bool((chip.core.stages.output_tau_s > 1.2 * fresh_s).all())
    np.testing.assert_allclose(chip.offset_V() - fresh_V, inner.aged_offset_V(), rtol=1e-12)
    out = settle(chip, torch.zeros(1, 2).double())
    z, loss = chip.nodes(out.z), 1 + chip.noise_gain() / chip.opamp.dc_gain
    shift = chip.noise_gain() * chip.offset_V() / 0.1
    np.testing.assert_allclose(z, torch.tanh((z @ core.W.T + core.b + shift) / loss), atol=1e-5)
    assert float((chip.nodes(before) - z).abs().max()) > 1e-3


def test_a_fast_slew_rate_is_paid_for() -> None:
    plain, fast = made(OpAmp()), made(OpAmp(slew_V_per_s=1e10))
    # Derived: exactly what the bandwidth's bias current gives, so level 1 costs no more than level 0.
    assert plain.bias_W() == pytest.approx(plain.chip.bias_W(), rel=1e-12)
    c, amplifiers = fast.chip.circuit, 4 * 3 + 2 * 3
    assert fast.bias_W() == pytest.approx(amplifiers * 3 * c.supply_V * 1e10 * c.amplifier.load_C_F / 2, rel=1e-12)
    u = random_inputs(1, 2, seed=9)
    out = settle(fast, u)
    assert out.ledger is not None
    assert float(out.ledger.bias_J) == pytest.approx(fast.bias_W() * float(out.t_settle_s), rel=1e-9, abs=0)


def test_a_sample_settles_the_same_alone_and_in_a_batch() -> None:
    chip, u = made(n=5), random_inputs(6, 2, seed=3)
    together, alone = settle(chip, u, method="rodas5p"), settle(chip, u[2:3], method="rodas5p")
    assert float(alone.t_settle_s) == pytest.approx(float(together.t_settle_s[2]), rel=1e-9, abs=0)
    assert chip.read(together.z).shape == (6, 5)


def test_an_independent_solver_agrees() -> None:
    chip, u = made(), random_inputs(1, 2, seed=9)
    ours, theirs = settle(chip, u), settle(chip, u, method="scipy-radau")
    assert theirs.verdict == [Verdict.SETTLED]
    assert float(ours.t_settle_s) == pytest.approx(float(theirs.t_settle_s), rel=1e-3)
    assert float(ours.energy_J) == pytest.approx(float(theirs.energy_J), rel=1e-3, abs=0)


def test_what_level_1_does_not_cover_is_refused() -> None:
    kernels = torch.ones(2, 2, 3, 3).double() / 40
    conv = ConvCore(kernels, torch.ones(2, 1, 3, 3).double() / 9, torch.zeros(2).double(), height=3, width=3)
    with pytest.raises(InputError, match="known for an RCCore only, not for a ConvCore"):
        AmplifiedChip(Chip(conv, made().chip.circuit))
    bent = Chip(random_core(3, seed=1), circuit(g_min_S=60e-6, g_max_S=200e-6), device_preset("reram-milo"))
    with pytest.raises(InputError, match="'reram-milo' is no resistor"):
        AmplifiedChip(bent)
    with pytest.raises(InputError, match="must come from this chip's own drive"):
        settle_with_foreign_drive(made())


def settle_with_foreign_drive(chip: AmplifiedChip) -> None:
    u = random_inputs(1, 2, seed=9)
    y = chip.initial_state(chip.drive(u))
    power = y.new_empty(1, 4)
    chip.evaluate(y, chip.chip.drive(u), torch.empty_like(y), power, y.new_empty(0))
