"""The stored answer of ngspice: agreement where there is no ngspice, and disagreement where something is wrong."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analogdeq.chip import Chip
from analogdeq.circuits.converters import Converter
from analogdeq.cores.rc import RCCore
from analogdeq.errors import DataError, InputError, SettleError
from analogdeq.library import device_preset
from analogdeq.solve.options import METHODS, SettleOptions
from analogdeq.solve.settle import settle
from analogdeq.spice import check_frozen, freeze, load_frozen, ngspice_version, shipped_answer
from analogdeq.spice.check import ask_ngspice, settle_recorded
from analogdeq.spice.comparison import SpiceComparison, compare
from analogdeq.spice.frozen import Frozen
from analogdeq.spice.netlist import OPTIONS, STEPS_PER_TAU
from helpers import Nodal, circuit, random_core, random_inputs
from unrolling import conv_chip, conv_core


@pytest.fixture
def frozen() -> Frozen:
    return load_frozen(shipped_answer())


def judged(frozen: Frozen, chip: Chip) -> SpiceComparison:
    """Another chip's settle against the stored answer."""
    return compare(chip, settle_recorded(chip, frozen.u, SettleOptions(band=frozen.band)), frozen.answer)


def apart(comparison: SpiceComparison) -> set[str]:
    return {d.name for d in comparison.differences if not d.agrees}


def with_circuit(frozen: Frozen, **changes: Any) -> Chip:
    core = frozen.chip.core
    return Chip(RCCore(core.W, core.U, core.b), replace(frozen.chip.circuit, **changes))


def test_a_16_neuron_network_driven_by_a_digit_agrees_with_the_stored_waveform_of_ngspice(frozen: Frozen) -> None:
    assert (frozen.chip.n_nodes, frozen.chip.n_inputs, frozen.band) == (16, 32, 1e-3)
    result = check_frozen(shipped_answer())
    assert result.waveform.error < 1e-4
    assert result.settle.error < 1e-3
    assert [d.name for d in result.energy] == [
        f"{term} energy" for term in ("crossbar", "feedback", "node", "drivers", "stored")
    ]
    assert all(d.error < 1e-3 for d in result.energy)
    assert result.balance.error < 1e-6
    assert result.agrees
    assert result.verdict == "agrees with ngspice"


def test_the_stored_answer_also_agrees_with_a_third_solver_that_shares_no_code(frozen: Frozen) -> None:
    oracle = Nodal.of(frozen.chip, frozen.u, duration_tau=40)
    answer = frozen.answer
    assert np.abs(oracle.z(answer.time_s).T - answer.z).max() < 5e-6
    assert oracle.settle_s(frozen.band) == pytest.approx(answer.t_settle_s, rel=2e-5)
    energies = oracle.energies_J(answer.t_settle_s)
    for term in ("crossbar", "feedback", "node", "drivers", "stored"):
        assert energies[term] == pytest.approx(answer.energy_J[term], rel=5e-5, abs=0), term


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_settling_agrees_with_it(method: str) -> None:
    result = check_frozen(shipped_answer(), SettleOptions(method=method, rtol=1e-4))
    assert result.agrees, result.verdict


def test_a_circuit_with_a_capacitor_half_a_percent_larger_is_found_out(frozen: Frozen) -> None:
    found = judged(frozen, with_circuit(frozen, node_C_F=1.005e-13))
    assert {"waveform", "settling time", "crossbar energy", "stored energy"} <= apart(found)
    assert not found.agrees
    assert "settling time differs by 5.0e-03 (tolerance 0.001)" in found.verdict
    assert "settle.rtol" in found.verdict


def test_a_supply_half_a_percent_higher_is_found_in_the_drivers_energy_alone(frozen: Frozen) -> None:
    assert apart(judged(frozen, with_circuit(frozen, supply_V=0.9 * 1.005))) == {"drivers energy"}


def test_a_device_that_leaks_more_is_found_in_heat_and_supply_though_the_waveform_is_the_same(frozen: Frozen) -> None:
    found = apart(judged(frozen, with_circuit(frozen, g_min_S=0.5e-6, g_max_S=25.25e-6)))
    assert found == {"crossbar energy", "drivers energy"}


def test_one_weight_of_another_value_is_found_in_the_waveform(frozen: Frozen) -> None:
    core = frozen.chip.core
    W = core.W.clone()
    W[3, 5] += 0.01 * W.abs().max()
    assert "waveform" in apart(judged(frozen, Chip(RCCore(W, core.U, core.b), frozen.chip.circuit)))


def test_a_waveform_differs_in_units_of_full_scale(frozen: Frozen) -> None:
    leaky = with_circuit(frozen, node_leak_S=1e-5)  # half of the amplifier's swing reaches the node
    waveform = judged(frozen, leaky).waveform
    assert leaky.full_scale == pytest.approx(0.5)
    assert waveform.error == pytest.approx(2 * abs(waveform.native - waveform.spice))


def test_joules_of_a_conversion_that_holds_the_circuit_are_not_held_against_it(frozen: Frozen) -> None:
    holding = with_circuit(frozen, adc=replace(frozen.chip.circuit.adc, conversion_s=1e-7))
    assert judged(frozen, holding).agrees


def test_a_judge_whose_books_do_not_close_is_not_believed(frozen: Frozen) -> None:
    energy = {**frozen.answer.energy_J, "delivered": 1.001 * frozen.answer.energy_J["delivered"]}
    found = judged(replace(frozen, answer=replace(frozen.answer, energy_J=energy)), frozen.chip)
    assert apart(found) == {"balance of ngspice"}


@pytest.mark.parametrize(("share", "agrees"), [(0.9e-4, True), (1.1e-4, False)])
def test_a_term_too_small_to_matter_is_compared_with_the_whole(frozen: Frozen, share: float, agrees: bool) -> None:
    whole = frozen.answer.dissipated_J
    settled = settle_recorded(frozen.chip, frozen.u, SettleOptions(band=frozen.band))
    assert settled.ledger is not None
    # The native ledger says 1 % more than ngspice, of a term that is about 1e-4 of the whole.
    ledger = replace(settled.ledger, stored_J=settled.ledger.stored_J * 0 + 1.01 * share * whole)
    answer = replace(frozen.answer, energy_J={**frozen.answer.energy_J, "stored": share * whole})
    found = compare(frozen.chip, replace(settled, ledger=ledger), answer)
    assert ("stored energy" not in apart(found)) is agrees


def test_nan_is_no_agreement(frozen: Frozen) -> None:
    settled = settle_recorded(frozen.chip, frozen.u, SettleOptions(band=frozen.band))
    found = compare(frozen.chip, replace(settled, t_settle_s=settled.t_settle_s * float("nan")), frozen.answer)
    assert apart(found) == {"settling time"}


def test_a_comparison_is_data_that_json_can_hold() -> None:
    result = check_frozen(shipped_answer()).as_dict()
    assert json.loads(json.dumps(result)) == result
    assert result["agrees"] is True
    assert len(result["differences"]) == 8
    assert set(result["differences"][0]) == {
        "name", "where", "unit", "native", "spice", "error", "tolerance", "agrees",
    }  # fmt: skip


def test_a_settle_without_waveforms_or_without_a_circuit_cannot_be_compared(frozen: Frozen) -> None:
    u = frozen.u.unsqueeze(0)
    with pytest.raises(InputError, match="one recorded sample"):
        compare(frozen.chip, settle(frozen.chip, u), frozen.answer)
    with pytest.raises(InputError, match="a bare core has no energies"):
        compare(frozen.chip, settle(frozen.chip.core, u), frozen.answer)


def test_a_sample_that_does_not_settle_is_refused() -> None:
    with pytest.raises(SettleError, match="did not settle"):
        check_frozen(shipped_answer(), SettleOptions(max_time_tau=3.0))


def test_the_file_is_small_and_says_how_it_was_made(frozen: Frozen) -> None:
    assert shipped_answer().stat().st_size < 300_000
    assert frozen.answer.ngspice == "ngspice-39"
    assert frozen.options == f"{OPTIONS}, {STEPS_PER_TAU} steps per tau, UIC"


def test_only_a_dense_chip_can_be_stored(tmp_path: Path) -> None:
    made = conv_chip(conv_core())
    with pytest.raises(InputError, match="only a dense core can be stored, not a ConvCore"):
        freeze(made, torch.zeros(made.n_inputs, dtype=torch.float64), tmp_path / "conv.npz")


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 and then nothing"])
def test_a_damaged_file_is_a_data_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="no stored answer of ngspice"):
        load_frozen(path)


def test_a_missing_file_and_a_file_without_an_answer_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no stored answer"):
        load_frozen(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", z=np.zeros(3))
    with pytest.raises(DataError, match="KeyError: 'about'"):
        load_frozen(tmp_path / "other.npz")


@pytest.mark.usefixtures("ngspice")
def test_ngspice_here_gives_the_stored_answer_again(frozen: Frozen) -> None:
    settled = settle_recorded(frozen.chip, frozen.u, SettleOptions(band=frozen.band))
    answer = ask_ngspice(frozen.chip, frozen.u, settled, frozen.band)
    assert np.abs(answer.state(frozen.answer.time_s) - frozen.answer.z).max() < 1e-5
    assert answer.t_settle_s == pytest.approx(frozen.answer.t_settle_s, rel=1e-4)
    assert answer.energy_J == pytest.approx(dict(frozen.answer.energy_J), rel=1e-4, abs=0)


@pytest.mark.usefixtures("ngspice")
def test_what_is_frozen_is_the_chip_as_programmed(tmp_path: Path) -> None:
    core = random_core(4, seed=2, dtype=torch.float32, activation="sigmoid")
    made = Chip(core, circuit(node_leak_S=2e-6, dac=Converter(bits=6, energy_J=1e-12)), device_preset("pcm-generic"))
    u = random_inputs(1, 3, seed=3, dtype=torch.float32)[0]
    kept = freeze(made, u, tmp_path / "kept.npz", band=1e-2)
    torch.testing.assert_close(kept.chip.core.W, made.core.W.double(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(kept.u, u.double())
    assert kept.chip.circuit.dac.bits == 6
    assert kept.chip.circuit.node_leak_S == 2e-6
    assert kept.chip.core.activation.name == "sigmoid"
    assert (kept.band, kept.answer.ngspice) == (1e-2, ngspice_version())
    assert check_frozen(tmp_path / "kept.npz").agrees
