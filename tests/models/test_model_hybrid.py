"""The hybrid DEQ: which parameters are analog, how they start, and that all of them learn."""

import numpy as np
import pytest
import torch
from scipy.optimize import root
from torch import Tensor, nn

from analogdeq.errors import SettleError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import ByRootFinding, BySettling
from analogdeq.models.hybrid import HybridDEQ, bound_spectrum_, digits_model


def model(seed: int = 0, **changes: object) -> HybridDEQ:
    options = {
        "pixels": 12,
        "inputs": 5,
        "nodes": 7,
        "classes": 3,
        "activation": "tanh",
        "analog_init_gain": 0.5,
        "tau_s": 1e-8,
        "gain": 1.0,
        "generator": torch.Generator().manual_seed(seed),
        **changes,
    }
    return digits_model(**options)  # type: ignore[arg-type]


def pictures(batch: int = 6, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(batch, 12, generator=torch.Generator().manual_seed(1), dtype=dtype)


def test_every_parameter_is_either_analog_or_digital() -> None:
    network = model()
    analog, digital = ({id(p) for p in part} for part in (network.analog_parameters(), network.digital_parameters()))
    assert not analog & digital
    assert analog | digital == {id(p) for p in network.parameters()}
    assert {id(network.core.W), id(network.core.U), id(network.core.b)} == analog


def test_the_output_is_the_readout_of_the_equilibrium_of_the_encoded_input() -> None:
    network, x = model().double(), pictures(dtype=torch.float64)
    W, U, b = (p.detach().numpy() for p in network.core.parameters())
    u = network.encoder(x).detach().numpy()
    z = np.stack([root(lambda z, c: z - np.tanh(W @ z + c), np.zeros(7), (U @ row + b,), tol=1e-13).x for row in u])
    expected = network.readout(torch.tensor(z))
    torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e4])
def test_the_encoder_stays_within_the_range_of_the_converter(size: float) -> None:
    u = model().encoder(size * (pictures() - 0.5))
    assert u.abs().max() <= 1


@pytest.mark.parametrize("gain", [0.3, 0.5, 0.9])
def test_the_spectral_radius_of_W_starts_near_the_gain_asked_for(gain: float) -> None:
    W = model(nodes=100, analog_init_gain=gain).core.W.detach().numpy()
    assert np.abs(np.linalg.eigvals(W)).max() == pytest.approx(gain, rel=0.15)


def test_digital_layers_start_within_glorots_bounds_and_biases_at_zero() -> None:
    network = model(nodes=50, inputs=40)
    for layer in (network.encoder[0], network.readout):
        bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
        assert layer.weight.abs().max() <= bound
        assert layer.weight.detach().std() == pytest.approx(bound / 3**0.5, rel=0.15)
        assert not layer.bias.any()
    assert not network.core.b.any()


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before() -> None:
    first = model(3).state_dict()
    torch.manual_seed(99)
    torch.rand(10)
    second, other = model(3).state_dict(), model(4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["core.W"], other["core.W"])


def test_global_random_numbers_decide_nothing_about_a_model() -> None:
    torch.manual_seed(5)
    once = model(3)(pictures())
    torch.manual_seed(6)
    again = model(3)(pictures())
    assert torch.equal(once, again)


@pytest.mark.parametrize("forward", [ByRootFinding(), BySettling()], ids=["root", "settle"])
def test_one_backward_pass_reaches_every_parameter(forward: object) -> None:
    network = model(forward=forward)
    nn.functional.cross_entropy(network(pictures()), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_gradient_of_an_encoder_weight_agrees_with_a_difference() -> None:
    network, x = model(forward=ByRootFinding(tol=1e-14)).double(), pictures(dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 0, 1, 2])

    def loss() -> Tensor:
        return nn.functional.cross_entropy(network(x), y)

    loss().backward()
    weight, eps, ends = network.encoder[0].weight, 1e-6, []
    for step in (eps, -2 * eps, eps):
        ends.append(float(loss().detach()))
        with torch.no_grad():
            weight[2, 3] += step
    assert weight.grad[2, 3].item() == pytest.approx((ends[1] - ends[2]) / (2 * eps), rel=1e-5)


def test_the_log_belongs_to_the_last_batch() -> None:
    network = model()
    network(pictures())
    before = network.log
    network(pictures(2)).sum().backward()
    assert network.log is not before
    assert network.log.unsettled == 0
    assert network.log.backward_residual < 1e-5
    assert np.isnan(before.backward_residual)


def test_a_model_travels_through_its_state_dict() -> None:
    one, two = model(1), model(2)
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(pictures()), two(pictures()))
    assert set(one.state_dict()) == {
        "core.W", "core.U", "core.b", "encoder.0.weight", "encoder.0.bias", "readout.weight", "readout.bias"
    }  # fmt: skip


def test_any_modules_may_stand_around_any_core() -> None:
    part = model()
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Hardtanh())
    network = HybridDEQ(encoder, part.core, nn.Sequential(nn.Linear(7, 4), nn.ReLU(), nn.Linear(4, 3)))
    assert network(pictures().reshape(6, 3, 4)).shape == (6, 3)
    assert len(network.digital_parameters()) == 6


def test_a_core_that_oscillates_is_counted_in_the_log() -> None:
    network = model(nodes=2, inputs=2, forward=BySettling())
    with torch.no_grad():
        network.core.W.copy_(torch.tensor([[1.2, 2.0], [-2.0, 1.2]]))
        network.core.U.mul_(1e-3)
    network(pictures(3))
    assert network.log.unsettled == 3
    with pytest.raises(SettleError):
        equilibrium(network.core, network.encoder(pictures(3)), throw=True)


def test_a_norm_above_the_bound_is_scaled_back_and_its_direction_kept() -> None:
    weight = torch.randn(9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scaled = weight.clone()
    bound_spectrum_(scaled, 0.9)
    assert np.linalg.norm(scaled.numpy(), 2) == pytest.approx(0.9, rel=1e-12)
    torch.testing.assert_close(scaled / scaled.norm(), weight / weight.norm())


def test_a_norm_below_the_bound_is_left_alone_to_the_bit() -> None:
    weight = 0.01 * torch.randn(9, 9, generator=torch.Generator().manual_seed(0))
    scaled = weight.clone()
    bound_spectrum_(scaled, 0.9)
    assert torch.equal(scaled, weight)
    zero = torch.zeros(3, 3)
    bound_spectrum_(zero, 0.9)
    assert torch.equal(zero, torch.zeros(3, 3))
