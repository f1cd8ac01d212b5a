"""Convolutional hybrids, chains and their baselines: shapes, counts, gradients, what a scenario makes of them."""

import numpy as np
import pytest
import torch
from torch import nn

from analogdeq.build import build_data, build_fit_options, build_model
from analogdeq.cores.conv import ConvCore
from analogdeq.errors import InputError
from analogdeq.models.build_conv import conv_equilibria, conv_feedforward
from analogdeq.models.chain import ChainDEQ
from analogdeq.models.cost import cost_of
from analogdeq.models.hybrid import HybridDEQ
from analogdeq.models.shapes import Stage, read_stages
from analogdeq.scenario import load_scenario
from analogdeq.train.fit import Trainer

ONE, TWO = (Stage(5, 4),), (Stage(6, 8), Stage(5, 4))


def model(stages: tuple[Stage, ...] = TWO, seed: int = 0) -> HybridDEQ | ChainDEQ:
    return conv_equilibria(
        image=(3, 8, 8), inputs=4, stages=stages, classes=7, activation="tanh", analog_init_gain=0.4, tau_s=1e-8,
        gain=1.0, generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip


def feedforward() -> nn.Module:
    return conv_feedforward(
        image=(3, 8, 8), inputs=4, stages=TWO, classes=7, generator=torch.Generator().manual_seed(0)
    )


def pictures(batch: int = 4) -> torch.Tensor:
    return torch.rand(batch, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def small(*changes: str):
    return load_scenario(
        "digits-crossbar",
        ["model.core=conv", "model.stages=6@8, 4@4", "model.inputs=4", "model.weights=spectral", *changes],
    )


def test_one_stage_is_a_hybrid_a_chip_can_hold_and_several_are_a_chain() -> None:
    assert isinstance(model(ONE), HybridDEQ)
    assert isinstance(model(TWO), ChainDEQ)
    assert all(isinstance(core, ConvCore) for core in model(TWO).cores)


@pytest.mark.parametrize("kind", ["hybrid", "feedforward"])
def test_what_follows_the_first_convolution_sees_the_picture_and_not_its_brightness(kind: str) -> None:
    # Grey pictures from 0.4 to 0.6 with 0.02 of detail: without centring, the detail is a permille of what is normed.
    draw = torch.Generator().manual_seed(2)
    network = model() if kind == "hybrid" else feedforward()
    seen: list[torch.Tensor] = []
    norm = next(layer for layer in network.modules() if isinstance(layer, nn.GroupNorm))
    norm.register_forward_hook(lambda _layer, _inputs, out: seen.append(out.detach()))
    network(0.5 + 0.02 * torch.randn(64, 3, 8, 8, generator=draw))
    between_pictures, of_the_mean = seen[0].std(0).mean(), seen[0].mean(0).std()
    assert between_pictures > 2 * of_the_mean


@pytest.mark.parametrize("stages", [ONE, TWO])
def test_each_core_rests_where_it_says_and_the_readout_sees_the_last(stages: tuple[Stage, ...]) -> None:
    network = model(stages)
    logits = network(pictures())
    assert logits.shape == (4, 7)
    x = pictures()
    encoders = [network.encoder] if isinstance(network, HybridDEQ) else network.encoders
    for encoder, core, reached in zip(encoders, network.cores, network.reached, strict=True):
        u = encoder(x)
        assert float(u.detach().abs().max()) <= 1
        torch.testing.assert_close(reached.u, u, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(core.fixed_point_map(reached.z, core.drive(u)), reached.z, atol=1e-5, rtol=0)
        x = reached.z
    torch.testing.assert_close(logits, network.readout(x))


def test_gradients_reach_every_part_of_a_chain_and_agree_with_differences() -> None:
    network, x, y = model((Stage(3, 4), Stage(2, 2))).double(), pictures(2).double(), torch.tensor([0, 1])

    def loss() -> torch.Tensor:
        return nn.functional.cross_entropy(network(x), y)

    loss().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        k = int(gradient.abs().argmax())
        if float(gradient[k].abs()) < 1e-8:
            continue
        ends = []
        for step in (1e-4, -2e-4, 1e-4):
            ends.append(float(loss().detach()))
            flat[k] += step
        assert gradient[k].item() == pytest.approx((ends[1] - ends[2]) / 2e-4, rel=2e-3, abs=1e-6), name


def test_the_log_of_a_chain_adds_up_its_solves() -> None:
    network = model()
    network(pictures()).sum().backward()
    logs = network._logs
    assert network.log.forward_evaluations == sum(log.forward_evaluations for log in logs)
    assert network.log.backward_iterations == sum(log.backward_iterations for log in logs) > 0
    assert network.log.forward_residual == max(log.forward_residual for log in logs) < 1e-5


def test_every_parameter_is_either_analog_or_digital() -> None:
    for network in (model(ONE), model(TWO)):
        parts = [*network.analog_parameters(), *network.digital_parameters()]
        assert {id(p) for p in parts} == {id(p) for p in network.parameters()}
        assert len(parts) == len(list(network.parameters()))


def test_counts_are_those_of_a_pencil() -> None:
    cost = cost_of(model(TWO), pictures(1))
    W, U, b = 9 * 6 * 6 + 9 * 5 * 5, 9 * 4 * 6 + 9 * 4 * 5, 6 + 5
    encoders = (9 * 3 * 4 + 2 * 4) + (9 * 6 * 4 + 2 * 4)
    readout = 2 * 5 + 5 * 4 * 7 + 7
    assert cost.parameters_equilibrium == W + U + b
    assert cost.parameters_digital == encoders + readout
    assert cost.parameters == cost.parameters_trained
    assert cost.macs_evaluation == 9 * 36 * 64 + 9 * 25 * 16
    assert cost.macs_input == 9 * 24 * 64 + 9 * 20 * 16
    assert cost.macs_digital == 9 * 12 * 64 + 9 * 24 * 16 + 5 * 4 * 7
    inside = cost.macs_evaluation + cost.macs_input
    assert cost.equilibrium_share_macs == pytest.approx(inside / (inside + cost.macs_digital))
    assert cost.macs(10) == cost.macs_digital + cost.macs_input + 10 * cost.macs_evaluation


@pytest.mark.parametrize("core", ["dense", "conv"])
def test_the_baselines_have_the_hybrids_size(core: str) -> None:
    scenario = [f"model.core={core}", "model.stages=16@8", "model.weights=spectral"]
    images = torch.zeros(1, 64)
    hybrid, digital, feedforward = (
        cost_of(build_model(load_scenario("digits-crossbar", [*scenario, f"model.kind={kind}"])), images)
        for kind in ("hybrid", "digital", "feedforward")
    )
    assert digital == hybrid
    assert abs(feedforward.parameters - hybrid.parameters) < 0.02 * hybrid.parameters
    assert feedforward.macs(1) == pytest.approx(hybrid.macs(1), rel=0.01)
    assert feedforward.parameters_equilibrium == 0


def test_hybrid_and_digital_start_from_the_same_numbers_and_say_the_same() -> None:
    changes = ["settle.dtype=float64", "train.forward_tol=1e-10", "model.stages=6@8"]
    hybrid, digital = (build_model(small(*changes, f"model.kind={kind}")) for kind in ("hybrid", "digital"))
    x = torch.rand(5, 64, dtype=torch.float64)
    torch.testing.assert_close(hybrid(x), digital(x), atol=1e-4, rtol=1e-4)


def test_a_residual_block_computes_what_it_says() -> None:
    network = conv_feedforward(
        image=(3, 8, 8), inputs=4, stages=(Stage(8, 8),), classes=3, generator=torch.Generator().manual_seed(0)
    )
    block = next(m for m in network.modules() if type(m).__name__ == "ResidualBlock")
    x = torch.randn(2, 4, 8, 8)

    def norm(t: torch.Tensor) -> torch.Tensor:
        return (t - t.mean((1, 2, 3), keepdim=True)) / (t.var((1, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()

    conv = nn.functional.conv2d
    h = torch.relu(norm(conv(x, block.enter.weight, padding=1)))
    torch.testing.assert_close(
        block(x), torch.relu(h + norm(conv(h, block.stay.weight, padding=1))), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("kind", ["hybrid", "digital", "feedforward"])
def test_every_kind_trains_from_a_scenario(tmp_path, kind: str) -> None:
    scenario = small(f"model.kind={kind}", "train.epochs=2", "task.train_limit=192", "task.test_limit=32")
    table: list[dict] = []
    trainer = Trainer(build_model(scenario), build_data(scenario), build_fit_options(scenario))
    trainer.fit(tmp_path / "checkpoint.pt", tmp_path / "metrics.jsonl", "", table.append)
    assert table[-1]["loss"] < table[0]["loss"]
    assert table[-1]["unsettled"] == 0
    assert ("spectral_abscissa" in table[-1]) == (kind != "feedforward")
    assert all(np.isfinite(value) for value in table[-1].values())


def test_stages_are_read_and_checked() -> None:
    assert read_stages("48@32, 64@16,96@4", 32) == (Stage(48, 32), Stage(64, 16), Stage(96, 4))
    with pytest.raises(InputError, match=r"an image of side 16 cannot shrink to 12"):
        read_stages("48@16, 64@12", 32)
