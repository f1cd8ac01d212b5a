"""From a scenario to objects: every value arrives where it is used, and nothing else decides."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from analogdeq.build import (
    build_chip,
    build_circuit,
    build_data,
    build_fit_options,
    build_gradient,
    build_model,
    build_settle_options,
)
from analogdeq.errors import DataError, InputError, RangeError
from analogdeq.gradient.forward import ByIteration, ByRootFinding, BySettling
from analogdeq.resources import resource_path
from analogdeq.scenario import Scenario, load_scenario
from analogdeq.solve.settle import settle

SHIPPED = sorted(path.stem for path in resource_path("scenarios").glob("*.toml"))


def scenario(*changes: str) -> Scenario:
    return load_scenario("digits-crossbar", ["model.nodes=10", "model.inputs=6", *changes])


def _is_for_a_chip(name: str) -> bool:
    """Baselines and chains of cores, which no chip is made of, have tests of their own."""
    model = load_scenario(name).model
    return model.kind == "hybrid" and model.core == "dense"


def test_a_baseline_has_no_chip_and_says_so() -> None:
    with pytest.raises(InputError, match=r"no chip can be made of a model with kind = 'feedforward'"):
        build_chip(load_scenario("digits-feedforward"))
    with pytest.raises(InputError, match=r"a model with 2 cores"):
        build_chip(load_scenario("digits-crossbar", ["model.core=conv", "model.stages=4@8, 4@4", "model.weights=row"]))


@pytest.mark.parametrize("name", [name for name in SHIPPED if _is_for_a_chip(name)])
def test_every_shipped_scenario_for_a_chip_can_be_built_and_settles(name: str) -> None:
    chosen = load_scenario(name, ["task.test_limit=3"])
    model = build_model(chosen)
    chip = build_chip(chosen, model.core)
    with torch.no_grad():
        out = settle(chip, model.encoder(build_data(chosen).test_x))
    assert out.is_settled.all()
    assert (out.energy_J > 0).all()


def test_components_arrive_with_their_values() -> None:
    circuit = build_circuit(
        scenario(
            "circuit.node_R_ohm=200 kohm", "circuit.node_C_F=30 fF", "circuit.unit_voltage_V=50 mV",
            "circuit.supply_V=1.1", "circuit.g_min_S=1 uS", "circuit.g_max_S=20 uS", "circuit.mapping=balanced",
            "circuit.amplifier.speed_ratio=33",
        )
    )  # fmt: skip
    assert circuit.tau_s == pytest.approx(6e-9, rel=1e-6, abs=0)
    assert (circuit.unit_voltage_V, circuit.supply_V) == (0.05, 1.1)
    assert (circuit.g_min_S, circuit.g_max_S, circuit.mapping) == (1e-6, 20e-6, "balanced")
    assert circuit.amplifier.speed_ratio == 33


def test_a_leak_shortens_the_time_constant_and_lowers_the_gain() -> None:
    chosen = scenario("circuit.node_leak_S=1 uS")  # R G = 0.1
    circuit = build_circuit(chosen)
    assert circuit.gain == pytest.approx(1 / 1.1)
    assert circuit.tau_s == pytest.approx(1e-8 / 1.1, rel=1e-6, abs=0)
    assert build_model(chosen).core.gain == pytest.approx(1 / 1.1)
    assert build_model(chosen).core.tau_s == pytest.approx(1e-8 / 1.1, rel=1e-6, abs=0)


def test_converter_energies_come_from_tables_unless_they_are_given() -> None:
    table = build_circuit(scenario("circuit.dac.bits=8", "circuit.dac.unit_C_F=1 fF", "circuit.supply_V=0.9"))
    assert table.dac.energy_J == pytest.approx(256 * 1e-15 * 0.81, rel=1e-6, abs=0)
    assert "estimate" in table.dac.source
    assert table.adc.energy_J > 0
    assert "published converters" in table.adc.source
    given = build_circuit(scenario("circuit.dac.energy_J=2 pJ", "circuit.adc.energy_J=3 pJ"))
    assert (given.dac.energy_J, given.adc.energy_J) == (2e-12, 3e-12)
    assert given.dac.source == given.adc.source == "given by the scenario"


def test_the_best_published_converter_takes_less_than_the_median_one() -> None:
    best, median = (
        build_circuit(scenario(f"circuit.adc.quantile={quantile}")).adc.energy_J for quantile in ("best", "median")
    )
    assert best < median


def test_a_converter_nobody_published_is_refused_with_those_there_are() -> None:
    with pytest.raises(RangeError, match=r"no class for 16 bits.*it has.*or give circuit\.adc\.energy_J"):
        build_circuit(scenario("circuit.adc.bits=16"))


def test_settle_and_fit_options_arrive_with_their_values() -> None:
    chosen = scenario(
        "settle.method=bosh3", "settle.rtol=2e-3", "settle.atol=3e-6", "settle.band=4e-3", "settle.dwell_tau=5",
        "settle.max_time_tau=600", "settle.max_steps=700", "train.epochs=8", "train.batch_size=9",
        "train.lr_digital=0.01", "train.lr_analog=0.02", "train.weight_decay=0.03", "train.schedule=constant",
        "train.grad_clip=none", "train.input_noise=0.04", "model.spectral_bound=none", "seeds.train=5",
        "train.label_smoothing=0.06",
    )  # fmt: skip
    options = build_settle_options(chosen)
    assert (options.method, options.rtol, options.atol, options.band) == ("bosh3", 2e-3, 3e-6, 4e-3)
    assert (options.dwell_tau, options.max_time_tau, options.max_steps) == (5, 600, 700)
    fit = build_fit_options(chosen)
    assert (fit.epochs, fit.batch_size, fit.schedule, fit.seed) == (8, 9, "constant", 5)
    assert (fit.lr_digital, fit.lr_analog, fit.weight_decay, fit.input_noise) == (0.01, 0.02, 0.03, 0.04)
    assert fit.label_smoothing == 0.06
    assert fit.grad_clip is None
    assert fit.spectral_bound is None


def test_a_convolutional_model_arrives_with_its_digital_layers_its_bursts_and_its_forward_pass() -> None:
    chosen = scenario(
        "model.core=conv", "model.stages=6@4", "model.inputs=4", "model.encoder=pooled", "model.norm=batch",
        "model.dropout=0.25", "model.readout_side=3", "model.weights=spectral", "model.spectral_bursts=7",
        "train.forward=iterate", "train.forward_tol=2e-3",
    )  # fmt: skip
    for kind in ("hybrid", "feedforward"):
        model = build_model(chosen.model_copy(update={"model": chosen.model.model_copy(update={"kind": kind})}))
        layers = list(model.modules())
        assert any(isinstance(layer, torch.nn.MaxPool2d) for layer in layers)
        assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in layers)
        assert [layer.p for layer in layers if isinstance(layer, torch.nn.Dropout)] == [0.25, 0.25]
        assert [layer.in_features for layer in layers if isinstance(layer, torch.nn.Linear)] == [6 * 9]
        if kind == "hybrid":
            assert model._forward == ByIteration(tol=2e-3)
            assert model.core.parametrizations["W"][0]._bursts == 7


@pytest.mark.parametrize("scenario", ["cifar10-small", "digits-digital", "digits-oscillator"])
def test_energy_is_a_penalty_for_dense_hybrids_alone(scenario: str) -> None:
    with pytest.raises(InputError, match=r"train\.penalty\.energy = 0\.5 takes model\.kind = 'hybrid' with one dense"):
        build_fit_options(load_scenario(scenario, ["train.penalty.energy=0.5"]))


def test_the_penalties_arrive_with_the_circuit_whose_joules_they_lower() -> None:
    s = load_scenario("digits-crossbar", ["train.penalty.energy=0.5", "train.penalty.settling_time=0.1"])
    penalty = build_fit_options(s).penalty
    assert (penalty.energy, penalty.settling_time) == (0.5, 0.1)
    assert penalty.circuit == build_circuit(s)
    assert penalty.settle == build_settle_options(s)


def test_the_model_has_the_shape_type_and_solvers_asked_for() -> None:
    model = build_model(
        scenario(
            "model.activation=sigmoid", "settle.dtype=float64", "train.gradient_solver=dense", "train.forward=settle"
        )
    )
    assert model.core.W.shape == (10, 10)
    assert model.core.U.shape == (10, 6)
    assert model.core.activation.name == "sigmoid"
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert isinstance(model._forward, BySettling)
    assert model._gradient is not None
    assert model._gradient.solver == "dense"
    assert isinstance(build_model(scenario())._forward, ByRootFinding)


def test_the_train_seed_decides_the_model_and_the_chip_seed_the_chip() -> None:
    def weights(*changes: str) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = scenario(*changes)
        core = build_model(chosen).core
        return core.W.detach(), build_chip(chosen, core).core.W

    (ideal, chip), (ideal_1, chip_1), (ideal_2, _) = weights(), weights("seeds.chip=1"), weights("seeds.train=1")
    assert torch.equal(ideal, ideal_1)
    assert not torch.equal(chip, chip_1)
    assert not torch.equal(ideal, ideal_2)
    again = weights()
    assert torch.equal(ideal, again[0])
    assert torch.equal(chip, again[1])
    assert torch.equal(build_model(scenario(), seed=1).core.W, ideal_2)
    assert torch.equal(build_chip(scenario(), build_model(scenario()).core, seed=1).core.W, chip_1)


def test_an_ideal_device_stores_the_weights_it_was_given() -> None:
    chosen = scenario("device.preset=ideal")
    core = build_model(chosen).core
    torch.testing.assert_close(build_chip(chosen, core).core.W, core.W.detach(), rtol=1e-5, atol=1e-6)


def test_a_device_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'title = "Mine"\nsource = "me"\n[programming]\nlaw = "polynomial"\n'
        'coefficients = [0.5]\ndistribution = "normal"\nsource = "me"\nstatus = "model"\n'
    )
    chosen = scenario(f"device.preset={file}")
    core = build_model(chosen).core
    error = build_chip(chosen, core).core.W - core.W.detach()
    assert error.std() > 0.1
    with pytest.raises(DataError, match="no device preset"):
        build_chip(scenario(f"device.preset={tmp_path / 'none.toml'}"))


def test_a_test_limit_shortens_the_test_only() -> None:
    data = build_data(scenario("task.test_limit=5"))
    assert data.test_x.shape[0] == 5
    assert data.train_x.shape[0] == 1437


def test_a_faster_circuit_draws_more_and_settles_sooner_by_the_same_factor() -> None:
    def figures(capacitance: str) -> tuple[float, float, float]:
        chosen = scenario(f"circuit.node_C_F={capacitance}", "device.preset=ideal", "task.test_limit=2")
        model = build_model(chosen)
        chip = build_chip(chosen, model.core)
        with torch.no_grad():
            out = settle(chip, model.encoder(build_data(chosen).test_x))
        return float(out.t_settle_s[0]), chip.bias_W(), float(np.median(out.evaluations))

    slow, fast = figures("100 fF"), figures("10 fF")
    assert slow[0] / fast[0] == pytest.approx(10, rel=1e-6)
    assert fast[1] / slow[1] > 1
    assert slow[2] == fast[2]
    assert math.isfinite(fast[1])


@pytest.mark.parametrize("change", ["oscillator.core=stuart-landau", "gradient.nudge=holomorphic"])
def test_equilibrium_propagation_of_what_has_no_nudged_rests_here_is_refused_before_training(change: str) -> None:
    scenario = load_scenario("digits-oscillator", ["gradient.method=equilibrium-propagation", change])
    with pytest.raises(InputError, match=r"use gradient\.method = 'implicit'"):
        build_gradient(scenario)
