"""Converters in training: rounded forward, straight through backward, and what the chip then does the same."""

import pytest
import torch

from analogdeq.build import build_chip, build_circuit, build_model, only_core
from analogdeq.circuits.converters import Converter
from analogdeq.errors import InputError
from analogdeq.models.straight_through import StraightThrough
from analogdeq.scenario import load_scenario
from helpers import tensor

ON = ["train.converters=straight-through", "circuit.dac.bits=6", "circuit.adc.bits=6", "settle.dtype=float64"]


def test_it_rounds_forward_exactly_as_the_converter_does() -> None:
    converter = Converter(bits=3, energy_J=0.0, full_scale=0.8)
    x = torch.linspace(-1.5, 1.5, 301)
    assert torch.equal(StraightThrough(converter)(x), converter.quantise(x))


def test_its_gradient_is_one_inside_the_range_and_zero_where_it_clips() -> None:
    x = tensor([-3.0, -0.81, -0.8, -0.3, 0.0, 0.79, 0.8, 0.81, 9.0]).requires_grad_()
    weight = torch.arange(1.0, 10.0, dtype=torch.float64)
    (StraightThrough(Converter(bits=3, energy_J=0.0, full_scale=0.8))(x) @ weight).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 3, 4, 5, 6, 7, 0, 0]


def test_a_model_trained_behind_converters_says_what_a_chip_of_exact_devices_says() -> None:
    scenario = load_scenario("digits-crossbar", [*ON, "device.preset=ideal"])
    model, x = build_model(scenario), torch.rand(6, 64, dtype=torch.float64)
    plain = build_model(load_scenario("digits-crossbar", ON[1:]))
    chip = build_chip(scenario, only_core(scenario, model))
    u = model.encoder(x)
    codes = (u + 1) * 63 / 2
    torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-9)
    assert torch.equal(chip.circuit.dac.quantise(u), u)
    model.readout = model.readout[0]  # the ADC alone
    z = model(x)
    torch.testing.assert_close((z + 1) * 63 / 2, ((z + 1) * 63 / 2).round(), rtol=0, atol=1e-9)
    assert torch.equal(plain.core.W, model.core.W), "the same seed, the same initial weights"
    assert not torch.equal(plain.encoder(x), u)


def test_gradients_reach_every_parameter_through_both_converters() -> None:
    scenario = load_scenario("digits-crossbar", ON)
    model = build_model(scenario)
    torch.nn.functional.cross_entropy(model(torch.rand(8, 64, dtype=torch.float64)), torch.arange(8)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_the_straight_through_gradient_is_that_of_the_network_whose_rounding_is_frozen() -> None:
    """Against finite differences of the loss with the rounding errors held at their value here."""
    scenario = load_scenario("digits-crossbar", [*ON, "train.forward_tol=1e-12", "train.gradient_tol=1e-10"])
    model, x = build_model(scenario), torch.rand(2, 64, dtype=torch.float64)
    y = torch.tensor([3, 7])
    torch.nn.functional.cross_entropy(model(x), y).backward()
    weight = model.encoder[0][0].weight
    grad = weight.grad.clone()
    encode, dac = model.encoder
    adc, decode = model.readout
    with torch.no_grad():
        off_u = dac(encode(x)) - encode(x)
        z = rest(model, dac(encode(x)))
        off_z = adc(z) - z

        def loss() -> float:
            out = decode(rest(model, encode(x) + off_u) + off_z)
            return float(torch.nn.functional.cross_entropy(out, y))

        for i, j in ((0, 5), (11, 40), (30, 63)):
            before = float(weight[i, j])
            values = []
            for step in (1e-5, -1e-5):
                weight[i, j] = before + step
                values.append(loss())
            weight[i, j] = before
            assert float(grad[i, j]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-9)


def rest(model: torch.nn.Module, u: torch.Tensor) -> torch.Tensor:
    """The fixed point by plain iteration; the untrained core is a contraction."""
    z = torch.zeros(len(u), model.core.n_nodes, dtype=u.dtype)
    for _ in range(400):
        z = torch.tanh(z @ model.core.W.T + u @ model.core.U.T + model.core.b)
    return z


def test_training_without_converters_is_what_it_was() -> None:
    model = build_model(load_scenario("digits-crossbar"))
    assert not any(isinstance(layer, StraightThrough) for layer in model.modules())
    assert set(model.state_dict()) >= {"encoder.0.weight", "readout.weight"}


@pytest.mark.parametrize("change", ["model.kind=digital", "model.kind=feedforward"])
def test_a_network_that_no_chip_is_made_of_has_no_converters(change: str) -> None:
    with pytest.raises(InputError, match=r"takes model\.kind = 'hybrid' and oscillator"):
        build_model(load_scenario("digits-crossbar", [*ON, change]))


def test_a_scenario_says_what_its_converters_are() -> None:
    sets = ["circuit.dac.full_scale=0.9", "circuit.dac.inl_lsb=0.4", "circuit.dac.conversion_s=1e-9",
            "circuit.adc.dnl_lsb=0.2", "circuit.adc.noise_lsb=0.3", "seeds.noise=5"]  # fmt: skip
    scenario = load_scenario("digits-crossbar", sets)
    made = build_circuit(scenario)
    assert (made.dac.full_scale, made.dac.conversion_s, made.adc.noise_lsb) == (0.9, 1e-9, 0.3)
    chip, other = (build_chip(load_scenario("digits-crossbar", [*sets, *more])) for more in ([], ["seeds.noise=6"]))
    z = torch.rand(3, 64) * 2 - 1
    assert not torch.equal(chip.read(z), other.read(z))
