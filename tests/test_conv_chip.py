"""Convolutional cores on chips: kernels, watts and joules, held against node analysis and the dense chip."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import analogdeq as adq
from analogdeq.chip import Chip
from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.converters import Converter
from analogdeq.circuits.power import POWER_TERMS
from analogdeq.cores.conv import ConvCore
from analogdeq.errors import InputError, RangeError
from analogdeq.library import device_preset
from analogdeq.placement import placement_of
from analogdeq.solve.options import METHODS
from helpers import chip as dense_chip
from helpers import quiet_amplifier, random_inputs
from unrolling import conv_chip, conv_core, dense_twin, device_matrices, nodal

PCM = device_preset("pcm-generic")
CASES: list[dict[str, Any]] = [
    {},
    {"inputs": 2, "input_kernel": (3, 3)},
    {"channels": 3, "image": (2, 5), "kernel": (1, 3), "activation": "relu-clipped"},
    {"per_position": True},
]


def power_W(chip: Chip, z: Tensor, u: Tensor) -> Tensor:
    """(batch, term) through the buffered interface, with buffers full of rubbish."""
    dz, power, work = (torch.full(s, torch.nan, dtype=z.dtype) for s in (z.shape, (len(z), 4), (2, *z.shape)))
    chip.evaluate(z, chip.drive(u), dz, power, work)
    return power


def state_and_input(chip: Chip, batch: int = 3) -> tuple[Tensor, Tensor]:
    z = torch.as_tensor(np.random.default_rng(1).uniform(-1, 1, (batch, chip.n_nodes)))
    return z.to(chip.dtype), random_inputs(batch, chip.n_inputs, seed=2, dtype=chip.dtype)


@pytest.mark.parametrize("mapping", ["one-sided", "balanced"])
@pytest.mark.parametrize("device", ["ideal", "pcm-generic"])
@pytest.mark.parametrize("case", CASES)
def test_every_power_term_is_the_sum_over_its_devices(case: dict[str, Any], device: str, mapping: str) -> None:
    chip = conv_chip(conv_core(**case), device=device_preset(device), seed=1, mapping=mapping, node_leak_S=2e-6)
    z, u = state_and_input(chip)
    got = power_W(chip, z, u)
    for k in range(len(z)):
        expected = nodal(chip, u[k]).powers_W(z[k].numpy() * chip.circuit.unit_voltage_V)[:4]
        np.testing.assert_allclose(got[k].numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("device", ["ideal", "pcm-generic"])
@pytest.mark.parametrize("case", CASES)
def test_the_derivative_is_kirchhoffs_current_law(case: dict[str, Any], device: str) -> None:
    chip = conv_chip(conv_core(**case), device=device_preset(device), seed=2, node_leak_S=2e-6)
    z, u = state_and_input(chip)
    dz = torch.empty_like(z)
    chip.evaluate(z, chip.drive(u), dz, z.new_empty(3, 4), z.new_empty(2, *z.shape))
    for k in range(len(z)):
        unit = chip.circuit.unit_voltage_V
        expected = nodal(chip, u[k]).dv_dt(z[k].numpy() * unit) / unit * chip.tau_s
        np.testing.assert_allclose(dz[k].numpy(), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_dense_chip_where_a_zero_weight_takes_no_conductance(case: dict[str, Any]) -> None:
    """With g_min = 0, one-sided, the dense crossbar's devices for absent weights conduct nothing."""
    core = conv_core(**case)
    mine, theirs = conv_chip(core, g_min_S=0.0), dense_chip(dense_twin(core), g_min_S=0.0)
    z, u = state_and_input(mine)
    assert mine.pairs.feedback_ohm == pytest.approx(theirs.pairs.feedback_ohm, rel=1e-14)
    torch.testing.assert_close(mine.noise_gain(), theirs.noise_gain(), rtol=1e-12, atol=0)
    torch.testing.assert_close(mine.pairs.column_sum_S(), theirs.pairs.column_sum_S(), rtol=1e-12, atol=1e-20)
    torch.testing.assert_close(power_W(mine, z, u), power_W(theirs, z, u), rtol=1e-11, atol=0)
    assert mine.bias_W() == pytest.approx(theirs.bias_W(), rel=1e-12)
    assert mine.contraction_gap() == pytest.approx(theirs.contraction_gap(), abs=1e-8)
    v = torch.randn_like(z)
    J, J_twin = (c.linearise(z, c.drive(u)) for c in (mine, theirs))
    torch.testing.assert_close(J.matvec(v), J_twin.matvec(v))
    torch.testing.assert_close(J.rmatvec(v), J_twin.rmatvec(v))


@pytest.mark.parametrize("method", METHODS)
def test_it_settles_as_the_dense_chip_and_costs_the_same_joules(method: str) -> None:
    core = conv_core(image=(3, 3))
    changes = {"g_min_S": 0.0, "adc": Converter(bits=8, energy_J=1e-12, conversion_s=1e-8)}
    mine, theirs = conv_chip(core, **changes), dense_chip(dense_twin(core), **changes)
    u = random_inputs(2, core.n_inputs, seed=3)
    one, two = (adq.settle(c, u, method=method, compiled=False) for c in (mine, theirs))
    assert one.verdict == two.verdict == [adq.Verdict.SETTLED] * 2
    torch.testing.assert_close(one.z, two.z, rtol=0, atol=1e-6)
    torch.testing.assert_close(one.t_settle_s, two.t_settle_s, rtol=1e-6, atol=0)
    assert one.ledger is not None
    assert two.ledger is not None
    for name, joules in two.ledger.terms_J().items():
        torch.testing.assert_close(one.ledger.terms_J()[name], joules, rtol=1e-6, atol=1e-22, msg=name)


@pytest.mark.parametrize("device", ["ideal", "pcm-generic"])
def test_settling_time_and_energies_are_those_of_node_analysis(device: str) -> None:
    chip = conv_chip(conv_core(image=(3, 3)), device=device_preset(device), seed=3, amplifier=quiet_amplifier())
    u = random_inputs(1, chip.n_inputs, seed=4)
    settled = adq.settle(chip, u, rtol=1e-5, atol=1e-9)
    circuit = nodal(chip, u[0])
    t_s = float(settled.t_settle_s[0])
    assert t_s == pytest.approx(circuit.settle_s(1e-3), rel=1e-4)
    np.testing.assert_allclose(settled.z[0].numpy(), circuit.rest, atol=1e-6)
    energies, ledger = circuit.energies_J(t_s), settled.ledger
    assert ledger is not None
    for name in ("crossbar", "feedback", "node", "drivers", "stored"):
        assert float(getattr(ledger, f"{name}_J")[0]) == pytest.approx(energies[name], rel=1e-4, abs=0), name
    # Tellegen: what all sources deliver is heat and what the capacitors store.
    delivered = sum(energies[name] for name in circuit.SOURCES)
    heat = sum(float(getattr(ledger, f"{name}_J")[0]) for name in circuit.HEATS)
    assert delivered == pytest.approx(heat + float(ledger.stored_J[0]), rel=1e-4, abs=0)


def test_devices_amplifiers_and_converters_are_counted_by_hand() -> None:
    """2 channels, 1 input channel, 3 x 3 kernels on a 4 x 4 image, 1 x 1 input: 2 (2 * 100 + 16 + 16) pairs."""
    amplifier = Amplifier(bias_W=1e-6)
    dac, adc = Converter(bits=8, energy_J=1e-12), Converter(bits=8, energy_J=3e-12)
    chip = conv_chip(conv_core(image=(4, 4)), amplifier=amplifier, dac=dac, adc=adc)
    assert chip.n_devices == 2 * 2 * (2 * 100 + 16 + 16) == 928
    assert (chip.n_nodes, chip.n_inputs) == (32, 16)
    amplifiers = 32 * (1 + 1 + 2) + 16 * 2 + 2  # per node: summing, activation, two drivers; two drivers per other line
    assert chip.bias_W() == pytest.approx(amplifiers * 1e-6, rel=1e-12, abs=0)
    ledger = adq.settle(chip, torch.zeros(1, 16, dtype=torch.float64)).ledger
    assert ledger is not None
    assert float(ledger.dac_J) == pytest.approx(16 * 1e-12, rel=1e-12, abs=0)
    assert float(ledger.adc_J) == pytest.approx(32 * 3e-12, rel=1e-12, abs=0)


def test_noise_gain_is_lower_at_the_border_where_columns_are_missing() -> None:
    core = conv_core(channels=1, image=(4, 4))
    for weight in core.trainable():
        weight.fill_(0.1)
    chip = conv_chip(core, g_min_S=1e-6, g_max_S=11e-6)  # R_f = 10 kohm; a pair holds 11 + 1 uS
    seen = torch.tensor([2.0, 3.0, 3.0, 2.0], dtype=torch.float64)
    pairs_per_row = torch.outer(seen, seen) + 2  # the window, the input and the bias
    assert chip.pairs.feedback_ohm == pytest.approx(1e4, rel=1e-12)
    torch.testing.assert_close(chip.noise_gain().view(4, 4), 1 + 1e4 * 12e-6 * pairs_per_row)


def test_an_unrolled_dense_crossbar_pays_for_the_devices_a_convolution_does_not_have() -> None:
    core = conv_core(image=(4, 4))
    mine, theirs = conv_chip(core), dense_chip(dense_twin(core))
    assert theirs.n_devices == 2 * 32 * (32 + 16 + 1)
    assert mine.n_devices < 0.35 * theirs.n_devices
    z, u = state_and_input(mine)
    assert bool((power_W(mine, z, u)[:, 0] < power_W(theirs, z, u)[:, 0]).all())
    assert bool((mine.noise_gain() < theirs.noise_gain()).all())


def test_an_ideal_chip_keeps_one_kernel_and_an_imperfect_one_has_one_per_position() -> None:
    core = conv_core(input_kernel=(3, 3))
    ideal, real = conv_chip(core), conv_chip(core, device=PCM, seed=1)
    assert isinstance(ideal.core, ConvCore)
    for name in ("W", "U", "b"):
        torch.testing.assert_close(getattr(ideal.core, name), getattr(core, name), rtol=1e-12, atol=1e-15)
    assert real.core.W.shape == (4, 3, 2, 2, 3, 3)
    assert real.core.U.shape == (4, 3, 2, 1, 3, 3)
    assert real.core.b.shape == (4, 3, 2)
    assert ideal.core.W.is_contiguous()
    assert real.core.W.is_contiguous()


def test_the_chips_core_computes_what_its_devices_hold() -> None:
    chip = conv_chip(conv_core(input_kernel=(3, 3)), device=PCM, seed=1)
    plus, minus = device_matrices(chip)
    realised = dense_twin(chip.core)
    weights = torch.cat((realised.W, realised.U, realised.b.unsqueeze(1)), 1)
    np.testing.assert_allclose(weights.numpy(), chip.pairs.feedback_ohm * (plus - minus), rtol=1e-12, atol=1e-15)


def test_the_same_chip_seed_gives_the_same_chip_and_another_gives_another() -> None:
    core = conv_core()
    first, again, other = (conv_chip(core, device=PCM, seed=s) for s in (3, 3, 4))
    assert torch.equal(first.core.W, again.core.W)
    assert not torch.equal(first.core.W, other.core.W)


def test_manufacturing_touches_neither_the_core_nor_the_global_generator() -> None:
    core, state = conv_core(), torch.get_rng_state()
    before = core.W.clone()
    chip = conv_chip(core, device=PCM)
    core.W.mul_(2.0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(0.5 * core.W, before)
    assert not torch.equal(chip.core.W[1, 1], core.W)


def test_a_realised_core_can_be_placed_again() -> None:
    first = conv_chip(conv_core(), device=PCM, seed=1)
    second = Chip(first.core, first.circuit)
    torch.testing.assert_close(dense_twin(second.core).W, dense_twin(first.core).W, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(second.core.b, first.core.b, rtol=1e-12, atol=1e-15)


def test_weights_that_would_read_padding_do_not_decide_on_the_feedback_resistor() -> None:
    core = conv_core(per_position=True)
    before = conv_chip(core).pairs.feedback_ohm
    core.W[0, :, :, :, 0] = 1e3
    assert conv_chip(core).pairs.feedback_ohm == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_chip_looks_like_its_core(dtype: torch.dtype) -> None:
    core = conv_core(dtype=dtype, tau_s=1.0)
    chip = conv_chip(core, device=PCM, node_leak_S=1e-5)
    assert (chip.n_nodes, chip.n_inputs, chip.dtype) == (24, 12, dtype)
    assert chip.power_terms == POWER_TERMS
    assert chip.tau_s == pytest.approx(0.5e-8, rel=1e-6, abs=0)
    assert chip.full_scale == pytest.approx(0.5)
    assert chip.core.dtype == dtype
    settled = adq.settle(chip, random_inputs(2, 12, seed=0, dtype=dtype))
    assert bool(settled.is_settled.all())
    assert bool((settled.energy_J > 0).all())


def test_weights_and_circuits_that_make_no_chip_are_refused() -> None:
    core = conv_core()
    core.W[0, 0, 0, 0] = math.nan
    with pytest.raises(InputError, match="weights hold NaN or infinity"):
        conv_chip(core)
    with pytest.raises(RangeError, match="was measured from"):
        conv_chip(conv_core(), device=PCM, g_max_S=50e-6)


def test_a_core_of_another_kind_has_no_chip() -> None:
    with pytest.raises(InputError, match=r"no chip is known for a NoneType; want an RCCore or a ConvCore"):
        placement_of(None)  # type: ignore[arg-type]


class _LargestTensor(TorchDispatchMode):
    """Watches every operation for the largest tensor it returns."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        sizes = (x.untyped_storage().nbytes() // x.element_size() for x in tree_leaves(out) if isinstance(x, Tensor))
        self.numel = max(self.numel, *sizes, 0)
        return out


@pytest.mark.parametrize("device", ["ideal", "pcm-generic"])
def test_the_dense_matrix_is_never_formed(device: str) -> None:
    core = conv_core(channels=6, inputs=1, image=(14, 14), size=0.3, dtype=torch.float32)
    u = random_inputs(2, core.n_inputs, seed=0, dtype=torch.float32)
    with _LargestTensor() as watch:
        chip = conv_chip(core, device=device_preset(device))
        settled = adq.settle(chip, u)
        assert chip.contraction_gap() > 0
        chip.bias_W()
    assert bool(settled.is_settled.all())
    assert 0 < watch.numel < core.n_nodes**2 / 16
