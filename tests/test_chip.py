"""One manufactured instance: realised weights, standing power, converters, the books."""

import math

import pytest
import torch
from torch import nn

from analogdeq.chip import Chip
from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.converters import Converter
from analogdeq.cores.rc import RCCore
from analogdeq.devices.preset import IDEAL, DevicePreset
from analogdeq.errors import InputError, RangeError
from analogdeq.library import device_preset
from analogdeq.solve.settle import settle
from helpers import chip, circuit, plain_core, quiet_amplifier, random_core, random_inputs, tensor

PCM = device_preset("pcm-generic")


def in_float64(chip: Chip) -> torch.Tensor:
    return torch.cat((chip.core.W, chip.core.U, chip.core.b.unsqueeze(1)), 1).double()


@pytest.mark.parametrize("mapping", ["one-sided", "balanced"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_ideal_chip_realises_the_cores_weights(mapping: str, dtype: torch.dtype) -> None:
    core = random_core(6, seed=0, dtype=dtype)
    placed = chip(core, mapping=mapping)
    for name in ("W", "U", "b"):
        realised = getattr(placed.core, name)
        assert realised.dtype == dtype
        torch.testing.assert_close(
            realised, getattr(core, name), rtol=1e-6 if dtype == torch.float32 else 1e-12, atol=1e-7
        )


def test_the_same_chip_seed_gives_the_same_chip_and_another_gives_another() -> None:
    core = random_core(6, seed=0)
    first, again, other = (chip(core, device=PCM, seed=s) for s in (3, 3, 4))
    assert torch.equal(first.pairs.plus_S, again.pairs.plus_S)
    assert torch.equal(first.pairs.minus_S, again.pairs.minus_S)
    assert not torch.equal(first.pairs.plus_S, other.pairs.plus_S)


def test_plus_and_minus_devices_err_independently() -> None:
    core = random_core(30, seed=0)
    placed = chip(core, device=DevicePreset(**{**vars(IDEAL), "sigma_S": (0.01,)}))
    errors = torch.stack(
        (placed.pairs.plus_S - placed.target.plus_S, placed.pairs.minus_S - placed.target.minus_S)
    ).flatten(1)
    correlation = torch.corrcoef(errors)[0, 1]
    assert abs(float(correlation)) < 5 / math.sqrt(errors.shape[1])


def test_the_chips_core_computes_what_its_devices_hold() -> None:
    placed = chip(random_core(6, seed=0), device=PCM, seed=1)
    expected = placed.target.feedback_ohm * (placed.pairs.plus_S - placed.pairs.minus_S)
    torch.testing.assert_close(in_float64(placed), expected, rtol=1e-14, atol=0)
    assert placed.pairs.feedback_ohm == placed.target.feedback_ohm


def test_manufacturing_touches_neither_the_core_nor_the_global_generator() -> None:
    core = random_core(6, seed=0)
    core.W.requires_grad_()
    before, state = core.W.detach().clone(), torch.get_rng_state()
    placed = chip(core, device=PCM)
    assert torch.equal(core.W, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert not placed.core.W.requires_grad


def test_a_chip_does_not_change_with_the_core_it_was_made_from() -> None:
    core = random_core(6, seed=0)
    placed = chip(core)
    before = placed.core.W.clone()
    core.W.mul_(2.0)
    assert torch.equal(placed.core.W, before)


def test_time_constant_and_gain_are_the_circuits_not_the_cores() -> None:
    core = random_core(3, seed=0, tau_s=1.0)
    placed = chip(core, node_leak_S=1e-5)
    assert placed.tau_s == pytest.approx(0.5e-8, rel=1e-6, abs=0)
    assert placed.full_scale == pytest.approx(0.5)
    assert placed.rate is None


def test_a_chip_looks_like_its_core() -> None:
    core = random_core(5, seed=0, dtype=torch.float32)
    placed = chip(core)
    assert (placed.n_nodes, placed.n_inputs, placed.dtype, placed.device) == (5, 3, torch.float32, torch.device("cpu"))
    assert placed.is_finite()
    assert placed.contraction_gap() == pytest.approx(core.contraction_gap(), abs=1e-5)
    z, u = torch.randn(2, 5), random_inputs(2, 3, seed=1, dtype=torch.float32)
    v = torch.randn(2, 5)
    mine, ideal = placed.drive(u), core.drive(u)
    torch.testing.assert_close(placed.fixed_point_map(z, mine), core.fixed_point_map(z, ideal), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        placed.linearise(z, mine).matvec(v), core.linearise(z, ideal).matvec(v), rtol=0, atol=1e-5
    )
    assert torch.equal(placed.initial_state(mine), torch.zeros(2, 5))


def test_inputs_pass_the_dac_and_outputs_the_adc() -> None:
    two_bits = Converter(bits=2, energy_J=0.0)
    placed = chip(random_core(3, seed=0), dac=two_bits, adc=two_bits)
    u = tensor([[0.3, -0.9, 5.0], [math.nan, 0.0, -5.0]])
    levels = tensor([[1 / 3, -1.0, 1.0]])
    torch.testing.assert_close(placed.drive(u).current[:1], placed.core.drive(levels).current)
    assert bool(placed.drive(u).current[1].isnan().all())
    torch.testing.assert_close(placed.read(tensor([[0.3, -0.9, 5.0]])), levels)


def test_noise_gain_counts_every_device_of_a_row() -> None:
    placed = chip(random_core(4, seed=0), device=PCM)
    by_hand = [
        1 + placed.pairs.feedback_ohm * float(placed.pairs.plus_S[i].sum() + placed.pairs.minus_S[i].sum())
        for i in range(4)
    ]
    assert placed.noise_gain().tolist() == pytest.approx(by_hand, rel=1e-12)


def test_standing_power_counts_every_amplifier_by_hand() -> None:
    """Per node one summing amplifier at its own noise gain; three at noise gain 2; two per input and for the bias."""
    amplifier = Amplifier(speed_ratio=20.0, branches=3, gm_over_id_per_V=15.0, load_C_F=1e-13)
    placed = chip(random_core(4, seed=0), amplifier=amplifier)

    def one_W(noise_gain: float) -> float:
        gbw_Hz = noise_gain * 20.0 / (2 * math.pi * 1e-8)
        return 3 * 0.9 * 2 * math.pi * gbw_Hz * 1e-13 / 15

    by_hand = sum(one_W(k) for k in placed.noise_gain().tolist()) + (3 * 4 + 2 * 4) * one_W(2.0)
    assert placed.bias_W() == pytest.approx(by_hand, rel=1e-12)


def test_an_overridden_bias_is_paid_once_per_amplifier() -> None:
    placed = chip(random_core(4, seed=0), amplifier=Amplifier(bias_W=1e-6))
    assert placed.bias_W() == pytest.approx((4 + 3 * 4 + 2 * (3 + 1)) * 1e-6, rel=1e-12, abs=0)


def test_the_ledger_adds_up() -> None:
    converters = {
        "dac": Converter(bits=8, energy_J=2e-13),
        "adc": Converter(bits=8, energy_J=1.3e-11, conversion_s=2e-9),
    }
    placed = chip(random_core(5, seed=0), **converters)
    out = settle(placed, random_inputs(6, 3, seed=1))
    ledger = out.ledger
    assert ledger is not None
    total = sum(ledger.terms_J().values())
    torch.testing.assert_close(ledger.total_J, total, rtol=1e-12, atol=0)
    assert torch.equal(out.energy_J, ledger.total_J)
    torch.testing.assert_close(ledger.bias_J, placed.bias_W() * (out.t_settle_s + 2e-9), rtol=1e-12, atol=0)
    assert ledger.dac_J.tolist() == pytest.approx([3 * 2e-13] * 6, rel=1e-6, abs=0)
    assert ledger.adc_J.tolist() == pytest.approx([5 * 1.3e-11] * 6, rel=1e-6, abs=0)
    assert bool((ledger.output_stages_J > 0).all()), "supply draw exceeds heat: the unit voltage is below the supply"
    assert set(ledger.terms_J()) == {
        "crossbar", "feedback", "node", "stored", "output stages", "amplifier bias", "DAC", "ADC",
    }  # fmt: skip


def test_the_circuit_is_held_during_the_conversion_and_pays_for_it() -> None:
    core = random_core(5, seed=0)
    u = random_inputs(4, 3, seed=1)
    quick, slow = (
        settle(chip(core, adc=Converter(bits=24, energy_J=0.0, conversion_s=t), amplifier=quiet_amplifier()), u)
        for t in (0.0, 5e-8)
    )
    assert torch.equal(quick.t_settle_s, slow.t_settle_s)
    assert quick.ledger is not None
    assert slow.ledger is not None
    z = quick.z.numpy()
    placed = chip(core)
    column_S = placed.pairs.column_sum_S().numpy()
    lines = torch.cat((tensor(z), u, torch.ones(4, 1, dtype=torch.float64)), 1).numpy()
    held_W = 0.01 * (column_S * lines**2).sum(1)
    torch.testing.assert_close(
        slow.ledger.crossbar_J - quick.ledger.crossbar_J, tensor(held_W * 5e-8), rtol=1e-6, atol=0
    )
    torch.testing.assert_close(slow.ledger.stored_J, quick.ledger.stored_J, rtol=1e-7, atol=0)
    assert bool((slow.ledger.node_J - quick.ledger.node_J < 1e-3 * slow.ledger.crossbar_J).all())


def test_stored_energy_is_counted_from_where_the_settle_began() -> None:
    placed = chip(random_core(5, seed=0))
    u = random_inputs(1, 3, seed=1)
    rest = settle(placed, u).z
    held = settle(placed, u, z0=rest)
    assert held.t_settle_s.item() == 0.0
    assert held.ledger is not None
    assert held.ledger.stored_J.item() == pytest.approx(0.0, abs=1e-25)
    discharged = settle(placed, u, z0=2.0 * rest)
    assert discharged.ledger is not None
    unit_J = 0.5 * 1e-13 * 0.01
    assert discharged.ledger.stored_J.item() == pytest.approx(
        unit_J * float((rest**2 - 4 * rest**2).sum()), rel=5e-3, abs=0
    )


def test_a_sample_that_does_not_settle_pays_until_the_end() -> None:
    placed = chip(random_core(4, seed=0), amplifier=Amplifier(bias_W=1e-6))
    out = settle(placed, random_inputs(1, 3, seed=1), max_time_tau=1.5)
    assert out.verdict[0].text == "timed out"
    assert out.ledger is not None
    assert out.ledger.bias_J.item() == pytest.approx(placed.bias_W() * 1.5e-8, rel=1e-9, abs=0)
    assert out.energy_J.isfinite().all()


def test_a_bare_core_has_no_energy() -> None:
    out = settle(random_core(4, seed=0), random_inputs(2, 3, seed=1))
    assert out.ledger is None
    assert bool(out.energy_J.isnan().all())


@pytest.mark.parametrize("name", ["W", "U", "b"])
def test_weights_that_are_not_finite_never_reach_a_chip(name: str) -> None:
    core = random_core(4, seed=0)
    weight = getattr(core, name)
    weight[(0,) * (weight.ndim - 1) + (1,)] = math.nan
    with pytest.raises(InputError, match="NaN or infinity; training diverged"):
        chip(core)


def test_a_core_without_weights_has_no_chip() -> None:
    core = plain_core([[0.0]])
    with pytest.raises(InputError, match="feedback resistor exists only for"):
        Chip(RCCore(core.W, torch.zeros(1, 1, dtype=torch.float64), core.b), circuit())


def test_a_circuit_beyond_the_measured_range_of_its_device_is_refused() -> None:
    with pytest.raises(RangeError, match=r"was measured from 0 to 2\.5e-05 S"):
        chip(random_core(4, seed=0), device=PCM, g_max_S=40e-6)


def test_a_trained_core_goes_onto_a_chip() -> None:
    core = random_core(4, seed=0)
    trained = RCCore(nn.Parameter(core.W), nn.Parameter(core.U), nn.Parameter(core.b))
    assert settle(chip(trained), random_inputs(2, 3, seed=1)).is_settled.all()


def test_a_chip_of_imperfect_devices_settles_beside_the_ideal_equilibrium() -> None:
    core = random_core(6, seed=0, radius=0.5)
    u = random_inputs(8, 3, seed=1)
    ideal, real = settle(core, u).z, settle(chip(core, device=PCM, seed=2), u).z
    distance = float((ideal - real).abs().max())
    assert 1e-4 < distance < 0.5


def test_a_dac_that_settles_first_costs_quiescent_power_and_no_settling_time() -> None:
    core, u = random_core(5, seed=0), random_inputs(4, 3, seed=1)
    quick, slow = (settle(chip(core, dac=Converter(bits=8, energy_J=0.0, conversion_s=t)), u) for t in (0.0, 3e-9))
    assert torch.equal(quick.t_settle_s, slow.t_settle_s)
    assert quick.ledger is not None
    assert slow.ledger is not None
    bias_W = chip(core).bias_W()
    more_J = slow.ledger.bias_J - quick.ledger.bias_J
    torch.testing.assert_close(more_J, torch.full_like(more_J, 3e-9 * bias_W), rtol=1e-7, atol=0)
    torch.testing.assert_close(slow.energy_J - quick.energy_J, more_J, rtol=1e-7, atol=0)


def test_a_chip_converts_with_its_own_converters_everywhere() -> None:
    rough = Converter(bits=5, energy_J=0.0, inl_lsb=2.0, noise_lsb=0.5)
    placed = chip(random_core(4, seed=0), dac=rough, adc=rough, seed=7)
    u, z = random_inputs(3, 3, seed=1), random_inputs(3, 4, seed=2)
    level = placed.circuit.dac.quantise(u)
    assert not torch.equal(level, rough.quantise(u))
    torch.testing.assert_close(placed.drive(u).current, placed.core.drive(level).current, rtol=0, atol=0)
    assert torch.equal(placed.drive(u).current, placed.drive(u).current), "one inference, however often it is computed"
    assert torch.equal(placed.read(z), placed.circuit.adc.quantise(z))
    first = placed.read(z)
    placed.begin_inference(11)
    assert not torch.equal(placed.read(z), first)
