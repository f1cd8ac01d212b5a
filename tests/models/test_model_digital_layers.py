"""The digital layers around convolutional cores: pooled encoders, batch norms, dropout, layouts."""

import pytest
import torch
from torch import nn

from analogdeq.errors import InputError
from analogdeq.models.build_conv import conv_equilibria, conv_feedforward
from analogdeq.models.chain import ChainDEQ
from analogdeq.models.cost import cost_of
from analogdeq.models.layout import Layout
from analogdeq.models.norms import norm_of
from analogdeq.models.shapes import ENCODERS, NORMS, DigitalLayers, Stage

STAGES = (Stage(6, 8), Stage(5, 4))
POOLED = DigitalLayers(encoder="pooled", norm="batch")


def chain(digital: DigitalLayers, seed: int = 0) -> ChainDEQ:
    model = conv_equilibria(
        image=(3, 16, 16), inputs=4, stages=STAGES, classes=7, activation="relu-clipped", analog_init_gain=0.4,
        tau_s=1e-8, gain=1.0, generator=torch.Generator().manual_seed(seed), digital=digital,
    )  # fmt: skip
    assert isinstance(model, ChainDEQ)
    return model


def feedforward(digital: DigitalLayers) -> nn.Module:
    return conv_feedforward(
        image=(3, 16, 16), inputs=4, stages=STAGES, classes=7, generator=torch.Generator().manual_seed(0),
        digital=digital,
    )  # fmt: skip


def pictures(batch: int = 4) -> torch.Tensor:
    return torch.rand(batch, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_a_pooled_encoder_is_one_convolution_maxima_norms_and_tanh() -> None:
    model, x = chain(POOLED), pictures()
    (conv,) = (layer for layer in model.encoders[0] if isinstance(layer, nn.Conv2d))

    def norm(t: torch.Tensor) -> torch.Tensor:
        over = (0, 2, 3)
        return (t - t.mean(over, keepdim=True)) / (t.var(over, correction=0, keepdim=True) + 1e-5).sqrt()

    def maxima(t: torch.Tensor) -> torch.Tensor:
        return t.unflatten(3, (-1, 2)).amax(4).unflatten(2, (-1, 2)).amax(3)

    first = torch.relu(norm(nn.functional.conv2d(4 * x - 2, conv.weight, padding=1)))
    torch.testing.assert_close(model.encoders[0](x), torch.tanh(norm(maxima(first))).flatten(1), atol=1e-4, rtol=1e-4)
    z = torch.rand(4, 6 * 64, generator=torch.Generator().manual_seed(2))
    second = torch.tanh(norm(maxima(z.view(4, 6, 8, 8))))
    torch.testing.assert_close(model.encoders[1](z), second.flatten(1), atol=1e-4, rtol=1e-4)


def test_counts_of_a_pooled_encoder_are_those_of_a_pencil() -> None:
    cost = cost_of(chain(POOLED), pictures(1))
    assert cost.parameters_equilibrium == 9 * (6 * 6 + 5 * 5) + 9 * (4 * 6 + 6 * 5) + 6 + 5
    assert cost.parameters_digital == 27 * 4 + 2 * 4 + 2 * 4 + 2 * 6 + (2 * 5 + 5 * 4 * 7 + 7)
    assert cost.macs_digital == 27 * 4 * 256 + 5 * 4 * 7
    assert cost.macs_input == 9 * 24 * 64 + 9 * 30 * 16


def test_a_stage_as_large_as_the_image_is_not_pooled() -> None:
    model = conv_equilibria(
        image=(3, 8, 8), inputs=4, stages=STAGES, classes=7, activation="tanh", analog_init_gain=0.4, tau_s=1e-8,
        gain=1.0, generator=torch.Generator().manual_seed(0), digital=POOLED,
    )  # fmt: skip
    assert model(torch.rand(2, 3, 8, 8)).shape == (2, 7)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("norm", NORMS)
def test_both_kinds_of_network_are_about_as_large_and_learn_in_every_parameter(encoder: str, norm: str) -> None:
    digital = DigitalLayers(encoder=encoder, norm=norm, dropout=0.1)
    models = chain(digital), feedforward(digital)
    sizes = []
    for model in models:
        nn.functional.cross_entropy(model(pictures()), torch.tensor([0, 1, 2, 3])).backward()
        assert all(float(parameter.grad.abs().max()) > 0 for parameter in model.parameters())
        sizes.append(sum(parameter.numel() for parameter in model.parameters()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def test_the_readout_sees_as_many_averages_as_it_is_told_or_as_the_image_has() -> None:
    widths = [chain(DigitalLayers(readout_side=side)).readout[-1].in_features for side in (1, 2, 3, 9)]
    assert widths == [5, 5 * 4, 5 * 9, 5 * 16]


def test_in_evaluation_an_image_says_the_same_alone_as_among_others() -> None:
    model = chain(DigitalLayers(encoder="pooled", norm="batch", dropout=0.5))
    for _ in range(3):
        model(pictures(16))  # running means
    model.eval()
    torch.testing.assert_close(model(pictures(5))[2:3], model(pictures(5)[2:3]), atol=1e-5, rtol=1e-5)


def test_dropout_is_before_each_core_and_before_the_classes_and_in_training_only() -> None:
    model = chain(DigitalLayers(encoder="pooled", norm="batch", dropout=0.5))
    places = [[type(layer).__name__ for layer in layers] for layers in model.digital_layers()]
    assert [names[-2:] for names in places] == [["Dropout", "Flatten"]] * 2 + [["Dropout", "Linear"]]
    model.train()
    assert not torch.equal(model(pictures()), model(pictures()))
    model.eval()
    assert torch.equal(model(pictures()), model(pictures()))


def test_without_dropout_layers_have_the_numbers_of_older_checkpoints() -> None:
    names = set(chain(DigitalLayers()).state_dict())
    assert {"encoders.0.3.weight", "encoders.1.2.weight", "readout.1.weight", "readout.4.weight"} <= names


@pytest.mark.parametrize("channels_last", [True, False])
def test_a_layout_changes_no_number_and_its_gradient_has_none_to_change(channels_last: bool) -> None:
    x = torch.rand(2, 3, 4, 5, requires_grad=True)
    y = Layout(channels_last=channels_last)(x)
    assert torch.equal(x, y)
    assert y.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    weight = torch.rand(2, 3, 4, 5)
    (y * weight).sum().backward()
    assert torch.equal(x.grad, weight)


def test_group_norms_have_a_group_per_eight_channels_where_that_divides_them() -> None:
    assert [norm_of("group", channels).num_groups for channels in (4, 16, 24, 60)] == [1, 2, 3, 1]
    with pytest.raises(InputError, match=r"unknown norm 'layer'; known: group, batch"):
        norm_of("layer", 8)
