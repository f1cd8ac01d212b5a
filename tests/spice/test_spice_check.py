"""This package against ngspice, live."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analogdeq.build import build_settle_options
from analogdeq.circuits.converters import Converter
from analogdeq.cores.rc import RCCore
from analogdeq.errors import DependencyError, InputError, SettleError
from analogdeq.library import device_preset
from analogdeq.runs.placed import place
from analogdeq.solve.options import SettleOptions
from analogdeq.spice import netlist_of, run_ngspice, spice_check
from analogdeq.spice.check import ask_ngspice, settle_recorded, stop_s
from analogdeq.spice.meters import METERS
from helpers import Nodal, chip, random_core, random_inputs, tensor
from unrolling import conv_chip, conv_core

PCM = device_preset("pcm-generic")
TIGHT = SettleOptions(rtol=1e-6, atol=1e-9)
ACTIVATIONS = ("tanh", "sigmoid", "hardtanh", "relu-clipped", "relu", "identity")


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize("image", [0, 1])
def test_a_16_neuron_network_driven_by_a_digit_agrees_with_ngspice(image: int) -> None:
    placed = place("digits-crossbar", image=image, overrides=["model.nodes=16"])
    result = spice_check(placed.chip, placed.u, build_settle_options(placed.scenario))
    assert result.waveform.error < 1e-4
    assert result.settle.error < 1e-3
    assert all(term.error < 1e-3 for term in result.energy)
    assert result.agrees, result.verdict
    assert 5e-8 < result.settle.spice < 3e-7


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize("leak_S", [0.0, 5e-6])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_agrees_with_ngspice_with_and_without_a_leak(activation: str, leak_S: float) -> None:
    core = random_core(5, seed=3, radius=0.8, activation=activation)
    made = chip(core, device=PCM, seed=1, mapping="balanced" if leak_S else "one-sided", node_leak_S=leak_S)
    result = spice_check(made, random_inputs(1, 3, seed=5)[0], TIGHT)
    assert result.agrees, result.verdict
    assert result.waveform.error < 3e-5


@pytest.mark.usefixtures("ngspice")
def test_ngspice_agrees_with_nodal_analysis_by_scipy_too() -> None:
    made = chip(random_core(6, seed=8), device=PCM, seed=2, node_leak_S=2e-6, unit_voltage_V=0.2)
    u = random_inputs(1, 3, seed=4)[0]
    answer = ask_ngspice(made, u, settle_recorded(made, u, TIGHT), 1e-3)
    oracle = Nodal.of(made, u)
    assert np.abs(oracle.z(answer.time_s).T - answer.z).max() < 3e-5
    assert oracle.settle_s(1e-3 * made.full_scale) == pytest.approx(answer.t_settle_s, rel=1e-4)
    energies = oracle.energies_J(answer.t_settle_s)
    for term in ("crossbar", "feedback", "node", "drivers", "stored"):
        assert energies[term] == pytest.approx(answer.energy_J[term], rel=2e-4, abs=0), term
    delivered = sum(energies[source] for source in Nodal.SOURCES)
    assert delivered == pytest.approx(answer.energy_J["delivered"], rel=1e-4, abs=0)


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize("options", [{}, {"inputs": 2, "input_kernel": (3, 3)}, {"per_position": True}])
def test_a_convolutional_chip_agrees_with_ngspice(options: dict[str, Any]) -> None:
    made = conv_chip(conv_core(**options), device=PCM, seed=4, node_leak_S=2e-6)
    result = spice_check(made, random_inputs(1, made.n_inputs, seed=6)[0], TIGHT)
    assert result.agrees, result.verdict


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize("band", [1e-1, 1e-3])
def test_a_ringing_pair_agrees_although_its_band_is_left_and_entered_many_times(band: float) -> None:
    core = RCCore(tensor([[0.8, 2.0], [-2.0, 0.8]]), tensor([[1.0], [0.3]]), tensor([0.1, 0.2]))
    result = spice_check(chip(core), tensor([0.2]), SettleOptions(band=band, rtol=1e-6, atol=1e-9))
    assert result.agrees, result.verdict


@pytest.mark.usefixtures("ngspice")
def test_a_non_normal_transient_agrees() -> None:
    core = RCCore(tensor([[0.0, 10.0], [0.0, 0.0]]), tensor([[0.01], [0.03]]), tensor([0.01, 0.02]))
    result = spice_check(chip(core), tensor([0.2]), TIGHT)
    assert result.agrees, result.verdict


@pytest.mark.usefixtures("ngspice")
def test_a_circuit_that_is_at_rest_from_the_start_agrees() -> None:
    core = RCCore(tensor([[0.5]]), tensor([[1.0]]), tensor([0.0]))
    result = spice_check(chip(core, dac=Converter(bits=1, energy_J=0.0)), tensor([1.0]), SettleOptions(band=0.9))
    assert (result.settle.native, result.settle.spice, result.settle.error) == (0, 0, 0)
    assert result.agrees, result.verdict


@pytest.mark.usefixtures("ngspice")
def test_what_ngspice_sources_deliver_is_heat_and_stored_energy_at_every_instant() -> None:
    made = chip(random_core(5, seed=6), device=PCM, seed=3, node_leak_S=3e-6)
    (plot,) = run_ngspice(netlist_of(made, random_inputs(1, 3, seed=7)[0], stop_s=2e-7))
    meter = {term: plot.column(f"v(e_{term})") for term in METERS}
    volts = np.stack([plot.column(f"v(z{i})") for i in range(5)])
    stored_pJ = 1e12 * 0.5 * made.circuit.node_C_F * (volts**2).sum(0)
    kept = meter["crossbar"] + meter["feedback"] + meter["node"] + stored_pJ
    assert np.abs(kept - meter["delivered"]).max() < 1e-6 * meter["delivered"][-1]
    assert meter["drivers"][-1] > 2 * meter["delivered"][-1]


@pytest.mark.usefixtures("ngspice")
def test_a_netlist_with_one_wrong_resistor_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made = chip(random_core(5, seed=3, radius=0.8), seed=1)
    u = random_inputs(1, 3, seed=5)[0]
    wrong = netlist_of(made, u, stop_s=4e-7)
    devices = [line for line in wrong.splitlines() if line.startswith("Rz")]
    line = min(devices, key=lambda line: float(line.split()[3]))
    ohm = line.split()[3]
    wrong = wrong.replace(line, line.replace(ohm, repr(1.02 * float(ohm))))
    monkeypatch.setattr("analogdeq.spice.check.netlist_of", lambda *_, **__: wrong)
    result = spice_check(made, u, TIGHT)
    assert not result.waveform.agrees
    assert not result.balance.agrees
    assert "waveform differs" in result.verdict


def test_ngspice_runs_until_nothing_is_left_of_the_motion() -> None:
    made = chip(RCCore(tensor([[0.9]]), tensor([[0.1]]), tensor([0.0]), activation="identity"))
    settled = settle_recorded(made, tensor([1.0]), TIGHT)
    assert stop_s(made, tensor([1.0]), settled) == pytest.approx(
        float(settled.t_settle_s[0]) + made.tau_s * np.log(1e5) / 0.1, rel=1e-6
    )


def test_without_ngspice_nothing_is_settled_and_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("analogdeq.spice.check.settle_recorded", lambda *_: pytest.fail("settled first"))
    with pytest.raises(DependencyError, match="apt-get install ngspice"):
        spice_check(chip(random_core(3, seed=1)), torch.zeros(3, dtype=torch.float64))


@pytest.mark.usefixtures("ngspice")
def test_a_sample_on_a_limit_cycle_is_refused_with_advice() -> None:
    core = RCCore(tensor([[2.0, 3.0], [-3.0, 2.0]]), tensor([[1.0], [1.0]]), tensor([0.0, 0.0]))
    with pytest.raises(SettleError, match="oscillating"):
        spice_check(chip(core), tensor([0.5]))


def test_an_image_the_scenario_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="no test image 360; the scenario has 360"):
        place("digits-crossbar", image=360)
